/** Two tabs, one list of work: what this tab made is joined with what another one kept meanwhile. */

import type { Work, WorkItem } from "./work";

/** The work as it is kept, or as this tab last knew it to be. */
export interface Kept {
  work: Work;
  revision: number; // of the whole; every write makes the next
  revisions: ReadonlyMap<string, number>; // of each item: the revision that wrote it
}

export const NOTHING_KEPT: Kept = {
  work: { items: [], active: null, quantity: 1, overtaken: [] },
  revision: 0,
  revisions: new Map(),
};

/** Join what this tab made of `base` with what is kept now; where both changed an item, the kept one stands and is named. */
export function merged(mine: Work, base: Kept, theirs: Kept): Work {
  const [before, ours] = [itemsByCode(base.work), itemsByCode(mine)];
  const overtaken: string[] = [];
  const items = theirs.work.items.flatMap((other) => {
    const code = other.query.item_code;
    const own = ours.get(code);
    ours.delete(code);
    if (theirs.revisions.get(code) === base.revisions.get(code)) return own ? [own] : [];
    if (own && own !== before.get(code) && hasOwnWords(own, before.get(code))) overtaken.push(code);
    return [other];
  });
  for (const [code, own] of ours) {
    const isRemovedByThem = own === before.get(code);
    if (!isRemovedByThem) items.push(own);
  }
  const isActiveThere = items.some((item) => item.query.item_code === mine.active);
  return {
    items,
    active: isActiveThere ? mine.active : theirs.work.active,
    quantity: mine.quantity,
    overtaken: [...new Set([...mine.overtaken, ...overtaken])],
  };
}

/** Return what is kept now in terms of the items that this tab holds already, so that only real changes are written. */
export function rebased(base: Kept, theirs: Kept, active: string | null): Kept {
  const before = itemsByCode(base.work);
  const items = theirs.work.items.map((other) => {
    const code = other.query.item_code;
    const isSame = theirs.revisions.get(code) === base.revisions.get(code);
    return isSame ? (before.get(code) ?? other) : other;
  });
  return { ...theirs, work: { ...theirs.work, items, active } };
}

/** Return whether there is nothing to write: the same items, the same place in the list. */
export function isAsKept(work: Work, kept: Work): boolean {
  return (
    work.active === kept.active &&
    work.quantity === kept.quantity &&
    work.items.length === kept.items.length &&
    work.items.every((item, at) => item === kept.items[at])
  );
}

function itemsByCode(work: Work): Map<string, WorkItem> {
  return new Map(work.items.map((item) => [item.query.item_code, item]));
}

/** Whether a person changed the item; that both tabs heard the same answer is nobody's loss. */
function hasOwnWords(item: WorkItem, before: WorkItem | undefined): boolean {
  return JSON.stringify(item.copies) !== JSON.stringify(before?.copies ?? {}) || item.decided !== before?.decided;
}
