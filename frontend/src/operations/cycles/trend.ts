/** What the error trend draws: one point a cycle with its interval, and marks of activations and alerts. */

import type { Alert, Cycle, Version } from "../types";

export interface Point {
  at: string;
  cycle: string;
  version: string | null;
  value: number;
  low: number | null;
  high: number | null;
  n: number;
}

export interface Mark {
  at: string;
  kind: "activation" | "alert";
  label: string;
  id: string;
}

export const TREND_METRICS = ["mdape", "mae", "trim_mae", "process_match", "exact_top1", "interval_coverage"] as const;

/** The cycles that measured `metric`, oldest first. */
export function pointsOf(cycles: Cycle[], metric: string): Point[] {
  return cycles
    .flatMap((cycle) => {
      const figure = cycle.metrics?.overall?.[metric];
      if (!figure || figure.value === null) return [];
      const { value, low, high, n } = figure;
      return [{ at: cycle.created_at, cycle: cycle.id, version: cycle.model_version, value, low, high, n }];
    })
    .sort((one, other) => one.at.localeCompare(other.at));
}

/** What happened between the first and the last point, oldest first. */
export function marksOf(versions: Version[], alerts: Alert[], points: Point[]): Mark[] {
  const [from, to] = [points[0]?.at, points.at(-1)?.at];
  if (from === undefined || to === undefined) return [];
  const activations = versions.flatMap((each): Mark[] =>
    each.activated_at ? [{ at: each.activated_at, kind: "activation", label: each.version, id: each.version }] : [],
  );
  const raised = alerts
    .filter((each) => each.kind === "quality" || each.kind === "rolled-back" || each.kind === "unit-suspected")
    .map((each): Mark => ({ at: each.created_at, kind: "alert", label: each.subject || each.kind, id: each.id }));
  // An alarm is raised some moments after its cycle began, which is where the last point stands.
  const end = new Date(new Date(to).getTime() + 3_600_000).toISOString();
  return [...activations, ...raised]
    .filter((mark) => mark.at >= from && mark.at <= end)
    .sort((one, other) => one.at.localeCompare(other.at));
}
