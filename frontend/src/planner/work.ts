/** The planner's work: the items of the list, what was answered, and the working copies. */

import type { Candidate, ItemPrediction, ItemQuery } from "../api/client";
import { beginning, draftOf, type FiledOperation, type History, isUnchanged } from "./draft";

export const MOST_LISTED = 1_000;
/** The rank of the planner's own copy: from a file, written by hand, or kept from before an item was asked again. */
export const OWN = 0;

export type Outcome = "accepted" | "edited" | "rejected";

export interface Complained {
  code: string;
  detail: string;
}

export interface WorkItem {
  query: ItemQuery;
  quantity: number; // pieces of the order
  state: "waiting" | "answered" | "failed" | "opened"; // opened: from a file, not asked for
  prediction?: ItemPrediction;
  predictionId?: string;
  modelVersion?: string;
  askedQuantity?: number; // that the answer's minutes of an order are for
  complaint?: Complained;
  chosen: number; // rank of the candidate that is looked at
  copies: Record<number, History>; // by rank; only what was edited
  decided?: { outcome: Outcome; rank: number };
}

export interface Work {
  items: WorkItem[];
  active: string | null; // an item's code
  quantity: number; // for the next items
  overtaken: string[]; // items whose change here gave way to another tab's
}

export interface OpenedRouting {
  item_code: string;
  quantity?: number | null;
  operations: FiledOperation[];
}

export const EMPTY: Work = { items: [], active: null, quantity: 1, overtaken: [] };

/** Return the candidate that is looked at; none where it is the planner's own copy. */
export function candidateOf(item: WorkItem): Candidate | undefined {
  return item.prediction?.candidates?.find((each) => each.rank === item.chosen);
}

/** Return the working copy of the chosen candidate, untouched where nobody edited it. */
export function historyOf(item: WorkItem, rank = item.chosen): History | undefined {
  const candidate = item.prediction?.candidates?.find((each) => each.rank === rank);
  return item.copies[rank] ?? (candidate && beginning(draftOf(candidate)));
}

/** Return the ranks that can be looked at: the candidates', then the planner's own. */
export function ranksOf(item: WorkItem): number[] {
  const ranks = item.prediction?.candidates?.map((each) => each.rank) ?? [];
  return item.copies[OWN] ? [...ranks, OWN] : ranks;
}

/** Return whether the copy of a rank is no longer what was proposed. */
export function isEdited(item: WorkItem, rank = item.chosen): boolean {
  const candidate = item.prediction?.candidates?.find((each) => each.rank === rank);
  const copy = item.copies[rank];
  return rank === OWN || Boolean(candidate && copy && !isUnchanged(copy.present, candidate));
}

export function isUndecided(item: WorkItem): boolean {
  return !item.decided && item.predictionId !== undefined;
}

/** Return the next item, going round from the active one, that waits for a decision. */
export function nextUndecided(work: Work, direction: 1 | -1 = 1): string | null {
  const count = work.items.length;
  const from = work.items.findIndex((item) => item.query.item_code === work.active);
  for (let away = 1; away <= count; away++) {
    const item = work.items[(from + direction * away + count * 2) % count];
    if (item && isUndecided(item) && item.query.item_code !== work.active) return item.query.item_code;
  }
  return null;
}
