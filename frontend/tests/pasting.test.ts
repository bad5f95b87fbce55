import { describe, expect, it } from "vitest";
import { newCodes } from "../src/planner/add/newCode";
import { pasted } from "../src/planner/pasting";

const attributes = [
  { name: "PART_TYPE", kind: "categorical" },
  { name: "OUTDIAMETER", label: "외경", kind: "numeric" },
  { name: "ITEM_NM", kind: "text" },
];
const read = (text: string) => pasted(text, attributes, (number) => `NEW-${number}`);
const queries = (text: string) => read(text).wanted.map((each) => each.query);

describe("pasted codes", () => {
  it("stand one a line or between commas, and each is asked once", () => {
    expect(queries("A1\nB2, C3;A1\r\n\n  D4  ").map((each) => each.item_code)).toEqual(["A1", "B2", "C3", "D4"]);
    expect(read("A1\nA1").repeated).toBe(1);
  });

  it("are at most fifty", () => {
    const found = read(Array.from({ length: 60 }, (_, at) => `X${at}`).join("\n"));
    expect([found.wanted.length, found.dropped]).toEqual([50, 10]);
  });

  it("stay text however much they look like numbers", () => {
    expect(queries("0000517932\n1E5").map((each) => each.item_code)).toEqual(["0000517932", "1E5"]);
  });

  it("are the first column only where several lines have columns without a heading", () => {
    const found = read("A1\tSEAL\nB2\tRING");
    expect(found.wanted.map((each) => each.query.item_code)).toEqual(["A1", "B2"]);
    expect(found.isFirstColumnOnly).toBe(true);
    expect(queries("A1\tB2\tC3").length).toBe(3);
  });
});

describe("pasted rows with a heading", () => {
  it("are attributes, numbers only where the attribute is one, and blank cells say nothing", () => {
    expect(queries("item_code\tPART_TYPE\tOUTDIAMETER\nN1\t014\t1,050.5\nN2\t\t\n\t\t")).toEqual([
      { item_code: "N1", attributes: { PART_TYPE: "014", OUTDIAMETER: 1050.5 } },
      { item_code: "N2" },
    ]);
  });

  it("may be called in any case, by their label, with a unit in brackets, and in Korean", () => {
    const text = "품번\tpart type\t외경 (mm)\t수량\nN1\tKBM\t12\t20";
    expect(read(text).wanted).toEqual([
      { query: { item_code: "N1", attributes: { PART_TYPE: "KBM", OUTDIAMETER: 12 } }, quantity: 20 },
    ]);
  });

  it("without a code are new items with working codes", () => {
    expect(queries("PART_TYPE\tOUTDIAMETER\nKBM\t5\nKBN\t6").map((each) => each.item_code)).toEqual(["NEW-1", "NEW-2"]);
    expect(queries("품번\t외경\nA\t5\n\t6")[1]?.item_code).toBe("NEW-1");
  });

  it("have decimal commas in all numbers where one number can only be read so", () => {
    const text = "code\tOUTDIAMETER\nA\t12,5\nB\t1,234\nC\t1.234,5";
    expect(queries(text).map((each) => each.attributes?.OUTDIAMETER)).toEqual([12.5, 1.234, 1234.5]);
  });

  it("take a unit from the cell or from a column of its own", () => {
    expect(queries("code\tOUTDIAMETER\nA\t2.5 inch").map((each) => each.attributes)).toEqual([
      { OUTDIAMETER: { value: 2.5, unit: "inch" } },
    ]);
    expect(queries("code\tOUTDIAMETER\tOUTDIAMETER_UNIT\nA\t2\tinch").map((each) => each.attributes)).toEqual([
      { OUTDIAMETER: { value: 2, unit: "inch" } },
    ]);
  });

  it("may have quoted cells with tabs, line ends and quotes in them", () => {
    const text = 'code\tITEM_NM\tPART_TYPE\nA\t"SEAL ""X""\nsecond\tline"\tKBM\nB\t5" ring\tKBN';
    expect(queries(text)).toEqual([
      { item_code: "A", attributes: { ITEM_NM: 'SEAL "X"\nsecond\tline', PART_TYPE: "KBM" } },
      { item_code: "B", attributes: { ITEM_NM: '5" ring', PART_TYPE: "KBN" } },
    ]);
  });

  it("name the columns that are no attribute, and leave what is no number for the service to name", () => {
    const found = read("code;OUTDIAMETER;Colour\nA;about 50;red");
    expect(found.ignoredHeadings).toEqual(["Colour"]);
    expect(found.wanted[0]?.query.attributes).toEqual({ OUTDIAMETER: "about 50" });
  });
});

describe("working codes", () => {
  it("go on where those of the list end", () => {
    const code = newCodes(new Set(["NEW-0302-2", "NEW-0302-x", "A"]), new Date(2026, 2, 2));
    expect([code(1), code(2)]).toEqual(["NEW-0302-3", "NEW-0302-4"]);
  });
});
