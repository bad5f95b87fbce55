/** The chart's options; what it shows is decided in `trend.ts`. */

import type { LineSeriesOption } from "echarts/charts";
import type { GridComponentOption, MarkLineComponentOption, TooltipComponentOption } from "echarts/components";
import type { ComposeOption } from "echarts/core";
import type { Mark, Point } from "./trend";

export type TrendOption = ComposeOption<
  LineSeriesOption | GridComponentOption | TooltipComponentOption | MarkLineComponentOption
>;

interface Words {
  label: string;
  figure: (value: number) => string;
  moment: (iso: string) => string;
  interval: string;
  samples: string;
  activation: string;
  alert: string;
}

const LINE = "#0b4f6c";
const BAND = "#0b4f6c22";
const MARKS = { activation: "#14633c", alert: "#9b1c1c" } as const;

export function trendOption(points: Point[], marks: Mark[], words: Words): TrendOption {
  const withInterval = points.filter((point) => point.low !== null && point.high !== null);
  const lowest = Math.min(...points.map((point) => point.low ?? point.value));
  const highest = Math.max(...points.map((point) => point.high ?? point.value));
  const room = (highest - lowest || Math.abs(highest) || 1) * 0.15;
  const hidden = { type: "line" as const, symbol: "none", silent: true, lineStyle: { opacity: 0 }, stack: "interval" };
  return {
    animation: false,
    grid: { left: 56, right: 16, top: 22, bottom: 26 },
    tooltip: { trigger: "axis", confine: true, formatter: (shown) => tooltip(shown, points, words) },
    xAxis: { type: "time", axisLabel: { hideOverlap: true } },
    yAxis: {
      type: "value",
      min: Math.max(0, lowest - room),
      max: highest + room,
      axisLabel: { formatter: (value: number) => words.figure(value), showMinLabel: false, showMaxLabel: false },
    },
    series: [
      { ...hidden, data: withInterval.map((point) => [point.at, point.low]) },
      {
        ...hidden,
        data: withInterval.map((point) => [point.at, (point.high ?? 0) - (point.low ?? 0)]),
        areaStyle: { color: BAND },
      },
      {
        name: words.label,
        type: "line",
        symbolSize: 7,
        lineStyle: { color: LINE },
        itemStyle: { color: LINE },
        data: points.map((point) => [point.at, point.value]),
        markLine: { symbol: ["none", "none"], data: marks.map((mark) => line(mark, words)) },
      },
    ],
  };
}

function line(mark: Mark, words: Words) {
  const color = MARKS[mark.kind];
  const isAlert = mark.kind === "alert";
  return {
    xAxis: mark.at,
    name: `${isAlert ? words.alert : words.activation}: ${mark.label}`,
    lineStyle: { color, type: isAlert ? ("dashed" as const) : ("solid" as const), width: 1.5 },
    label: { formatter: isAlert ? "!" : "▲", color, fontWeight: "bold" as const, position: "end" as const },
  };
}

function tooltip(shown: unknown, points: Point[], words: Words): string {
  const first = (Array.isArray(shown) ? shown : [shown])[0] as { value?: [string, number] } | undefined;
  const point = points.find((each) => each.at === first?.value?.[0]);
  if (!point) return "";
  const lines = [words.moment(point.at), `<b>${words.figure(point.value)}</b>`];
  if (point.low !== null && point.high !== null)
    lines.push(`${words.interval} ${words.figure(point.low)} – ${words.figure(point.high)}`);
  lines.push(`${words.samples} ${point.n.toLocaleString()}`, escaped(point.version ?? ""));
  return lines.join("<br>");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
