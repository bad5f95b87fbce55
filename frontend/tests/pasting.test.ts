import { describe, expect, it } from "vitest";
import { pasted } from "../src/planner/pasting";

const numeric = new Set(["OUTDIAMETER"]);

describe("what is pasted", () => {
  it("is codes, one a line or between commas, each asked once", () => {
    const found = pasted("A1\nB2, C3;A1\r\n\n  D4  ", numeric);
    expect(found.items.map((each) => each.item_code)).toEqual(["A1", "B2", "C3", "D4"]);
    expect(found.repeated).toBe(1);
  });

  it("is at most fifty items", () => {
    const found = pasted(Array.from({ length: 60 }, (_, at) => `X${at}`).join("\n"), numeric);
    expect([found.items.length, found.dropped]).toEqual([50, 10]);
  });

  it("is rows of attributes under a heading, with numbers only where the attribute is one", () => {
    const found = pasted("item_code\tPART_TYPE\tOUTDIAMETER\nN1\t014\t1,050.5\nN2\t\t\n\t14\t5", numeric);
    expect(found.items).toEqual([
      { item_code: "N1", attributes: { PART_TYPE: "014", OUTDIAMETER: 1050.5 } },
      { item_code: "N2" },
    ]);
  });

  it("leaves what is no number for the service to name", () => {
    const found = pasted("code\tOUTDIAMETER\nN1\tabout 50", numeric);
    expect(found.items[0]?.attributes).toEqual({ OUTDIAMETER: "about 50" });
  });
});
