/** The cells of what a spreadsheet program puts on the clipboard, or of a list with commas. */

/** Return the rows of cells, trimmed; quoted cells may hold separators, line ends and doubled quotes. Blank rows are left out. */
export function cellsOf(text: string, separator: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    const [cell, end] = text[at] === '"' ? quotedCell(text, at, separator) : plainCell(text, at, separator);
    row.push(cell.trim());
    at = end + 1;
    if (text[end] !== separator || at === text.length) {
      if (text[end] === separator) row.push("");
      rows.push(row);
      row = [];
    }
  }
  return rows.filter((cells) => cells.some(Boolean));
}

/** Return the character that stands between the cells of a first line: a tab where there is one. */
export function separatorOf(firstLine: string): string {
  return ["\t", ";", ","].find((each) => firstLine.includes(each)) ?? "\t";
}

function plainCell(text: string, from: number, separator: string): [string, number] {
  let end = from;
  while (end < text.length && text[end] !== separator && text[end] !== "\n") end++;
  return [text.slice(from, end), end];
}

/** Read a cell in quotes; one that is never closed, or goes on behind them, is an ordinary one that begins with a quote. */
function quotedCell(text: string, from: number, separator: string): [string, number] {
  let cell = "";
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] !== '"') {
      cell += text[at];
    } else if (text[at + 1] === '"') {
      cell += '"';
      at++;
    } else {
      const end = at + 1;
      const isClosed = end === text.length || text[end] === separator || text[end] === "\n";
      return isClosed ? [cell, end] : plainCell(text, from, separator);
    }
  }
  return plainCell(text, from, separator);
}
