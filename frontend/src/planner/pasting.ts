/** What a planner pastes: item codes, one a line or between commas, or rows of attributes with a heading, from Excel. */

import type { ItemQuery } from "../api/client";
import { numberFrom, piecesFrom, saysDecimalComma } from "./numbers";
import { cellsOf, separatorOf } from "./spreadsheet";

export const MOST_ITEMS = 50;
const CODE_HEADINGS = ["itemcode", "itemcd", "item", "code", "partno", "품번", "품목코드", "품목", "품목번호"];
const QUANTITY_HEADINGS = ["quantity", "qty", "orderqty", "pieces", "수량", "주문수량"];
const UNIT_ENDING = "unit";

export interface Attribute {
  name: string;
  label?: string | null | undefined;
  kind: string;
}

/** An item to ask for, with the pieces of its order where the row says them. */
export interface Wanted {
  query: ItemQuery;
  quantity?: number;
}

export interface Pasted {
  wanted: Wanted[];
  dropped: number; // beyond the limit
  repeated: number;
  ignoredHeadings: string[]; // columns that are no attribute
  isFirstColumnOnly: boolean; // several columns, but no heading says what they are
}

type Meaning = { is: "code" | "quantity" | "nothing" } | { is: "attribute" | "unit"; attribute: Attribute };
type Attributes = NonNullable<ItemQuery["attributes"]>;

/** Read what was pasted; rows without a code get one from `newCode`. */
export function pasted(text: string, attributes: readonly Attribute[], newCode: (number: number) => string): Pasted {
  const lines = text.replace(/\r\n?/g, "\n");
  const firstLine = lines.trimStart().split("\n", 1)[0] ?? "";
  const rows = cellsOf(lines, separatorOf(firstLine));
  const headings = rows[0] ?? [];
  const meanings = headings.map((heading) => meaningOf(heading, attributes));
  const isTable = rows.length > 1 && meanings.some((each) => each.is === "code" || each.is === "attribute");
  if (!isTable) return { ...limited(codes(lines)), ignoredHeadings: [], isFirstColumnOnly: hasColumns(lines) };
  const ignoredHeadings = headings.filter((heading, at) => heading && meanings[at]?.is === "nothing");
  return { ...limited(wantedFrom(rows.slice(1), meanings, newCode)), ignoredHeadings, isFirstColumnOnly: false };
}

function limited(found: Wanted[]) {
  const unique = [...new Map(found.map((each) => [each.query.item_code, each])).values()];
  return {
    wanted: unique.slice(0, MOST_ITEMS),
    dropped: Math.max(0, unique.length - MOST_ITEMS),
    repeated: found.length - unique.length,
  };
}

function hasColumns(lines: string): boolean {
  return lines.trim().includes("\n") && lines.includes("\t");
}

/** Codes without a heading; of several lines with columns only the first column, since the others may be anything. */
function codes(lines: string): Wanted[] {
  const rows = hasColumns(lines)
    ? cellsOf(lines, "\t").map((row) => row.slice(0, 1))
    : lines.split("\n").map((line) => line.split(/[\t,;]/));
  return rows
    .flat()
    .map((code) => code.trim().replace(/^"(.*)"$/, "$1"))
    .filter(Boolean)
    .map((item_code) => ({ query: { item_code } }));
}

/** Return what a column holds by its heading: in any case, with blanks or underscores, with a unit in brackets. */
function meaningOf(heading: string, attributes: readonly Attribute[]): Meaning {
  const told = simplified(heading);
  const attribute = attributes.find((each) => simplified(each.name) === told || simplified(each.label ?? "") === told);
  if (!told) return { is: "nothing" };
  if (attribute) return { is: "attribute", attribute };
  if (CODE_HEADINGS.includes(told)) return { is: "code" };
  if (QUANTITY_HEADINGS.includes(told)) return { is: "quantity" };
  const measured = attributes.find((each) => simplified(each.name) + UNIT_ENDING === told);
  return measured ? { is: "unit", attribute: measured } : { is: "nothing" };
}

function simplified(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[([].*?[)\]]/g, "")
    .replace(/[\s_.-]/g, "");
}

function wantedFrom(rows: string[][], meanings: Meaning[], newCode: (number: number) => string): Wanted[] {
  let made = 0;
  const hasDecimalCommas = meanings.some(
    (meaning, at) =>
      meaning.is === "attribute" &&
      meaning.attribute.kind === "numeric" &&
      rows.some((row) => saysDecimalComma(row[at] ?? "")),
  );
  return rows.flatMap((row) => {
    const item_code = row[meanings.findIndex((each) => each.is === "code")];
    const attributes = attributesOf(row, meanings, hasDecimalCommas);
    const isEmpty = Object.keys(attributes).length === 0;
    if (!item_code && isEmpty) return [];
    const quantity = piecesFrom(row[meanings.findIndex((each) => each.is === "quantity")] ?? "");
    const code = item_code || newCode(++made);
    return [
      { query: isEmpty ? { item_code: code } : { item_code: code, attributes }, ...(quantity ? { quantity } : {}) },
    ];
  });
}

function attributesOf(row: string[], meanings: Meaning[], hasDecimalCommas: boolean): Attributes {
  const attributes: Attributes = {};
  meanings.forEach((meaning, at) => {
    const cell = row[at];
    if (meaning.is !== "attribute" || !cell) return;
    const unitAt = meanings.findIndex((each) => each.is === "unit" && each.attribute === meaning.attribute);
    attributes[meaning.attribute.name] = valueFrom(cell, meaning.attribute, row[unitAt], hasDecimalCommas);
  });
  return attributes;
}

/** Return a cell as its attribute's kind; what is no number goes out as it is, for the service to name. */
export function valueFrom(
  cell: string,
  attribute: Attribute,
  unit?: string,
  hasDecimalCommas = false,
): string | number | { value: number; unit: string } {
  if (attribute.kind !== "numeric") return cell;
  const [, digits = cell, own = ""] = /^([-+.,\d]+)\s*([^-+.,\d].*)?$/.exec(cell) ?? [];
  const value = numberFrom(digits, hasDecimalCommas);
  if (value === null) return cell;
  const asked = own.trim() || unit;
  return asked ? { value, unit: asked } : value;
}
