import { LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";

use([LineChart, GridComponent, TooltipComponent, SVGRenderer]);

interface Point {
  at: string;
  value: number;
  low: number;
  high: number;
}

/** A share of error over time with its interval. */
export function Trend({ points, label }: { points: Point[]; label: string }) {
  const frame = useRef<HTMLDivElement>(null);
  const { i18n } = useTranslation();
  useEffect(() => {
    if (!frame.current) return;
    const chart = init(frame.current, undefined, { renderer: "svg" });
    const share = (value: unknown) =>
      Number(value).toLocaleString(i18n.language, { style: "percent", maximumFractionDigits: 1 });
    const row = (name: string, pick: (point: Point) => number, color: string, type: "solid" | "dotted") => ({
      name,
      type: "line" as const,
      symbolSize: 5,
      lineStyle: { type, color },
      itemStyle: { color },
      showSymbol: type === "solid",
      data: points.map((point) => [point.at, pick(point)]),
    });
    chart.setOption({
      animation: false,
      grid: { left: 48, right: 12, top: 12, bottom: 28 },
      tooltip: { trigger: "axis", valueFormatter: share },
      xAxis: { type: "time" },
      yAxis: { type: "value", min: 0, axisLabel: { formatter: share } },
      series: [
        row("low", (point) => point.low, "#8796a3", "dotted"),
        row(label, (point) => point.value, "#0b4f6c", "solid"),
        row("high", (point) => point.high, "#8796a3", "dotted"),
      ],
    });
    const watch = new ResizeObserver(() => chart.resize());
    watch.observe(frame.current);
    return () => {
      watch.disconnect();
      chart.dispose();
    };
  }, [points, label, i18n.language]);
  return (
    <figure>
      <div ref={frame} className="chart" role="img" aria-label={label} />
      <figcaption>{label}</figcaption>
    </figure>
  );
}
