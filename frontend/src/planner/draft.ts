/** A planner's working copy of a routing: operations with plain minutes, and the steps to undo. */

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
  operations: DraftOperation[];
}

export interface History {
  past: Draft[];
  present: Draft;
  future: Draft[];
}

/** An operation as decisions, downloads and opened files carry it. */
export interface RoutingOperation extends Omit<DraftOperation, "key"> {
  sequence: number;
}

export const MINUTE_FIELDS = [
  "setup_minutes",
  "run_minutes_per_unit",
  "wait_minutes",
  "move_minutes",
  "queue_minutes",
] as const;
export type MinuteField = (typeof MINUTE_FIELDS)[number];

export const MOST_OPERATIONS = 100; // that a file may hold; a decision takes more
const MOST_STEPS = 50;
const SEQUENCE_STEP = 10;
const PREDICTED = "predicted-";

export function draftOf(candidate: Candidate): Draft {
  return { operations: candidate.operations.map(operationOf) };
}

function operationOf(operation: PredictedOperation, index: number): DraftOperation {
  return {
    key: PREDICTED + index,
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

/** Return what was predicted for a row: the operation it began as, or else the one of its code. */
export function predictedOf(
  candidate: Candidate | undefined,
  operation: DraftOperation,
): PredictedOperation | undefined {
  const own = operation.key.startsWith(PREDICTED)
    ? candidate?.operations[Number(operation.key.slice(PREDICTED.length))]
    : undefined;
  if (own?.operation_code === operation.operation_code) return own;
  return candidate?.operations.find((each) => each.operation_code === operation.operation_code);
}

export function beginning(draft: Draft): History {
  return { past: [], present: draft, future: [] };
}

let made = 0;

/** Return the key of a row that no candidate has; also unique among rows that an earlier visit made. */
export function newKey(): string {
  made += 1;
  return `new-${Date.now().toString(36)}-${made}`;
}

export function newOperation(code: string, usual: Partial<Omit<DraftOperation, "key">> = {}): DraftOperation {
  return {
    key: newKey(),
    operation_code: code,
    operation_name: null,
    resource_code: null,
    inside: true,
    setup_minutes: 0,
    run_minutes_per_unit: 0,
    wait_minutes: 0,
    move_minutes: 0,
    queue_minutes: 0,
    ...usual,
  };
}

/** An operation of a file; a time that it does not say is null. */
export type FiledOperation = Omit<RoutingOperation, MinuteField> & { [field in MinuteField]: number | null };

/** Return the working copy that an opened file's operations make, in the order of their sequence. */
export function draftFrom(operations: readonly FiledOperation[]): Draft {
  const inOrder = [...operations].sort((one, other) => one.sequence - other.sequence);
  return {
    operations: inOrder.map((each) => ({
      key: newKey(),
      operation_code: each.operation_code,
      operation_name: each.operation_name,
      resource_code: each.resource_code,
      inside: each.inside,
      setup_minutes: each.setup_minutes ?? 0,
      run_minutes_per_unit: each.run_minutes_per_unit ?? 0,
      wait_minutes: each.wait_minutes ?? 0,
      move_minutes: each.move_minutes ?? 0,
      queue_minutes: each.queue_minutes ?? 0,
    })),
  };
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
      if (operations.length >= MOST_OPERATIONS) return draft;
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
      return sameOperations(draft, edit.draft) ? draft : edit.draft;
  }
  return { ...draft, operations };
}

function sameOperations(one: Draft, other: Draft): boolean {
  return JSON.stringify(asRouting(one)) === JSON.stringify(asRouting(other));
}

/** Return whether a draft says what its candidate says, whatever its rows are called. */
export function isUnchanged(draft: Draft, candidate: Candidate): boolean {
  return sameOperations(draft, draftOf(candidate));
}

/** Return the operations as decisions and files carry them, numbered anew. */
export function asRouting(draft: Draft): RoutingOperation[] {
  return draft.operations.map((each, index) => ({
    sequence: (index + 1) * SEQUENCE_STEP,
    operation_code: each.operation_code,
    operation_name: each.operation_name,
    resource_code: each.resource_code,
    inside: each.inside,
    setup_minutes: each.setup_minutes,
    run_minutes_per_unit: each.run_minutes_per_unit,
    wait_minutes: each.wait_minutes,
    move_minutes: each.move_minutes,
    queue_minutes: each.queue_minutes,
  }));
}

export interface OrderTotals {
  setup: number;
  run: number;
  between: number; // waiting, moving and queueing
  lead: number;
}

/** Return the minutes of an order: setups once, run times for each piece, and what lies between the operations. */
export function orderTotals(draft: Draft, quantity: number): OrderTotals {
  const totals = { setup: 0, run: 0, between: 0 };
  for (const each of draft.operations) {
    totals.setup += each.setup_minutes;
    totals.run += each.run_minutes_per_unit * quantity;
    totals.between += each.wait_minutes + each.move_minutes + each.queue_minutes;
  }
  return { ...totals, lead: totals.setup + totals.run + totals.between };
}
