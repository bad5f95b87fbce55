/** Two versions' figures side by side. */

import { improvement } from "../parts/format";

export interface Pair {
  name: string;
  before: unknown;
  after: unknown;
  /** 1: for the better, -1: for the worse, 0: neither, or nobody can say. */
  better: -1 | 0 | 1;
}

/** The numbers among figures, nested ones by their path; of a figure with an interval, its value. */
export function numbersOf(metrics: Record<string, unknown> | null, before = ""): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics ?? {}).flatMap(([name, value]): [string, number][] => {
      if (typeof value === "number") return [[before + name, value]];
      if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
      const part = value as Record<string, unknown>;
      if ("value" in part && "n" in part) return typeof part.value === "number" ? [[before + name, part.value]] : [];
      return Object.entries(numbersOf(part, `${before}${name}.`));
    }),
  );
}

/** Every figure that one of the two has: those that differ, those that are the same, those that one lacks. */
export function sideBySide(before: Record<string, unknown> | null, after: Record<string, unknown> | null): Pair[] {
  const [old, now] = [numbersOf(before), numbersOf(after)];
  const names = [...new Set([...Object.keys(now), ...Object.keys(old)])].sort();
  const pairs = names.map((name): Pair => {
    const last = name.split(".").at(-1) ?? name;
    return { name, before: old[name], after: now[name], better: improvement(last, old[name], now[name]) };
  });
  const rank = (pair: Pair) =>
    pair.before === undefined || pair.after === undefined ? 2 : pair.before === pair.after ? 1 : 0;
  return pairs.sort((one, other) => rank(one) - rank(other));
}

export interface Difference {
  active: string;
  metrics?: Record<string, [unknown, unknown]>;
  rows?: Record<string, [unknown, unknown]>;
  runtime?: Record<string, [unknown, unknown]>;
  files?: Record<"added" | "removed" | "changed", string[]>;
  [fact: string]: unknown;
}

/** What differs beside the figures: facts of the package, rows learned from, libraries. */
export function otherFacts(difference: Difference): Pair[] {
  const { active: _, metrics: _m, files: _f, rows, runtime, ...facts } = difference;
  const pairs = { ...facts, ...named("rows", rows), ...named("runtime", runtime) };
  return Object.entries(pairs).flatMap(([name, pair]): Pair[] =>
    Array.isArray(pair) && pair.length === 2 ? [{ name, before: pair[0], after: pair[1], better: 0 }] : [],
  );
}

function named(group: string, pairs: Record<string, [unknown, unknown]> = {}): Record<string, [unknown, unknown]> {
  return Object.fromEntries(Object.entries(pairs).map(([name, pair]) => [`${group}.${name}`, pair]));
}
