/** Where an alert leads: the cycle, job, version or data that it tells of, by its kind and details. */

import type { Alert } from "../types";

export type Place =
  | { area: "quality" | "jobs" | "versions"; id: string }
  | { area: "data"; id: string | null }
  | { area: "audit" | "log"; id: null };

const ABOUT_A_VERSION = new Set(["model-not-servable", "rolled-back", "model-fell-back", "model-folder-missing"]);
const ABOUT_DATA = new Set([
  "extract-failed",
  "snapshot-old",
  "snapshot-damaged",
  "data-quality-drop",
  "poison-message",
]);

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function placesOf(alert: Pick<Alert, "kind" | "subject" | "details">): Place[] {
  const details = alert.details ?? {};
  const retraining = details.retraining;
  const asked = typeof retraining === "object" && retraining !== null ? (retraining as Record<string, unknown>) : {};
  const cycle = text(details.cycle_id);
  const places: Place[] = [];
  if (cycle) places.push({ area: "quality", id: cycle });
  for (const job of [text(asked.job_id), text(details.job_id)]) if (job) places.push({ area: "jobs", id: job });
  const versions = [
    ABOUT_A_VERSION.has(alert.kind) ? text(alert.subject) : null,
    text(details.model_version),
    text(details.back_to),
    text(details.lost),
    text(details.serving),
  ];
  for (const id of new Set(versions)) if (id) places.push({ area: "versions", id });
  if (ABOUT_DATA.has(alert.kind)) places.push({ area: "data", id: null });
  if (alert.kind === "audit-broken") places.push({ area: "audit", id: null });
  return places;
}

// What is shown of the details beside the links that were made of them.
const LINKED = new Set(["cycle_id", "job_id", "retraining", "model_version", "back_to", "lost", "serving", "message"]);

/** The details that are plain figures or words, for a table; nested ones are the linked pages' matter. */
export function plainDetails(alert: Pick<Alert, "details">): [string, string | number | boolean][] {
  return Object.entries(alert.details ?? {}).flatMap(([name, value]) =>
    !LINKED.has(name) && ["string", "number", "boolean"].includes(typeof value) && value !== ""
      ? [[name, value as string | number | boolean] as [string, string | number | boolean]]
      : [],
  );
}

/** The kinds that the catalogue says something of; another one has its message only. */
export const KINDS = [
  "quality",
  "unit-suspected",
  "quality-cycle-failed",
  "training-failed",
  "rolled-back",
  "model-not-servable",
  "model-fell-back",
  "model-folder-missing",
  "model-folder-not-registered",
  "extract-failed",
  "snapshot-old",
  "snapshot-damaged",
  "data-quality-drop",
  "poison-message",
  "audit-broken",
] as const;
