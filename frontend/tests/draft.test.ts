import { describe, expect, it } from "vitest";
import {
  asRouting,
  beginning,
  type DraftOperation,
  draftFrom,
  draftOf,
  edited,
  isUnchanged,
  MOST_OPERATIONS,
  newOperation,
  orderTotals,
  predictedOf,
  redone,
  undone,
} from "../src/planner/draft";
import { candidate } from "./examples";

const codes = (operations: DraftOperation[]) => operations.map((each) => each.operation_code).join("");

describe("the working copy of a candidate", () => {
  const given = candidate(["A", "B", "C"]);
  const start = () => beginning(draftOf(given));

  it("begins as the candidate and knows when it is no longer", () => {
    expect(isUnchanged(start().present, given)).toBe(true);
    expect(isUnchanged(edited(start(), { kind: "remove", at: 1 }).present, given)).toBe(false);
  });

  it("undoes and redoes every kind of edit, and a new edit forgets what was undone", () => {
    let history = start();
    history = edited(history, { kind: "move", from: 0, to: 2 });
    expect(codes(history.present.operations)).toBe("BCA");
    history = edited(history, { kind: "set", at: 0, change: { setup_minutes: 3.5 } });
    history = edited(history, { kind: "remove", at: 1 });
    history = edited(history, { kind: "add", at: 1, operation: newOperation("N") });
    expect(codes(history.present.operations)).toBe("BNA");
    const back = undone(undone(undone(undone(history))));
    expect(isUnchanged(back.present, given)).toBe(true);
    expect(codes(redone(back).present.operations)).toBe("BCA");
    expect(redone(redone(redone(redone(back)))).present).toEqual(history.present);
    expect(edited(back, { kind: "remove", at: 0 }).future).toEqual([]);
  });

  it("takes no step for an edit that changes nothing, and keeps fifty", () => {
    let history = start();
    expect(edited(history, { kind: "set", at: 0, change: { setup_minutes: 10 } })).toBe(history);
    expect(edited(history, { kind: "move", from: 1, to: 1 })).toBe(history);
    expect(edited(history, { kind: "replace", draft: draftOf(given) })).toBe(history);
    for (let minutes = 11; minutes < 90; minutes++)
      history = edited(history, { kind: "set", at: 0, change: { setup_minutes: minutes } });
    expect(history.past.length).toBe(50);
  });

  it("grows to what a decision may hold and no further", () => {
    let history = start();
    for (let more = 0; more < 300; more++)
      history = edited(history, { kind: "add", at: 0, operation: newOperation("N") });
    expect(history.present.operations.length).toBe(MOST_OPERATIONS);
    expect(new Set(history.present.operations.map((each) => each.key)).size).toBe(MOST_OPERATIONS);
  });

  it("numbers its operations anew and leaves out what is the page's own", () => {
    const routing = asRouting(edited(start(), { kind: "remove", at: 0 }).present);
    expect(routing.map((each) => each.sequence)).toEqual([10, 20]);
    expect(routing[0]).not.toHaveProperty("key");
  });

  it("comes back from a file as it went, whatever the order of the rows", () => {
    const routing = asRouting(draftOf(given));
    expect(asRouting(draftFrom([...routing].reverse()))).toEqual(routing);
  });

  it("adds up an order's minutes: setups once, run times for each piece", () => {
    expect(orderTotals(draftOf(given), 5)).toEqual({ setup: 30, run: 30, between: 9, lead: 69 });
  });

  it("knows what was predicted for a row where it moved or came from elsewhere, and nothing for another code", () => {
    const twice = candidate(["A", "B", "A"]);
    const [first, , third] = draftOf(twice).operations;
    if (!first || !third) throw new Error("three rows");
    expect(predictedOf(twice, third)?.sequence).toBe(30);
    expect(predictedOf(twice, { ...first, operation_code: "B" })?.sequence).toBe(20);
    expect(predictedOf(twice, newOperation("B"))?.sequence).toBe(20);
    expect(predictedOf(twice, newOperation("X"))).toBeUndefined();
    expect(predictedOf(undefined, first)).toBeUndefined();
  });
});
