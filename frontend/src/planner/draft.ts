/** A planner's working copy of one candidate: operations with plain minutes, and the steps to undo. */

import type { Candidate, PredictedOperation } from "../api/client";

export interface DraftOperation {
  key: string; // of this row, for as long as it lives
  operation_code: string;
  operation_name: string | null;
  resource_code: string | null;
  inside: boolean | null;
  setup_minutes: number;
  run_minutes_per_unit: number;
  wait_minutes: number;
  move_minutes: number;
  queue_minutes: number;
}

export interface Draft {
  rank: number;
  operations: DraftOperation[];
}

export interface History {
  past: Draft[];
  present: Draft;
  future: Draft[];
}

export const MINUTE_FIELDS = [
  "setup_minutes",
  "run_minutes_per_unit",
  "wait_minutes",
  "move_minutes",
  "queue_minutes",
] as const;
export type MinuteField = (typeof MINUTE_FIELDS)[number];

export const MOST_MINUTES = 10_000;
const MOST_STEPS = 50;
const SEQUENCE_STEP = 10;

export function draftOf(candidate: Candidate): Draft {
  return { rank: candidate.rank, operations: candidate.operations.map(operationOf) };
}

function operationOf(operation: PredictedOperation, index: number): DraftOperation {
  return {
    key: `${operation.sequence}-${index}`,
    operation_code: operation.operation_code,
    operation_name: operation.operation_name,
    resource_code: operation.resource_code,
    inside: operation.inside,
    setup_minutes: operation.setup_minutes.value,
    run_minutes_per_unit: operation.run_minutes_per_unit.value,
    wait_minutes: operation.wait_minutes,
    move_minutes: operation.move_minutes,
    queue_minutes: operation.queue_minutes,
  };
}

export function beginning(candidate: Candidate): History {
  return { past: [], present: draftOf(candidate), future: [] };
}

export type Edit =
  | { kind: "move"; from: number; to: number }
  | { kind: "remove"; at: number }
  | { kind: "add"; at: number; operation: DraftOperation }
  | { kind: "set"; at: number; change: Partial<Omit<DraftOperation, "key">> }
  | { kind: "replace"; draft: Draft };

/** Return the history after an edit; one that changes nothing leaves no step to undo. */
export function edited(history: History, edit: Edit): History {
  const present = applied(history.present, edit);
  if (present === history.present) return history;
  return { past: [...history.past, history.present].slice(-MOST_STEPS), present, future: [] };
}

export function undone(history: History): History {
  const present = history.past.at(-1);
  if (!present) return history;
  return { past: history.past.slice(0, -1), present, future: [history.present, ...history.future] };
}

export function redone(history: History): History {
  const [present, ...future] = history.future;
  if (!present) return history;
  return { past: [...history.past, history.present], present, future };
}

function applied(draft: Draft, edit: Edit): Draft {
  const operations = [...draft.operations];
  switch (edit.kind) {
    case "move": {
      const [moved] = operations.splice(edit.from, 1);
      if (!moved || edit.from === edit.to) return draft;
      operations.splice(edit.to, 0, moved);
      break;
    }
    case "remove":
      if (!operations[edit.at]) return draft;
      operations.splice(edit.at, 1);
      break;
    case "add":
      operations.splice(edit.at, 0, edit.operation);
      break;
    case "set": {
      const before = operations[edit.at];
      if (!before) return draft;
      const after = { ...before, ...edit.change };
      if (JSON.stringify(after) === JSON.stringify(before)) return draft;
      operations[edit.at] = after;
      break;
    }
    case "replace":
      return edit.draft;
  }
  return { ...draft, operations };
}

/** Return whether a draft says what its candidate says, whatever its rows are called. */
export function isUnchanged(draft: Draft, candidate: Candidate): boolean {
  return JSON.stringify(asDecided(draft)) === JSON.stringify(asDecided(draftOf(candidate)));
}

/** Return the operations as a decision carries them, numbered anew. */
export function asDecided(draft: Draft) {
  return draft.operations.map(({ key: _, ...operation }, index) => ({
    sequence: (index + 1) * SEQUENCE_STEP,
    ...operation,
  }));
}

/** Return the minutes of an order: setups once, run times for each piece, and what lies between the operations. */
export function orderMinutes(draft: Draft, quantity: number): number {
  return draft.operations.reduce(
    (sum, each) =>
      sum +
      each.setup_minutes +
      each.run_minutes_per_unit * quantity +
      each.wait_minutes +
      each.move_minutes +
      each.queue_minutes,
    0,
  );
}

/** Return a number of minutes from what was typed, or null where it is none from 0 to 10,000. */
export function minutesFrom(text: string): number | null {
  const trimmed = text.trim().replace(",", ".");
  if (!/^\d+(\.\d+)?$/.test(trimmed)) return null;
  const value = Number(trimmed);
  return value <= MOST_MINUTES ? value : null;
}
