/** The lines that the log's page holds: newest ones added at the end, older ones in front, never more than so many. */

export interface LogEntry {
  time: string | null;
  level: string | null;
  event: string;
  source: string;
  fields: Record<string, unknown>;
}

export interface LogAnswer {
  items: LogEntry[];
  before: string | null;
  after: string | null;
  more: boolean;
  gap: boolean;
  written_at: string | null;
  message: string | null;
}

export interface Buffer {
  lines: LogEntry[];
  /** The number of the first line: later ones keep theirs when older ones come or go. */
  first: number;
  before: string | null;
  after: string | null;
  /** Some lines between two shown ones are missing: the log was tidied away in between. */
  hasGap: boolean;
  message: string | null;
}

export const MOST_LINES = 10_000;

export function begun(answer: LogAnswer): Buffer {
  const { items, before, after, message } = answer;
  return { lines: items, first: 0, before, after, hasGap: false, message };
}

/** With what was written since; the oldest lines go where there are too many. */
export function continued(known: Buffer, answer: LogAnswer): Buffer {
  const after = answer.after ?? known.after;
  if (answer.items.length === 0) return after === known.after ? known : { ...known, after };
  const all = [...known.lines, ...answer.items];
  const surplus = Math.max(0, all.length - MOST_LINES);
  return {
    lines: surplus > 0 ? all.slice(surplus) : all,
    first: known.first + surplus,
    // Once lines were let go, older ones cannot be put in front without a hole.
    before: surplus > 0 ? null : known.before,
    after,
    hasGap: known.hasGap || answer.gap,
    message: null,
  };
}

/** With older lines in front. */
export function reachedBack(known: Buffer, answer: LogAnswer): Buffer {
  if (answer.gap) return { ...known, before: null };
  return {
    ...known,
    lines: [...answer.items, ...known.lines],
    first: known.first - answer.items.length,
    before: answer.before,
  };
}

/** What is known of a line beside its event, as `name=value`. */
export function said(entry: LogEntry): string {
  const facts = Object.entries(entry.fields).map(([name, value]) =>
    typeof value === "string" ? `${name}=${value}` : `${name}=${JSON.stringify(value)}`,
  );
  return [entry.event, ...facts].join("  ");
}

export interface LogFilter {
  level: string;
  text: string;
}

export function question(filter: LogFilter, more: Record<string, string> = {}): string {
  const asked = new URLSearchParams(more);
  if (filter.level) asked.set("level", filter.level);
  if (filter.text.trim()) asked.set("text", filter.text.trim());
  return asked.toString();
}
