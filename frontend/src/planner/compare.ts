/** Candidates beside each other: which operations they share, and what one has that another lacks. */

export interface Compared<Operation> {
  code: string;
  cells: (Operation | undefined)[]; // one a routing, in the order of the routings
}

interface Coded {
  operation_code: string;
}

/** Return one row an operation, such that the routings' orders are kept and as many as possible stand side by side. */
export function aligned<Operation extends Coded>(routings: readonly (readonly Operation[])[]): Compared<Operation>[] {
  let rows: Compared<Operation>[] = [];
  routings.forEach((routing, number) => {
    rows = withRouting(rows, routing, number);
  });
  return rows.map((row) => ({ ...row, cells: routings.map((_, number) => row.cells[number]) }));
}

function withRouting<Operation extends Coded>(
  rows: Compared<Operation>[],
  routing: readonly Operation[],
  number: number,
): Compared<Operation>[] {
  const pairs = commonPairs(
    rows.map((row) => row.code),
    routing.map((each) => each.operation_code),
  );
  const merged: Compared<Operation>[] = [];
  let [row, place] = [0, 0];
  for (const [rowAt, placeAt] of [...pairs, [rows.length, routing.length] as const]) {
    merged.push(...rows.slice(row, rowAt));
    for (const operation of routing.slice(place, placeAt)) {
      merged.push({ code: operation.operation_code, cells: inPlace(operation, number) });
    }
    const [shared, operation] = [rows[rowAt], routing[placeAt]];
    if (shared && operation) {
      const cells = [...shared.cells];
      cells[number] = operation;
      merged.push({ code: shared.code, cells });
    }
    [row, place] = [rowAt + 1, placeAt + 1];
  }
  return merged;
}

function inPlace<Operation>(operation: Operation, number: number): (Operation | undefined)[] {
  const cells: (Operation | undefined)[] = Array(number).fill(undefined);
  cells[number] = operation;
  return cells;
}

/** Return the places of a longest common subsequence of two lists of codes. */
function commonPairs(one: readonly string[], other: readonly string[]): [number, number][] {
  const length = Array.from({ length: one.length + 1 }, () => new Array<number>(other.length + 1).fill(0));
  const at = (row: number, column: number) => length[row]?.[column] ?? 0;
  for (let row = one.length - 1; row >= 0; row--) {
    for (let column = other.length - 1; column >= 0; column--) {
      const best =
        one[row] === other[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
      (length[row] ?? [])[column] = best;
    }
  }
  const pairs: [number, number][] = [];
  let [row, column] = [0, 0];
  while (row < one.length && column < other.length) {
    if (one[row] === other[column]) pairs.push([row++, column++]);
    else if (at(row + 1, column) >= at(row, column + 1)) row++;
    else column++;
  }
  return pairs;
}

export interface Difference {
  code: string;
  is: "same" | "added" | "missing";
}

/** Return the operations of `other` as they differ from those of `base`: what it adds, and what it lacks. */
export function differences(base: readonly Coded[], other: readonly Coded[]): Difference[] {
  return aligned([base, other]).map(({ code, cells: [had, has] }) => ({
    code,
    is: had && has ? "same" : has ? "added" : "missing",
  }));
}
