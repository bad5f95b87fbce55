import { describe, expect, it } from "vitest";
import { aligned, differences } from "../src/planner/compare";

const routing = (codes: string) => [...codes].map((operation_code) => ({ operation_code }));
const table = (...routings: string[]) =>
  aligned(routings.map(routing)).map((row) => row.cells.map((cell) => cell?.operation_code ?? ".").join(""));

describe("routings beside each other", () => {
  it("share rows where they share operations, in every routing's order", () => {
    expect(table("ABCD", "ACD", "ABXD")).toEqual(["AAA", "B.B", "CC.", "..X", "DDD"]);
  });

  it("keep each routing whole whatever they share", () => {
    const random = (seed: number) =>
      Array.from({ length: 9 }, (_, at) => "ABCD"[(seed * (at + 3) * 7 + at) % 4]).join("");
    for (let seed = 1; seed < 40; seed++) {
      const routings = [random(seed), random(seed + 5), random(seed + 11)];
      const rows = table(...routings);
      routings.forEach((each, at) => {
        expect(
          rows
            .map((row) => row[at])
            .join("")
            .replaceAll(".", ""),
        ).toBe(each);
      });
      expect(rows.every((row) => new Set(row.replaceAll(".", "")).size === 1)).toBe(true);
    }
  });

  it("say what one adds to the other and what it lacks", () => {
    const told = differences(routing("ABC"), routing("ACD")).map((each) => `${each.is[0]}${each.code}`);
    expect(told).toEqual(["sA", "mB", "sC", "aD"]);
  });

  it("are nothing where there is nothing", () => {
    expect(table("", "")).toEqual([]);
    expect(table("", "A")).toEqual([".A"]);
  });
});
