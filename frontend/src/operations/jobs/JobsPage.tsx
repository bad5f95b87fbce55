import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { useMay, useNewest } from "../api";
import { Ago, addressOf, Card, Progress, State, useChosen } from "../parts/parts";
import type { Job } from "../types";
import { JobDetail } from "./JobDetail";
import { StartJob } from "./StartJob";

const SHOWN = 50;

export function JobsPage() {
  const { t } = useTranslation();
  const may = useMay();
  const chosen = useChosen();
  const [starts, setStarts] = useState(false);
  const jobs = useNewest<Job>("training/jobs", SHOWN);
  const rows = jobs.data?.items ?? [];
  return (
    <div className="halves">
      <Card
        title={t("operations.jobs")}
        of={[jobs]}
        actions={
          may.operate && (
            <button type="button" onClick={() => setStarts(true)}>
              {t("operations.startJob")}
            </button>
          )
        }
      >
        {jobs.data && rows.length === 0 && <p>{t("operations.noJobs")}</p>}
        <JobList rows={rows} chosen={chosen} />
        {jobs.data && jobs.data.total > rows.length && (
          <p className="hint">{t("operations.newestOf", { shown: rows.length, total: jobs.data.total })}</p>
        )}
      </Card>
      {chosen ? <JobDetail key={chosen} id={chosen} /> : <p className="hint">{t("operations.chooseJob")}</p>}
      {starts && <StartJob onClose={() => setStarts(false)} />}
    </div>
  );
}

export function JobList({ rows, chosen = null }: { rows: Job[]; chosen?: string | null }) {
  const { t } = useTranslation();
  return (
    <ul className="lines">
      {rows.map((job) => (
        <li key={job.id}>
          <Link href={addressOf("jobs", job.id)} aria-current={job.id === chosen ? "true" : undefined}>
            <State state={job.state} />
            <span className="grow">
              {t(`operations.jobKind.${job.kind}`)} {job.label && <span className="code">{job.label}</span>}{" "}
              {job.dry_run && <span className="badge">{t("operations.dryRun")}</span>} <Progress of={job} />
              <small className="cut">
                {job.error ?? (job.state === "running" ? job.reason : job.step || job.reason)}
              </small>
            </span>
            <small>
              <Ago at={job.created_at} />
            </small>
          </Link>
        </li>
      ))}
    </ul>
  );
}
