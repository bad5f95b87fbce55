import type { Alert, Job, Retraining } from "../types";

/** The ids of the alerts and jobs that came of a cycle: those it tells of, and those that name it. */
export function ledTo(
  cycleId: string,
  told: Retraining | null | undefined,
  jobs: Pick<Job, "id" | "cycle_id">[],
  alerts: Pick<Alert, "id" | "details">[],
): { alerts: string[]; jobs: string[] } {
  const naming = alerts.filter((alert) => alert.details?.cycle_id === cycleId);
  const asked = jobs.filter((job) => job.cycle_id === cycleId);
  return {
    alerts: [...new Set([...(told?.alert_ids ?? []), ...naming.map((alert) => alert.id)])],
    jobs: [...new Set([...(told?.job_id ? [told.job_id] : []), ...asked.map((job) => job.id)])],
  };
}
