import { describe, expect, it } from "vitest";
import {
  begun,
  continued,
  type LogAnswer,
  type LogEntry,
  MOST_LINES,
  question,
  reachedBack,
  said,
} from "../src/operations/log/buffer";

const line = (event: string): LogEntry => ({ time: null, level: "info", event, source: "host", fields: {} });
const answer = (events: string[], more: Partial<LogAnswer> = {}): LogAnswer => ({
  items: events.map(line),
  before: "b",
  after: "a",
  more: false,
  gap: false,
  written_at: null,
  message: null,
  ...more,
});
const events = (buffer: { lines: LogEntry[] }) => buffer.lines.map((each) => each.event);

describe("the lines that are held", () => {
  it("grow at the end and keep their numbers when older ones come in front", () => {
    const first = begun(answer(["2", "3"]));
    const grown = continued(first, answer(["4"], { after: "a2" }));
    expect(events(grown)).toEqual(["2", "3", "4"]);
    expect([grown.first, grown.before, grown.after]).toEqual([0, "b", "a2"]);
    const whole = reachedBack(grown, answer(["0", "1"], { before: null }));
    expect(events(whole)).toEqual(["0", "1", "2", "3", "4"]);
    expect([whole.first, whole.before, whole.after]).toEqual([-2, null, "a2"]);
  });

  it("are the very same while nothing new was written", () => {
    const first = begun(answer(["1"]));
    expect(continued(first, answer([]))).toBe(first);
    expect(continued(first, answer([], { after: "further" })).after).toBe("further");
  });

  it("let the oldest go where they become too many, and offer no way back across the hole", () => {
    const full = begun(answer(Array.from({ length: MOST_LINES }, (_, place) => String(place))));
    const now = continued(full, answer(["new", "newer"]));
    expect(now.lines).toHaveLength(MOST_LINES);
    expect([now.first, now.lines[0]?.event, now.lines.at(-1)?.event, now.before]).toEqual([2, "2", "newer", null]);
  });

  it("say where lines are missing", () => {
    expect(continued(begun(answer(["1"])), answer(["9"], { gap: true })).hasGap).toBe(true);
    const known = begun(answer(["1"]));
    expect(events(reachedBack(known, answer(["7"], { gap: true })))).toEqual(["1"]);
  });
});

describe("a line and its question", () => {
  it("is shown with what is known beside its event", () => {
    expect(said({ ...line("model.transition"), fields: { to: "active", count: 2, of: { a: 1 } } })).toBe(
      'model.transition  to=active  count=2  of={"a":1}',
    );
  });

  it("asks for what was typed", () => {
    expect(question({ level: "", text: " " })).toBe("");
    expect(question({ level: "error", text: "a&b" }, { limit: "5" })).toBe("limit=5&level=error&text=a%26b");
  });
});
