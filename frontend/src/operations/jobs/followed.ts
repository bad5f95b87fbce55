/** Following a log that only grows: pages from where the last one ended, until there is nothing new. */

interface Page<Row> {
  items: Row[];
  total: number;
}

const MOST_PAGES = 40;

export async function followed<Row>(known: Row[], page: (offset: number) => Promise<Page<Row>>): Promise<Row[]> {
  let lines = known;
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const next = await page(lines.length);
    if (next.total < lines.length) {
      lines = []; // another attempt began it anew
      continue;
    }
    if (next.items.length > 0) lines = [...lines, ...next.items];
    if (lines.length >= next.total || next.items.length === 0) break;
  }
  return lines;
}
