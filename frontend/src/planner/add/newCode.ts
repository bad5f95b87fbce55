/** Working codes for items that have none yet. */

/** Return a maker of codes such as NEW-1122-1, by row, that go on where those of the list end. */
export function newCodes(listed: ReadonlySet<string>, today = new Date()): (row: number) => string {
  const month = `${today.getMonth() + 1}`.padStart(2, "0");
  const start = `NEW-${month}${`${today.getDate()}`.padStart(2, "0")}-`;
  const taken = [...listed].filter((code) => code.startsWith(start)).map((code) => Number(code.slice(start.length)));
  const last = Math.max(0, ...taken.filter(Number.isFinite));
  return (row) => start + (last + row);
}
