import { useTranslation } from "react-i18next";
import { isAtWork, useNewest, useWatched } from "../api";
import { FigureTable } from "../parts/FigureTable";
import { useFormats } from "../parts/format";
import { Card, Facts, Moment, Progress, State, To } from "../parts/parts";
import type { Alert, Cycle, Job } from "../types";
import { worstFamilies } from "./families";
import { ledTo } from "./ledTo";

const REPORTS = ["html", "md", "csv", "json"] as const;

/** One cycle: what it asked, what it found, what it led to, and its reports. */
export function CycleDetail({ id }: { id: string }) {
  const { t } = useTranslation();
  const asked = useWatched<Cycle>(`quality/cycles/${encodeURIComponent(id)}`, isAtWork);
  const cycle = asked.data;
  return (
    <Card title={t("operations.one.quality")} of={[asked]}>
      {cycle && (
        <>
          <div className="row">
            <span className="big code">{cycle.id}</span>
            <State state={cycle.state} />
            <Progress of={cycle} />
          </div>
          {cycle.error && <p className="complaint">{cycle.error}</p>}
          <Asked cycle={cycle} />
          <Findings cycle={cycle} />
          <LedTo cycle={cycle} />
          {cycle.state === "succeeded" && <Reports id={cycle.id} />}
          <FigureTable figures={cycle.metrics?.overall ?? {}} caption={t("operations.figures")} />
          <Families cycle={cycle} />
        </>
      )}
    </Card>
  );
}

function Asked({ cycle }: { cycle: Cycle }) {
  const { t } = useTranslation();
  const format = useFormats();
  const seconds = cycle.metrics?.quality?.duration_seconds;
  return (
    <Facts
      rows={[
        [t("operations.started"), <Moment key="started" at={cycle.started_at ?? cycle.created_at} />],
        [t("operations.took"), seconds === undefined ? null : format.span(seconds)],
        [t("operations.version"), cycle.model_version && <To key="version" area="versions" id={cycle.model_version} />],
        [t("operations.strategyName"), t(`operations.strategy.${cycle.strategy}`)],
        [t("operations.sampleSize"), format.count(cycle.sample_size)],
        [t("operations.evaluated"), format.count(cycle.evaluated)],
        [t("operations.failedItems"), cycle.failed > 0 ? format.count(cycle.failed) : null],
        [t("operations.seed"), String(cycle.seed)],
        [t("operations.snapshot"), cycle.snapshot_id],
        [t("operations.reason"), cycle.reason],
      ]}
    />
  );
}

function Findings({ cycle }: { cycle: Cycle }) {
  const { t } = useTranslation();
  const quality = cycle.metrics?.quality;
  if (!quality) return null;
  const findings = quality.alerts ?? [];
  const retraining = quality.metadata?.retraining;
  return (
    <div className="stack">
      {findings.length === 0 && <p className="hint">{t("operations.nothingFound")}</p>}
      {findings.map((each) => (
        <p key={each.metric + each.family} className={each.evident ? "complaint" : "note"}>
          <strong>{t(each.evident ? "operations.alarm" : "operations.noAlarmYet")}</strong> {each.message}
        </p>
      ))}
      {quality.metadata?.message && <p className="note">{quality.metadata.message}</p>}
      {cycle.metrics?.watch?.reason && <p className="note">{cycle.metrics.watch.reason}</p>}
      {retraining?.refused && (
        <p>
          {t("operations.noJobAsked")} {retraining.refused}
        </p>
      )}
    </div>
  );
}

/** The alerts that a cycle raised and the jobs that they asked for. */
function LedTo({ cycle }: { cycle: Cycle }) {
  const { t } = useTranslation();
  const jobs = useNewest<Job>("training/jobs", 50);
  const alerts = useNewest<Alert>("alerts", 100);
  const told = cycle.metrics?.quality?.metadata?.retraining;
  const found = ledTo(cycle.id, told, jobs.data?.items ?? [], alerts.data?.items ?? []);
  if (found.alerts.length + found.jobs.length === 0) return null;
  return (
    <div>
      <strong>{t("operations.ledTo")}</strong>
      <ul className="plain">
        {found.alerts.map((id) => (
          <li key={id}>
            <To area="alerts" id={id}>
              {t("operations.alert")} {id}
            </To>
          </li>
        ))}
        {found.jobs.map((id) => (
          <li key={id}>
            <To area="jobs" id={id}>
              {t("operations.one.jobs")} {id}
            </To>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Reports({ id }: { id: string }) {
  const { t } = useTranslation();
  return (
    <div className="row">
      <span>{t("operations.report")}</span>
      {REPORTS.map((form) => (
        <a
          key={form}
          href={`/api/quality/cycles/${encodeURIComponent(id)}/report.${form}`}
          {...(form === "html" ? { target: "_blank", rel: "noreferrer" } : { download: `${id}.${form}` })}
        >
          .{form}
        </a>
      ))}
    </div>
  );
}

function Families({ cycle }: { cycle: Cycle }) {
  const { t } = useTranslation();
  const format = useFormats();
  const worst = worstFamilies(cycle, 10);
  if (worst.length === 0) return null;
  return (
    <details>
      <summary>{t("operations.worstFamilies", { count: worst.length })}</summary>
      <table>
        <thead>
          <tr>
            <th>{t("operations.family")}</th>
            <th className="number">{t("operations.metric.mae")}</th>
            <th className="number">{t("operations.metric.mdape")}</th>
            <th className="number">{t("operations.samples")}</th>
          </tr>
        </thead>
        <tbody>
          {worst.map(({ family, mae, mdape, n }) => (
            <tr key={family}>
              <th scope="row">{family}</th>
              <td className="number">{format.figure(mae, "mae")}</td>
              <td className="number">{mdape === null ? "–" : format.figure(mdape, "mdape")}</td>
              <td className="number">{format.count(n)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
