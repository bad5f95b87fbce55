/** Every step that changes the planner's work. */

import type { ItemQuery, PredictionResponse } from "../api/client";
import {
  beginning,
  type Draft,
  draftFrom,
  type Edit,
  edited,
  type History,
  isUnchanged,
  redone,
  undone,
} from "./draft";
import { type Kept, merged } from "./merging";
import type { Wanted } from "./pasting";
import {
  type Complained,
  candidateOf,
  EMPTY,
  historyOf,
  MOST_LISTED,
  type OpenedRouting,
  type Outcome,
  OWN,
  ranksOf,
  type Work,
  type WorkItem,
} from "./work";

export type Step =
  | { kind: "join"; base: Kept; theirs: Kept }
  | { kind: "add"; wanted: Wanted[]; quantity: number }
  | { kind: "openFile"; routings: OpenedRouting[] }
  | { kind: "answer"; response: PredictionResponse; quantity: number }
  | { kind: "fail"; codes: string[]; complaint: Complained }
  | { kind: "again"; code: string; query?: ItemQuery }
  | { kind: "open"; code: string }
  | { kind: "quantity"; code: string; quantity: number }
  | { kind: "edit"; code: string; edit: Edit }
  | { kind: "undo" | "redo" | "own"; code: string }
  | { kind: "remove"; code: string }
  | { kind: "choose"; code: string; rank: number }
  | { kind: "decide"; code: string; outcome: Outcome; rank: number }
  | { kind: "clear" | "seen" };

export function stepped(work: Work, step: Step): Work {
  switch (step.kind) {
    case "join":
      return merged(work, step.base, step.theirs);
    case "seen":
      return { ...work, overtaken: [] };
    case "clear":
      return { ...EMPTY, quantity: work.quantity };
    case "open":
      return work.active === step.code ? work : { ...work, active: step.code };
    case "add":
      return added(work, step.wanted, step.quantity);
    case "openFile":
      return withOpened(work, step.routings);
    case "answer":
      return answered(work, step.response, step.quantity);
    case "fail":
      return changed(work, (item) =>
        item.state === "waiting" && step.codes.includes(item.query.item_code)
          ? { ...item, state: "failed", complaint: step.complaint }
          : item,
      );
    case "remove":
      return removed(work, step.code);
    default:
      return changed(work, (item) => (item.query.item_code === step.code ? itemStepped(item, step) : item));
  }
}

type ItemStep = Exclude<Extract<Step, { code: string }>, { kind: "open" | "remove" }>;

function itemStepped(item: WorkItem, step: ItemStep): WorkItem {
  switch (step.kind) {
    case "again":
      return askedAgain(item, step.query ?? item.query);
    case "quantity":
      return item.quantity === step.quantity ? item : { ...item, quantity: step.quantity };
    case "edit":
      return withHistory(item, (history) => edited(history, step.edit));
    case "undo":
      return withHistory(item, undone);
    case "redo":
      return withHistory(item, redone);
    case "own":
      return item.copies[OWN]
        ? { ...item, chosen: OWN }
        : { ...item, chosen: OWN, copies: { ...item.copies, [OWN]: beginning({ operations: [] }) } };
    case "choose":
      return item.chosen === step.rank || !ranksOf(item).includes(step.rank) ? item : { ...item, chosen: step.rank };
    case "decide":
      return { ...item, decided: { outcome: step.outcome, rank: step.rank } };
  }
}

function changed(work: Work, change: (item: WorkItem) => WorkItem): Work {
  const items = work.items.map(change);
  return items.some((item, at) => item !== work.items[at]) ? { ...work, items } : work;
}

/** What is changed after a decision wants another. */
function withHistory(item: WorkItem, change: (history: History) => History): WorkItem {
  const before = historyOf(item);
  const after = before && change(before);
  if (!after || after === before) return item;
  const { decided: _, ...open } = item;
  return { ...open, copies: { ...item.copies, [item.chosen]: after } };
}

/** Put new items behind the others; one that is listed already stays as it is. */
function added(work: Work, wanted: Wanted[], quantity: number): Work {
  const listed = new Set(work.items.map((item) => item.query.item_code));
  const items = wanted
    .filter(({ query }) => !listed.has(query.item_code))
    .slice(0, Math.max(0, MOST_LISTED - work.items.length))
    .map(
      (each): WorkItem => ({
        query: each.query,
        quantity: each.quantity ?? quantity,
        state: "waiting",
        chosen: 1,
        copies: {},
      }),
    );
  const active = items[0]?.query.item_code ?? wanted[0]?.query.item_code ?? work.active;
  return { ...work, items: [...work.items, ...items], active, quantity };
}

function removed(work: Work, code: string): Work {
  const at = work.items.findIndex((item) => item.query.item_code === code);
  if (at < 0) return work;
  const items = work.items.filter((item) => item.query.item_code !== code);
  const next = items[Math.min(at, items.length - 1)]?.query.item_code ?? null;
  return { ...work, items, active: work.active === code ? next : work.active };
}

/** Take a file's routings, of several of one item the first, as working copies: of listed items beside their candidates. */
function withOpened(work: Work, routings: OpenedRouting[]): Work {
  const byCode = new Map([...routings].reverse().map((each) => [each.item_code, each]));
  const items = work.items.map((item) => {
    const routing = byCode.get(item.query.item_code);
    byCode.delete(item.query.item_code);
    return routing ? withOwn(item, draftFrom(routing.operations), routing.quantity) : item;
  });
  for (const routing of [...byCode.values()].reverse().slice(0, Math.max(0, MOST_LISTED - items.length))) {
    items.push({
      query: { item_code: routing.item_code },
      quantity: routing.quantity ?? work.quantity,
      state: "opened",
      chosen: OWN,
      copies: { [OWN]: beginning(draftFrom(routing.operations)) },
    });
  }
  return { ...work, items, active: routings[0]?.item_code ?? work.active };
}

function withOwn(item: WorkItem, draft: Draft, quantity?: number | null): WorkItem {
  const before = item.copies[OWN];
  const history = before ? edited(before, { kind: "replace", draft }) : beginning(draft);
  const { decided: _, ...open } = item;
  return { ...open, quantity: quantity ?? item.quantity, chosen: OWN, copies: { ...item.copies, [OWN]: history } };
}

function answered(work: Work, response: PredictionResponse, quantity: number): Work {
  const answers = new Map(response.predictions.map((each) => [each.item_code, each]));
  return changed(work, (item) => {
    const prediction = answers.get(item.query.item_code);
    if (!prediction || item.state !== "waiting") return item;
    const first = prediction.candidates?.[0]?.rank;
    return {
      ...item,
      state: "answered",
      prediction,
      predictionId: response.prediction_id,
      modelVersion: response.model_version,
      askedQuantity: quantity,
      chosen: item.copies[OWN] ? OWN : (first ?? OWN),
    };
  });
}

/** Ask anew; what was edited stays as the planner's own copy. */
function askedAgain(item: WorkItem, query: ItemQuery): WorkItem {
  const history = historyOf(item);
  const candidate = candidateOf(item);
  const isWorthKeeping = history && (item.chosen === OWN || (candidate && !isUnchanged(history.present, candidate)));
  const kept = isWorthKeeping ? history : item.copies[OWN];
  return {
    query,
    quantity: item.quantity,
    state: "waiting",
    chosen: kept ? OWN : 1,
    copies: kept ? { [OWN]: kept } : {},
  };
}
