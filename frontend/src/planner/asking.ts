/** Asking for predictions, some items at a time, through restarts of the service. */

import { ask, type ItemQuery, type PredictionResponse, Problem } from "../api/client";
import type { Step } from "./steps";
import type { Complained, WorkItem } from "./work";

const TOGETHER = 5; // items of one request: small enough that progress is seen
const CANDIDATES = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Return whether the service does not answer now, but may soon: away, starting, or without a model yet. */
export function isAway(error: unknown): error is Problem {
  return error instanceof Problem && (error.status === 0 || error.status === 503);
}

export function pauseBefore(attempt: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
}

/** Return the items of the next request: some that wait, all of them for orders of as many pieces. */
export function nextPart(items: readonly WorkItem[], asked: WeakSet<WorkItem>): WorkItem[] {
  const waiting = items.filter((item) => item.state === "waiting" && !asked.has(item));
  return waiting.filter((item) => item.quantity === waiting[0]?.quantity).slice(0, TOGETHER);
}

export function complained(error: unknown): Complained {
  return error instanceof Problem
    ? { code: error.code, detail: error.detail }
    : { code: "other", detail: String(error) };
}

interface Asking {
  step: (step: Step) => void;
  onAway: (problem: Problem | null) => void;
  signal: AbortSignal;
}

/** Ask for some items together until there is an answer; where one is refused, each alone, so that only that one fails. */
export async function askFor(queries: ItemQuery[], quantity: number, { step, onAway, signal }: Asking): Promise<void> {
  const body = { items: queries, quantity, candidates: CANDIDATES };
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const response = await ask<PredictionResponse>("POST", "predictions", body, signal);
      onAway(null);
      step({ kind: "answer", response, quantity });
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!isAway(error)) {
        onAway(null);
        await refused(error, queries, quantity, { step, onAway, signal });
        return;
      }
      onAway(error);
      await paused(pauseBefore(attempt), signal);
    }
  }
}

async function refused(error: unknown, queries: ItemQuery[], quantity: number, asking: Asking): Promise<void> {
  const isOneOfThem = error instanceof Problem && error.status === 422 && queries.length > 1;
  if (!isOneOfThem) {
    const codes = queries.map((query) => query.item_code);
    asking.step({ kind: "fail", codes, complaint: complained(error) });
    return;
  }
  for (const query of queries) await askFor([query], quantity, asking);
}

function paused(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
