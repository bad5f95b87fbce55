import { describe, expect, it } from "vitest";
import { asRouting, draftOf } from "../src/planner/draft";
import { type Step, stepped } from "../src/planner/steps";
import {
  candidateOf,
  EMPTY,
  historyOf,
  isEdited,
  MOST_LISTED,
  nextUndecided,
  OWN,
  ranksOf,
  type Work,
} from "../src/planner/work";
import { candidate, response } from "./examples";

const run = (work: Work, ...steps: Step[]) => steps.reduce(stepped, work);
const wanted = (...codes: string[]) => codes.map((item_code) => ({ query: { item_code } }));
const asked = (...codes: string[]) =>
  run(
    EMPTY,
    { kind: "add", wanted: wanted(...codes), quantity: 4 },
    { kind: "answer", response: response(codes), quantity: 4 },
  );
const only = (work: Work) => {
  const [item] = work.items;
  if (!item) throw new Error("the list is empty");
  return item;
};
const codes = (work: Work, rank?: number) =>
  historyOf(only(work), rank)?.present.operations.map((each) => each.operation_code);

describe("the list of work", () => {
  it("grows behind what is there, without a second of the same, up to its limit", () => {
    const work = run(asked("A"), { kind: "add", wanted: wanted("B", "A"), quantity: 2 });
    expect(work.items.map((item) => [item.query.item_code, item.quantity, item.state])).toEqual([
      ["A", 4, "answered"],
      ["B", 2, "waiting"],
    ]);
    expect(work.active).toBe("B");
    const many = Array.from({ length: 1_200 }, (_, at) => `X${at}`);
    expect(run(work, { kind: "add", wanted: wanted(...many), quantity: 1 }).items.length).toBe(MOST_LISTED);
  });

  it("goes on with the neighbour of an item that is taken off", () => {
    const work = run(asked("A", "B", "C"), { kind: "open", code: "B" }, { kind: "remove", code: "B" });
    expect(work.active).toBe("C");
    expect(run(work, { kind: "remove", code: "C" }).active).toBe("A");
  });

  it("takes an answer only for what still waits, and a failure too", () => {
    const work = asked("A");
    const other = response(["A"], [candidate(["Z"])]);
    const complaint = { code: "invalid-input", detail: "no" };
    expect(run(work, { kind: "answer", response: other, quantity: 1 })).toBe(work);
    expect(run(work, { kind: "fail", codes: ["A"], complaint })).toBe(work);
  });

  it("steps to what nobody decided on, round the end of the list", () => {
    const work = run(
      asked("A", "B", "C"),
      { kind: "decide", code: "A", outcome: "accepted", rank: 1 },
      { kind: "open", code: "C" },
    );
    expect(nextUndecided(work)).toBe("B");
    expect(nextUndecided(run(work, { kind: "decide", code: "B", outcome: "rejected", rank: 1 }))).toBeNull();
  });
});

describe("an item", () => {
  const remove = { kind: "edit", code: "A", edit: { kind: "remove", at: 0 } } as const;

  it("keeps what was edited of each candidate while another is looked at", () => {
    const work = run(asked("A"), remove, { kind: "choose", code: "A", rank: 2 });
    expect(codes(work)).toEqual(["A", "C"]);
    expect(isEdited(only(work))).toBe(false);
    const back = run(work, { kind: "choose", code: "A", rank: 1 });
    expect(codes(back)).toEqual(["B"]);
    expect(isEdited(only(back))).toBe(true);
    expect(codes(run(back, { kind: "undo", code: "A" }))).toEqual(["A", "B"]);
    expect(isEdited(only(run(back, { kind: "undo", code: "A" })))).toBe(false);
  });

  it("wants another decision after a change, and none for an undo of nothing", () => {
    const decided = run(asked("A"), { kind: "decide", code: "A", outcome: "accepted", rank: 1 });
    expect(only(run(decided, { kind: "undo", code: "A" })).decided).toBeDefined();
    expect(only(run(decided, remove)).decided).toBeUndefined();
  });

  it("that is asked again keeps the edited routing beside the new candidates", () => {
    const work = run(asked("A"), remove, { kind: "again", code: "A" });
    expect(only(work).state).toBe("waiting");
    const answered = run(work, { kind: "answer", response: response(["A"]), quantity: 4 });
    expect(ranksOf(only(answered))).toEqual([1, 2, OWN]);
    expect([only(answered).chosen, codes(answered)]).toEqual([OWN, ["B"]]);
    const untouched = run(asked("A"), { kind: "again", code: "A" });
    expect(ranksOf(only(untouched))).toEqual([]);
  });

  it("for which the model abstains can be written by hand", () => {
    const [item] = response(["A"]).predictions;
    const nothing = {
      ...response([]),
      predictions: [{ ...item, item_code: "A", status: "abstained" as const, candidates: [] }],
    };
    const work = run(
      EMPTY,
      { kind: "add", wanted: wanted("A"), quantity: 1 },
      { kind: "answer", response: nothing as never, quantity: 1 },
      { kind: "own", code: "A" },
    );
    expect(codes(work)).toEqual([]);
    expect(candidateOf(only(work))).toBeUndefined();
    expect(isEdited(only(work))).toBe(true);
  });
});

describe("a file's routings", () => {
  const operations = asRouting(draftOf(candidate(["X", "Y"])));

  it("come back as working copies, the very same routing", () => {
    const work = run(EMPTY, { kind: "openFile", routings: [{ item_code: "A", quantity: 7, operations }] });
    expect([only(work).state, only(work).quantity, work.active]).toEqual(["opened", 7, "A"]);
    expect(asRouting(historyOf(only(work))?.present ?? { operations: [] })).toEqual(operations);
  });

  it("stand beside the candidates of a listed item, and the copy before can be had back", () => {
    const work = run(asked("A"), { kind: "openFile", routings: [{ item_code: "A", operations }] });
    expect([ranksOf(only(work)), codes(work), only(work).quantity]).toEqual([[1, 2, OWN], ["X", "Y"], 4]);
    const other = asRouting(draftOf(candidate(["Z"])));
    const twice = run(work, { kind: "openFile", routings: [{ item_code: "A", operations: other }] });
    expect(codes(twice)).toEqual(["Z"]);
    expect(codes(run(twice, { kind: "undo", code: "A" }))).toEqual(["X", "Y"]);
  });
});
