import { describe, expect, it } from "vitest";
import type { Candidate } from "../src/api/client";
import {
  asDecided,
  beginning,
  type DraftOperation,
  edited,
  isUnchanged,
  minutesFrom,
  orderMinutes,
  redone,
  undone,
} from "../src/planner/draft";

function candidate(codes: string[]): Candidate {
  const range = (value: number) => ({ value, low: value / 2, high: value * 2, planned: null });
  return {
    rank: 1,
    operations: codes.map((operation_code, at) => ({
      sequence: (at + 1) * 10,
      operation_code,
      operation_name: null,
      resource_code: "A-01",
      inside: true,
      setup_minutes: range(10),
      run_minutes_per_unit: range(2),
      wait_minutes: 1,
      move_minutes: 1,
      queue_minutes: 1,
    })),
  } as unknown as Candidate;
}

const codes = (operations: DraftOperation[]) => operations.map((each) => each.operation_code).join("");

describe("the working copy of a candidate", () => {
  const given = candidate(["A", "B", "C"]);

  it("begins as the candidate and knows when it is no longer", () => {
    const history = beginning(given);
    expect(isUnchanged(history.present, given)).toBe(true);
    expect(isUnchanged(edited(history, { kind: "remove", at: 1 }).present, given)).toBe(false);
  });

  it("undoes and redoes every kind of edit, and a new edit forgets what was undone", () => {
    let history = beginning(given);
    history = edited(history, { kind: "move", from: 0, to: 2 });
    expect(codes(history.present.operations)).toBe("BCA");
    history = edited(history, { kind: "set", at: 0, change: { setup_minutes: 3.5 } });
    history = edited(history, { kind: "remove", at: 1 });
    expect(codes(history.present.operations)).toBe("BA");
    const back = undone(undone(undone(history)));
    expect(isUnchanged(back.present, given)).toBe(true);
    expect(codes(redone(back).present.operations)).toBe("BCA");
    expect(edited(back, { kind: "remove", at: 0 }).future).toEqual([]);
  });

  it("takes no step for an edit that changes nothing, and keeps fifty", () => {
    let history = beginning(given);
    expect(edited(history, { kind: "set", at: 0, change: { setup_minutes: 10 } })).toBe(history);
    expect(edited(history, { kind: "move", from: 1, to: 1 })).toBe(history);
    for (let minutes = 11; minutes < 90; minutes++)
      history = edited(history, { kind: "set", at: 0, change: { setup_minutes: minutes } });
    expect(history.past.length).toBe(50);
  });

  it("numbers a decision's operations anew and leaves out what is the page's own", () => {
    const decided = asDecided(edited(beginning(given), { kind: "remove", at: 0 }).present);
    expect(decided.map((each) => each.sequence)).toEqual([10, 20]);
    expect(decided[0]).not.toHaveProperty("key");
  });

  it("adds up an order's minutes", () => {
    expect(orderMinutes(beginning(given).present, 5)).toBe(3 * (10 + 2 * 5 + 3));
  });
});

describe("typed minutes", () => {
  it.each([
    ["0", 0],
    ["2.5", 2.5],
    ["2,5", 2.5],
    ["10000", 10000],
    ["10000.1", null],
    ["-1", null],
    ["1e3", null],
    ["", null],
    ["abc", null],
  ])("reads %s as %s", (text, value) => {
    expect(minutesFrom(text)).toBe(value);
  });
});
