/** Which rows of a long table are selected: with the keyboard or the mouse, one, several, or a range. */

export interface Selection {
  focus: number; // where the keyboard is
  anchor: number; // where a range begins
  rows: ReadonlySet<number>;
}

export const NOTHING_SELECTED: Selection = { focus: 0, anchor: 0, rows: new Set() };

/** Return the selection after going to a row: it alone, it too or no longer, or all from the anchor to it. */
export function selectedBy(before: Selection, at: number, how: "only" | "toggle" | "range"): Selection {
  if (how === "only") return { focus: at, anchor: at, rows: new Set([at]) };
  if (how === "toggle") {
    const rows = new Set(before.rows);
    if (!rows.delete(at)) rows.add(at);
    return { focus: at, anchor: at, rows };
  }
  const [first, last] = [Math.min(before.anchor, at), Math.max(before.anchor, at)];
  const range = Array.from({ length: last - first + 1 }, (_, away) => first + away);
  return { focus: at, anchor: before.anchor, rows: new Set(range) };
}

export function inSelection(selection: Selection, at: number): boolean {
  return selection.rows.has(at);
}
