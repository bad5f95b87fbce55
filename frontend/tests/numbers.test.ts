import { describe, expect, it } from "vitest";
import { minutesFrom, minutesShown, numberFrom, piecesFrom, saysDecimalComma } from "../src/planner/numbers";

describe("typed minutes", () => {
  it.each([
    ["0", 0],
    ["2.5", 2.5],
    ["2,5", 2.5],
    [" 7. ", 7],
    [".5", 0.5],
    ["1,000", 1000],
    ["1.234,5", 1234.5],
    ["10000", 10000],
    ["10000.1", null],
    ["-1", null],
    ["1e3", null],
    ["", null],
    ["abc", null],
    ["1,2,3", null],
  ])("reads %s as %s", (text, value) => {
    expect(minutesFrom(text)).toBe(value);
  });

  it.each([
    [2.591623, "2.59"],
    [51.5612, "51.6"],
    [571.2345, "571"],
    [0.00012345, "0.000123"],
    [0.012345, "0.0123"],
    [0, "0"],
    [123.45, "123.45"], // typed so
    [2.125, "2.125"],
  ])("shows %d as %s", (value, text) => {
    expect(minutesShown(value)).toBe(text);
  });

  it("loses less than a hundredth of any time by showing it", () => {
    for (let value = 0.000123456; value < 10_000; value *= 1.7)
      expect(Math.abs(Number(minutesShown(value)) / value - 1)).toBeLessThan(0.01);
  });
});

describe("numbers of a spreadsheet", () => {
  it("takes a comma before three digits for thousands, unless its column says otherwise", () => {
    expect(numberFrom("1,234")).toBe(1234);
    expect(numberFrom("1,234", true)).toBe(1.234);
    expect([saysDecimalComma("12,5"), saysDecimalComma("1,234"), saysDecimalComma("1,234.5")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("has no order of nothing", () => {
    expect([piecesFrom("0"), piecesFrom("-3"), piecesFrom("0.5"), piecesFrom("1,200")]).toEqual([
      null,
      null,
      0.5,
      1200,
    ]);
  });
});
