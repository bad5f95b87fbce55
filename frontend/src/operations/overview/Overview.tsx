import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { AlertList } from "../alerts/AlertsPage";
import { isAtWork, useNewest } from "../api";
import { JobList } from "../jobs/JobsPage";
import { addressOf, Card, Moment, Progress, State } from "../parts/parts";
import type { Alert, Cycle, Extract, Job, Registration, Version } from "../types";
import { VersionList } from "../versions/VersionsPage";
import { TopStrip } from "./TopStrip";

const Trend = lazy(() => import("../cycles/Trend").then((module) => ({ default: module.Trend })));
const OPEN_SHOWN = 6;
const JOBS_SHOWN = 4;

/** The first screen: what serves, what is wrong, what runs, and how the errors go. */
export function Overview() {
  return (
    <>
      <TopStrip />
      <div className="overview">
        <OpenAlerts />
        <Running />
        <ErrorTrend />
        <Pending />
      </div>
    </>
  );
}

function OpenAlerts() {
  const { t } = useTranslation();
  const open = useNewest<Alert>("alerts?state=open", OPEN_SHOWN);
  const noted = useNewest<Alert>("alerts?state=acknowledged", OPEN_SHOWN);
  const rows = [...(open.data?.items ?? []), ...(noted.data?.items ?? [])].slice(0, OPEN_SHOWN);
  const total = (open.data?.total ?? 0) + (noted.data?.total ?? 0);
  return (
    <Card
      title={t("operations.openAlerts")}
      of={[open, noted]}
      actions={<Link href="/operations/alerts">{t("operations.allOf", { count: total })}</Link>}
    >
      {open.data && noted.data && rows.length === 0 && <p>{t("operations.noOpenAlerts")}</p>}
      <AlertList rows={rows} />
    </Card>
  );
}

function Running() {
  const { t } = useTranslation();
  const jobs = useNewest<Job>("training/jobs", JOBS_SHOWN);
  const cycles = useNewest<Cycle>("quality/cycles", 3);
  const extracts = useNewest<Extract>("data/extracts", 3);
  const registrations = useNewest<Registration>("registrations", 3);
  const other = [
    ...(cycles.data?.items ?? []).filter(isAtWork).map((row) => ({ row, name: "quality" as const })),
    ...(extracts.data?.items ?? []).filter(isAtWork).map((row) => ({ row, name: "extract" as const })),
    ...(registrations.data?.items ?? []).filter(isAtWork).map((row) => ({ row, name: "registration" as const })),
  ];
  const rows = jobs.data?.items ?? [];
  const isCalm = jobs.data && cycles.data && extracts.data && !rows.some(isAtWork) && other.length === 0;
  return (
    <Card
      title={t("operations.running")}
      of={[jobs, cycles, extracts, registrations]}
      actions={<Link href="/operations/jobs">{t("operations.allJobs")}</Link>}
    >
      {isCalm && <p>{t("operations.nothingRuns")}</p>}
      <ul className="lines">
        {other.map(({ row, name }) => (
          <li key={row.id}>
            <Link href={name === "quality" ? addressOf("quality", row.id) : "/operations/data"}>
              <State state={row.state} />
              <span className="grow">
                {t(`operations.one.${name}`)} <Progress of={row} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
      <JobList rows={rows} />
    </Card>
  );
}

function ErrorTrend() {
  const { t } = useTranslation();
  const cycles = useNewest<Cycle>("quality/cycles", 60);
  const versions = useNewest<Version>("models", 50);
  const alerts = useNewest<Alert>("alerts", 100);
  const last = cycles.data?.items[0];
  return (
    <Card
      title={t("operations.trend")}
      of={[cycles, versions, alerts]}
      actions={
        <>
          {last && (
            <small>
              {t("operations.lastCycle")} <State state={last.state} /> <Moment at={last.created_at} />
            </small>
          )}
          <Link href="/operations/quality">{t("operations.allCycles")}</Link>
        </>
      }
    >
      {cycles.data && (
        <Suspense fallback={<p className="hint">{t("common.loading")} …</p>}>
          <Trend cycles={cycles.data.items} versions={versions.data?.items ?? []} alerts={alerts.data?.items ?? []} />
        </Suspense>
      )}
    </Card>
  );
}

function Pending() {
  const { t } = useTranslation();
  const versions = useNewest<Version>("models", 50);
  const rows = (versions.data?.items ?? []).filter((each) => each.state === "pending");
  return (
    <Card
      title={t("operations.pendingVersions")}
      of={[versions]}
      actions={<Link href="/operations/versions">{t("operations.allVersions")}</Link>}
    >
      {versions.data && rows.length === 0 && <p>{t("operations.nothingPending")}</p>}
      <VersionList rows={rows.slice(0, 4)} />
    </Card>
  );
}
