/** What the service answers, in small. */

import type { Candidate, PredictionResponse } from "../src/api/client";
import type { WorkItem } from "../src/planner/work";

export function candidate(codes: string[], rank = 1): Candidate {
  const range = (value: number) => ({ value, low: value / 2, high: value * 2, planned: null });
  return {
    rank,
    source: "predicted",
    routing_signature: codes.join(">"),
    probability: 0.5,
    similarity: 0.9,
    tier: "medium",
    operations: codes.map((operation_code, at) => ({
      sequence: (at + 1) * 10,
      operation_code,
      operation_name: null,
      resource_code: "A-01",
      resource_name: null,
      inside: true,
      setup_minutes: range(10),
      run_minutes_per_unit: range(2),
      order_minutes: range(12),
      optimistic_minutes: 6,
      safe_minutes: 24,
      wait_minutes: 1,
      move_minutes: 1,
      queue_minutes: 1,
      samples: 5,
      trimmed: 0,
      trimmed_mean: null,
      std: null,
      confidence: 0.5,
      supporting: null,
      disagreeing: null,
      evidence: [],
    })),
    totals: { setup_minutes: 0, run_minutes: 0, wait_minutes: 0, move_minutes: 0, queue_minutes: 0, lead_minutes: 0 },
    evidence: [],
  };
}

export function response(codes: string[], candidates = [candidate(["A", "B"]), candidate(["A", "C"], 2)]) {
  return {
    prediction_id: "pred_1",
    model_version: "version_1",
    data_as_of: "2026-01-01T00:00:00Z",
    request_id: "r",
    predictions: codes.map((item_code) => ({ item_code, status: "ok", candidates, message: null })),
  } satisfies PredictionResponse;
}

export function waiting(item_code: string, quantity = 1): WorkItem {
  return { query: { item_code }, quantity, state: "waiting", chosen: 1, copies: {} };
}
