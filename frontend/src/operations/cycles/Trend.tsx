import { LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useFormats } from "../parts/format";
import { Moment, To } from "../parts/parts";
import type { Alert, Cycle, Version } from "../types";
import { trendOption } from "./chart";
import { type Mark, marksOf, type Point, pointsOf, TREND_METRICS } from "./trend";

use([LineChart, GridComponent, MarkLineComponent, TooltipComponent, SVGRenderer]);

interface TrendProps {
  cycles: Cycle[];
  versions: Version[];
  alerts: Alert[];
}

/** A figure of the last cycles with its interval, and what happened meanwhile; the same as a table. */
export function Trend({ cycles, versions, alerts }: TrendProps) {
  const { t } = useTranslation();
  const [metric, setMetric] = useState<string>(TREND_METRICS[0]);
  const points = useMemo(() => pointsOf(cycles, metric), [cycles, metric]);
  const marks = useMemo(() => marksOf(versions, alerts, points), [versions, alerts, points]);
  const label = t(`operations.metric.${metric}`);
  return (
    <>
      <label className="inline">
        {t("operations.figure")}
        <select value={metric} onChange={(event) => setMetric(event.target.value)}>
          {TREND_METRICS.map((each) => (
            <option key={each} value={each}>
              {t(`operations.metric.${each}`)}
            </option>
          ))}
        </select>
      </label>
      {points.length === 0 ? (
        <p>{t("operations.noTrend")}</p>
      ) : (
        <figure>
          <Chart points={points} marks={marks} metric={metric} label={label} />
          <figcaption>{t("operations.trendSays")}</figcaption>
          <details>
            <summary>{t("operations.asTable")}</summary>
            <Table points={points} marks={marks} metric={metric} label={label} />
          </details>
        </figure>
      )}
    </>
  );
}

interface Drawn {
  points: Point[];
  marks: Mark[];
  metric: string;
  label: string;
}

function Chart({ points, marks, metric, label }: Drawn) {
  const { t } = useTranslation();
  const format = useFormats();
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!frame.current) return;
    const chart = init(frame.current, undefined, { renderer: "svg" });
    chart.setOption(
      trendOption(points, marks, {
        label,
        figure: (value) => format.figure(value, metric),
        moment: format.moment,
        interval: t("operations.interval"),
        samples: t("operations.samples"),
        activation: t("operations.activation"),
        alert: t("operations.alert"),
      }),
    );
    const watch = new ResizeObserver(() => chart.resize());
    watch.observe(frame.current);
    return () => {
      watch.disconnect();
      chart.dispose();
    };
  }, [points, marks, metric, label, format, t]);
  return <div ref={frame} className="chart" role="img" aria-label={label} />;
}

function Table({ points, marks, metric, label }: Drawn) {
  const { t } = useTranslation();
  const format = useFormats();
  return (
    <>
      <table>
        <caption>{label}</caption>
        <thead>
          <tr>
            <th>{t("operations.cycle")}</th>
            <th>{t("operations.version")}</th>
            <th className="number">{label}</th>
            <th className="number">{t("operations.interval")}</th>
            <th className="number">{t("operations.samples")}</th>
          </tr>
        </thead>
        <tbody>
          {points.toReversed().map((point) => (
            <tr key={point.cycle}>
              <td>
                <To area="quality" id={point.cycle}>
                  <Moment at={point.at} />
                </To>
              </td>
              <td className="code">{point.version}</td>
              <td className="number">{format.figure(point.value, metric)}</td>
              <td className="number">
                {point.low !== null && point.high !== null
                  ? `${format.figure(point.low, metric)} – ${format.figure(point.high, metric)}`
                  : "–"}
              </td>
              <td className="number">{format.count(point.n)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <ul className="plain">
        {marks.map((mark) => (
          <li key={mark.kind + mark.id}>
            <Moment at={mark.at} /> {t(mark.kind === "alert" ? "operations.alert" : "operations.activation")}:{" "}
            <To area={mark.kind === "alert" ? "alerts" : "versions"} id={mark.id}>
              {mark.label}
            </To>
          </li>
        ))}
      </ul>
    </>
  );
}
