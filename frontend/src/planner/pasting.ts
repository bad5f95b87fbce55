/** What a planner pastes: item codes, one a line or between commas, or rows of attributes with a heading, from Excel. */

import type { ItemQuery } from "../api/client";

export const MOST_ITEMS = 50;
const CODE_HEADINGS = new Set(["item_code", "itemcode", "item_cd", "code", "품목코드", "품번"]);

export interface Pasted {
  items: ItemQuery[];
  dropped: number; // beyond the limit
  repeated: number;
}

/** Read what was pasted; `numeric` names the attributes that are numbers, all others are text even where they look so. */
export function pasted(text: string, numeric: ReadonlySet<string>): Pasted {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line.trim());
  const headings = lines[0]?.split("\t").map((cell) => cell.trim()) ?? [];
  const codeAt = headings.findIndex((heading) => CODE_HEADINGS.has(heading.toLowerCase()));
  const isTable = codeAt >= 0 && lines.length > 1;
  const found = isTable ? rows(lines.slice(1), headings, codeAt, numeric) : codes(lines);
  const unique = [...new Map(found.map((item) => [item.item_code, item])).values()];
  return {
    items: unique.slice(0, MOST_ITEMS),
    dropped: Math.max(0, unique.length - MOST_ITEMS),
    repeated: found.length - unique.length,
  };
}

function codes(lines: string[]): ItemQuery[] {
  return lines
    .flatMap((line) => line.split(/[\t,;]/))
    .map((code) => code.trim())
    .filter(Boolean)
    .map((item_code) => ({ item_code }));
}

function rows(lines: string[], headings: string[], codeAt: number, numeric: ReadonlySet<string>): ItemQuery[] {
  return lines.flatMap((line) => {
    const cells = line.split("\t").map((cell) => cell.trim());
    const item_code = cells[codeAt];
    if (!item_code) return [];
    const attributes = Object.fromEntries(
      headings.flatMap((heading, at) => {
        const cell = cells[at];
        if (at === codeAt || !heading || !cell) return [];
        return [[heading, numeric.has(heading) ? numberFrom(cell) : cell]];
      }),
    );
    return [Object.keys(attributes).length ? { item_code, attributes } : { item_code }];
  });
}

/** Excel writes numbers with commas between thousands; what is no number goes out as it is, for the service to name. */
function numberFrom(cell: string): string | number {
  const plain = /^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(cell) ? cell.replaceAll(",", "") : cell;
  return /^-?\d+(\.\d+)?$/.test(plain) ? Number(plain) : cell;
}
