import { describe, expect, it } from "vitest";
import { isAsKept, type Kept, merged, NOTHING_KEPT, rebased } from "../src/planner/merging";
import { type Step, stepped } from "../src/planner/steps";
import type { Work } from "../src/planner/work";
import { response, waiting } from "./examples";

/** The work as the browser gives it back: equal, but other objects. */
const kept = (work: Work, revision: number, changed: string[], before: Kept): Kept => ({
  work: structuredClone(work),
  revision,
  revisions: new Map(
    work.items.map(({ query: { item_code } }) => [
      item_code,
      changed.includes(item_code) ? revision : (before.revisions.get(item_code) ?? revision),
    ]),
  ),
});
const listed = (...codes: string[]): Work => ({
  items: codes.map((code) => waiting(code)),
  active: codes[0] ?? null,
  quantity: 1,
  overtaken: [],
});
const answered = (work: Work, ...codes: string[]) =>
  stepped(work, { kind: "answer", response: response(codes), quantity: 1 });
const removed = (work: Work, code: string) => stepped(work, { kind: "edit", code, edit: { kind: "remove", at: 0 } });
const codes = (work: Work) => work.items.map((item) => item.query.item_code);

describe("two tabs with one list", () => {
  const work = answered(listed("A", "B"), "A", "B");
  const base: Kept = { ...kept(work, 1, ["A", "B"], NOTHING_KEPT), work };

  it("join edits of different items", () => {
    const mine = removed(work, "A");
    const theirs = kept(removed(work, "B"), 2, ["B"], base);
    const both = merged(mine, base, theirs);
    expect(both.items[0]).toBe(mine.items[0]);
    expect(both.items[1]).toEqual(theirs.work.items[1]);
    expect(both.overtaken).toEqual([]);
  });

  it("let what is kept stand where both edited an item, and say so", () => {
    const theirs = kept(
      stepped(work, { kind: "edit", code: "A", edit: { kind: "move", from: 0, to: 1 } }),
      2,
      ["A"],
      base,
    );
    const both = merged(removed(work, "A"), base, theirs);
    expect(both.items[0]).toEqual(theirs.work.items[0]);
    expect(both.overtaken).toEqual(["A"]);
    const seen: Step = { kind: "seen" };
    expect(stepped(both, seen).overtaken).toEqual([]);
  });

  it("make no fuss where both heard the same answer", () => {
    const asked = listed("A");
    const before: Kept = { ...kept(asked, 1, ["A"], NOTHING_KEPT), work: asked };
    const both = merged(answered(asked, "A"), before, kept(answered(asked, "A"), 2, ["A"], before));
    expect([both.items[0]?.state, both.overtaken]).toEqual(["answered", []]);
  });

  it("take off what either took off, unless the other worked on it", () => {
    const without = stepped(work, { kind: "remove", code: "A" });
    expect(codes(merged(without, base, kept(work, 2, [], base)))).toEqual(["B"]);
    expect(codes(merged(work, base, kept(without, 2, [], base)))).toEqual(["B"]);
    expect(codes(merged(removed(work, "A"), base, kept(without, 2, [], base)))).toEqual(["B", "A"]);
    expect(codes(merged(without, base, kept(removed(work, "A"), 2, ["A"], base)))).toEqual(["A", "B"]);
  });

  it("keep what both added, and each its own place in the list", () => {
    const add = (code: string): Step => ({ kind: "add", wanted: [{ query: { item_code: code } }], quantity: 1 });
    const theirs = kept(stepped(work, add("D")), 2, ["D"], base);
    const both = merged(stepped(work, add("C")), base, theirs);
    expect([codes(both), both.active]).toEqual([["A", "B", "D", "C"], "C"]);
  });

  it("have nothing more to write once they are joined, so that they do not write in turn for ever", () => {
    const theirs = kept(removed(work, "B"), 2, ["B"], base);
    const joined = merged(work, base, theirs);
    expect(isAsKept(joined, rebased(base, theirs, joined.active).work)).toBe(true);
    const mine = merged(removed(work, "A"), base, theirs);
    expect(isAsKept(mine, rebased(base, theirs, mine.active).work)).toBe(false);
  });
});
