import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isAtWork, useMay, useWatched } from "../api";
import { ChangeDialog } from "../parts/Dialog";
import { useFormats } from "../parts/format";
import { Ago, Card, Facts, Moment, Progress, State, To, WhyNot } from "../parts/parts";
import type { Job } from "../types";
import { JobLog } from "./JobLog";

/** One training job: what it is, how far it is, what it decided and why, and its log. */
export function JobDetail({ id }: { id: string }) {
  const { t } = useTranslation();
  const asked = useWatched<Job>(`training/jobs/${encodeURIComponent(id)}`, isAtWork);
  const job = asked.data;
  return (
    <Card title={t("operations.one.jobs")} of={[asked]}>
      {job && (
        <>
          <div className="row">
            <span className="big code">{job.id}</span>
            <State state={job.state} />
            {job.cancel_requested && job.state === "running" && (
              <span className="badge">{t("operations.cancelling")}</span>
            )}
          </div>
          <Progress of={job} />
          {job.error && <p className="complaint">{job.error}</p>}
          <JobFacts job={job} />
          <Outcome job={job} />
          {isAtWork(job) && <Cancel job={job} />}
          <JobLog id={job.id} isLive={isAtWork(job)} />
        </>
      )}
    </Card>
  );
}

function JobFacts({ job }: { job: Job }) {
  const { t } = useTranslation();
  const format = useFormats();
  const ran = job.started_at && job.ended_at ? Date.parse(job.ended_at) - Date.parse(job.started_at) : null;
  const isThere = job.state === "succeeded" && !job.dry_run && job.model_version;
  return (
    <Facts
      rows={[
        [t("operations.kind"), t(`operations.jobKind.${job.kind}`)],
        [
          t("operations.version"),
          job.model_version &&
            (isThere ? (
              <To key="version" area="versions" id={job.model_version} />
            ) : (
              <span key="version" className="code">
                {job.model_version}
              </span>
            )),
        ],
        [t("operations.dryRun"), job.dry_run ? t("operations.yes") : null],
        [t("operations.askedBy"), job.actor],
        [t("operations.reason"), job.reason],
        [t("operations.one.quality"), job.cycle_id && <To key="cycle" area="quality" id={job.cycle_id} />],
        [t("operations.asked"), <Moment key="asked" at={job.created_at} />],
        [t("operations.eta"), job.eta && job.state === "running" ? <Ago key="eta" at={job.eta} /> : null],
        [t("operations.took"), ran === null ? null : format.span(ran / 1000)],
        [t("operations.attempt"), job.attempt > 1 ? format.count(job.attempt) : null],
        [t("operations.priority"), job.priority !== 0 ? format.count(job.priority) : null],
        [t("operations.snapshot"), job.snapshot_id],
      ]}
    />
  );
}

function Outcome({ job }: { job: Job }) {
  const result = job.result;
  if (!result?.reason) return job.state === "succeeded" ? <p className="note">{job.step}</p> : null;
  const checks = result.comparison?.checks ?? [];
  return (
    <div className="note stack">
      <p>
        <strong>{job.step}</strong>
      </p>
      <p>{result.reason}</p>
      <ul className="plain">
        {checks.map((check) => (
          <li key={check.name}>
            <State state={check.passed ? "passed" : "failed"} /> {check.says}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Cancel({ job }: { job: Job }) {
  const { t } = useTranslation();
  const may = useMay();
  const [asks, setAsks] = useState(false);
  if (!may.operate) return <WhyNot />;
  return (
    <div className="row">
      <button type="button" disabled={job.cancel_requested} onClick={() => setAsks(true)}>
        {t("operations.cancelJob")}
      </button>
      {asks && (
        <ChangeDialog
          title={t("operations.cancelJob")}
          action={t("operations.cancelJob")}
          change={() => ({ method: "DELETE", path: `training/jobs/${encodeURIComponent(job.id)}` })}
          onClose={() => setAsks(false)}
        >
          <p>{t("operations.cancelSays")}</p>
        </ChangeDialog>
      )}
    </div>
  );
}
