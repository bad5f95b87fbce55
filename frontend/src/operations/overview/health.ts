/** What health tells beside its parts, as sentences of the catalogue. */

import type { Health } from "../types";

export interface Sentence {
  key: string;
  values: Record<string, string | number>;
  isBad: boolean;
}

export function sentences(health: Health): Sentence[] {
  const told: Sentence[] = [
    {
      key: health.unsigned_packages_allowed ? "operations.unsignedAllowed" : "operations.signedOnly",
      values: {},
      isBad: health.unsigned_packages_allowed,
    },
  ];
  const { dropped } = health.prediction_log;
  if (dropped > 0) told.push({ key: "operations.predictionsDropped", values: { count: dropped }, isBad: true });
  return told;
}
