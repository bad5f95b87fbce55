/** Where the work is kept between visits: the browser's database, each item by itself. */

import { createStore } from "idb-keyval";
import { type Kept, NOTHING_KEPT } from "./merging";
import { OWN, ranksOf, type Work, type WorkItem } from "./work";

const SHAPE = 2; // of what is kept; work of another shape is left behind
const LIST = "list";
const ITEM = "item:";

interface KeptList {
  shape: number;
  revision: number;
  codes: string[];
  active: string | null;
  quantity: number;
}

interface KeptItem {
  revision: number; // of the list when it was written
  item: WorkItem;
}

const store = createStore("routing-ml-planner", "work");

/** Read what is kept; nothing where there is nothing, or something of another shape. */
export function readKept(): Promise<Kept> {
  return store("readonly", async (rows) => {
    const list = await answerOf<KeptList | undefined>(rows.get(LIST));
    if (list?.shape !== SHAPE) return { ...NOTHING_KEPT, revision: list?.revision ?? 0 };
    const found = await Promise.all(list.codes.map((code) => answerOf<KeptItem | undefined>(rows.get(ITEM + code))));
    const kept = found.filter((each) => each !== undefined);
    const items = kept.map((each) => whole(each.item));
    return {
      work: { items, active: list.active, quantity: list.quantity, overtaken: [] },
      revision: list.revision,
      revisions: new Map(kept.map((each) => [each.item.query.item_code, each.revision])),
    };
  });
}

/** A choice that the item no longer has would show nothing. */
function whole(item: WorkItem): WorkItem {
  const ranks = ranksOf(item);
  return ranks.includes(item.chosen) || item.state === "waiting" ? item : { ...item, chosen: ranks[0] ?? OWN };
}

/** Write what differs from `before`, all of it or nothing; null where another tab has written since. */
export function keep(work: Work, before: Kept): Promise<Kept | null> {
  return store("readwrite", async (rows) => {
    const list = await answerOf<KeptList | undefined>(rows.get(LIST));
    if ((list?.revision ?? 0) !== before.revision) return null;
    if (list && list.shape !== SHAPE) rows.clear();
    const revision = before.revision + 1;
    const revisions = new Map(before.revisions);
    const known = new Map(before.work.items.map((item) => [item.query.item_code, item]));
    for (const item of work.items) {
      const code = item.query.item_code;
      if (known.get(code) !== item) {
        rows.put({ revision, item } satisfies KeptItem, ITEM + code);
        revisions.set(code, revision);
      }
      known.delete(code);
    }
    for (const code of known.keys()) {
      rows.delete(ITEM + code);
      revisions.delete(code);
    }
    const codes = work.items.map((item) => item.query.item_code);
    const kept: KeptList = { shape: SHAPE, revision, codes, active: work.active, quantity: work.quantity };
    rows.put(kept, LIST);
    await ended(rows.transaction);
    return { work, revision, revisions };
  });
}

function answerOf<Answer>(request: IDBRequest<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
