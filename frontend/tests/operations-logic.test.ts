import { describe, expect, it } from "vitest";
import en from "../src/i18n/en.json";
import { KINDS, placesOf, plainDetails } from "../src/operations/alerts/links";
import { isAtWork } from "../src/operations/api";
import { worstFamilies } from "../src/operations/cycles/families";
import { ledTo } from "../src/operations/cycles/ledTo";
import { marksOf, pointsOf } from "../src/operations/cycles/trend";
import { followed } from "../src/operations/jobs/followed";
import { sentences } from "../src/operations/overview/health";
import { formats, improvement } from "../src/operations/parts/format";
import { addressOf } from "../src/operations/parts/parts";
import { auditQuestion, EVERYTHING } from "../src/operations/people/auditQuestion";
import type { Alert, Cycle, Health, Version } from "../src/operations/types";
import { numbersOf, otherFacts, sideBySide } from "../src/operations/versions/compare";
import { actionsOf } from "../src/operations/versions/VersionActions";

const figure = (value: number | null, low: number | null = null, high: number | null = null) => ({
  value,
  low,
  high,
  n: 10,
});

function cycle(id: string, created_at: string, overall: Record<string, ReturnType<typeof figure>>): Cycle {
  return { id, created_at, model_version: "v1", metrics: { overall } } as unknown as Cycle;
}

describe("where an alert leads", () => {
  it("leads a quality alarm to its cycle, its job and the version that was judged", () => {
    const details = { cycle_id: "c1", model_version: "v1", retraining: { asked: true, job_id: "j1" }, value: 43.1 };
    expect(placesOf({ kind: "quality", subject: "mae", details })).toEqual([
      { area: "quality", id: "c1" },
      { area: "jobs", id: "j1" },
      { area: "versions", id: "v1" },
    ]);
    expect(plainDetails({ details })).toEqual([["value", 43.1]]);
  });

  it("leads to the version that an alert is about, once, and to where it was gone back to", () => {
    const details = { cycle_id: "c1", back_to: "v1", model_version: "v2" };
    const places = placesOf({ kind: "rolled-back", subject: "v2", details });
    expect(places).toContainEqual({ area: "versions", id: "v1" });
    expect(places.filter((place) => place.area === "versions")).toHaveLength(2);
  });

  it("leads nowhere where nothing is named, and to the data where that is meant", () => {
    expect(placesOf({ kind: "of another release", subject: "x", details: null })).toEqual([]);
    expect(placesOf({ kind: "extract-failed", subject: "demo", details: {} })).toEqual([{ area: "data", id: null }]);
  });

  it("says of every kind what it means and what to do", () => {
    for (const words of [en.operations.alertKind, en.operations.alertMeans, en.operations.alertDo])
      expect(Object.keys(words).sort()).toEqual([...KINDS].sort());
  });
});

describe("the error trend", () => {
  const cycles = [
    cycle("c3", "2026-01-03T00:00:00Z", { mdape: figure(0.3, 0.2, 0.4) }),
    cycle("c2", "2026-01-02T00:00:00Z", { mdape: figure(null) }),
    cycle("c1", "2026-01-01T00:00:00Z", { mdape: figure(0.1), mae: figure(5) }),
  ];

  it("has a point for each cycle that measured the figure, oldest first", () => {
    expect(pointsOf(cycles, "mdape").map((point) => [point.cycle, point.value])).toEqual([
      ["c1", 0.1],
      ["c3", 0.3],
    ]);
    expect(pointsOf(cycles, "mae")).toHaveLength(1);
    expect(pointsOf([{ ...cycles[0], metrics: null } as Cycle], "mdape")).toEqual([]);
  });

  it("marks what happened between the first and the last point, and the alarm of the last one", () => {
    const version = (name: string, activated_at: string | null) => ({ version: name, activated_at }) as Version;
    const alert = (id: string, kind: string, created_at: string) => ({ id, kind, created_at, subject: "mae" }) as Alert;
    const marks = marksOf(
      [version("before", "2025-01-01T00:00:00Z"), version("within", "2026-01-02T00:00:00Z"), version("never", null)],
      [
        alert("a1", "quality", "2026-01-03T00:00:09Z"),
        alert("a2", "extract-failed", "2026-01-02T00:00:00Z"),
        alert("a3", "quality", "2026-01-05T00:00:00Z"),
      ],
      pointsOf(cycles, "mdape"),
    );
    expect(marks.map((mark) => mark.id)).toEqual(["within", "a1"]);
    expect(marksOf([version("v", "2026-01-02T00:00:00Z")], [], [])).toEqual([]);
  });

  it("names the families with the largest errors first", () => {
    const by_family = { a: { mae: figure(1) }, b: { mae: figure(9) }, c: { mae: figure(null) }, d: { mae: figure(4) } };
    const found = worstFamilies({ metrics: { by_family } }, 2);
    expect(found.map((each) => each.family)).toEqual(["b", "d"]);
  });
});

describe("what came of a cycle", () => {
  it("is what it tells of and what names it, each once", () => {
    const told = { job_id: "j1", alert_ids: ["a1"] };
    const jobs = [
      { id: "j1", cycle_id: "c1" },
      { id: "j2", cycle_id: "c2" },
    ];
    const alerts = [
      { id: "a2", details: { cycle_id: "c1" } },
      { id: "a3", details: null },
    ];
    expect(ledTo("c1", told, jobs, alerts)).toEqual({ alerts: ["a1", "a2"], jobs: ["j1"] });
    expect(ledTo("c2", undefined, jobs, alerts)).toEqual({ alerts: [], jobs: ["j2"] });
  });
});

describe("two versions side by side", () => {
  const old = { accuracy: 0.9, mae: 5, dataset_stats: { items: 10 }, as_if_unknown: { rmse: figure(7, 6, 8) } };
  const now = { accuracy: 0.95, mae: 6, dataset_stats: { items: 10 }, note: "text" };

  it("finds the numbers, nested ones by their path and those with an interval by their value", () => {
    expect(numbersOf(old)).toEqual({ accuracy: 0.9, mae: 5, "dataset_stats.items": 10, "as_if_unknown.rmse": 7 });
    expect(numbersOf(null)).toEqual({});
  });

  it("tells better from worse by what the figure is, and puts differences first", () => {
    const pairs = sideBySide(old, now);
    expect(pairs.map((pair) => [pair.name, pair.better])).toEqual([
      ["accuracy", 1],
      ["mae", -1],
      ["dataset_stats.items", 0],
      ["as_if_unknown.rmse", 0],
    ]);
    expect(improvement("mae", undefined, 4)).toBe(0);
    expect(improvement("rows", 3, 4)).toBe(0);
  });

  it("shows what else a package differs in", () => {
    const facts = otherFacts({
      active: "v1",
      bytes: [1, 2],
      rows: { items: [5, 6] },
      runtime: { numpy: ["2.1", "2.2"] },
      metrics: { mae: [1, 2] },
      files: { added: ["x"], removed: [], changed: [] },
    });
    expect(facts.map((pair) => pair.name)).toEqual(["bytes", "rows.items", "runtime.numpy"]);
  });

  it("offers what a version's state allows", () => {
    expect(actionsOf({ state: "pending", pinned: false })).toEqual(["activate", "reject", "pin"]);
    expect(actionsOf({ state: "retired", pinned: true })).toEqual(["activate", "unpin"]);
    expect(actionsOf({ state: "active", pinned: false })).toEqual(["rollback", "pin"]);
    expect(actionsOf({ state: "rejected", pinned: false })).toEqual(["pin"]);
    expect(actionsOf({ state: "removed", pinned: false })).toEqual([]);
  });
});

describe("words and figures", () => {
  it("says how long ago in the greatest unit that fits", () => {
    const now = Date.parse("2026-01-02T00:00:00Z");
    const english = formats("en");
    expect(english.ago("2026-01-01T23:59:30Z", now)).toBe("30 seconds ago");
    expect(english.ago("2026-01-01T21:30:00Z", now)).toBe("2 hours ago");
    expect(english.ago("2026-01-02T00:05:00Z", now)).toBe("in 5 minutes");
    expect(formats("ko").ago("2026-01-01T21:30:00Z", now)).toBe("2시간 전");
    expect(english.span(5400)).toBe("1.5 hours");
  });

  it("writes shares as shares and minutes as minutes", () => {
    expect(formats("en").figure(0.1701, "mdape")).toBe("17%");
    expect(formats("en").figure(43.073, "mae")).toBe("43.07");
    expect(formats("en").figure(30_884, "rows")).toBe("30,884");
  });

  it("keeps an id with dots out of the path", () => {
    expect(addressOf("versions", "v1.2 b")).toBe("/operations/versions?id=v1.2%20b");
  });

  it("asks soon again while something is waited for", () => {
    expect(["queued", "running", "verifying", "waiting", "received"].every((state) => isAtWork({ state }))).toBe(true);
    expect(["succeeded", "failed", "installed", "active"].some((state) => isAtWork({ state }))).toBe(false);
  });

  it("warns of unsigned packages and of predictions that were not recorded", () => {
    const health = { unsigned_packages_allowed: true, prediction_log: { dropped: 3 } } as Health;
    expect(sentences(health).map((each) => [each.key, each.isBad])).toEqual([
      ["operations.unsignedAllowed", true],
      ["operations.predictionsDropped", true],
    ]);
  });
});

describe("a job's log", () => {
  const whole = Array.from({ length: 7 }, (_, place) => `line ${place}`);
  const page = (lines: string[]) => async (offset: number) => ({
    items: lines.slice(offset, offset + 3),
    total: lines.length,
  });

  it("is read in pages and followed from where it was", async () => {
    expect(await followed([], page(whole))).toEqual(whole);
    expect(await followed(whole.slice(0, 5), page(whole))).toEqual(whole);
  });

  it("begins anew where it became shorter", async () => {
    expect(await followed(whole, page(["another"]))).toEqual(["another"]);
  });
});

describe("the question to the audit", () => {
  it("has what was typed and nothing else, times with their zone", () => {
    expect(auditQuestion(EVERYTHING, 100, 0)).toBe("audit?limit=100&offset=0");
    const asked = auditQuestion({ ...EVERYTHING, action: " model. ", since: "2026-01-02T03:04" }, 50, 100);
    const parts = new URLSearchParams(asked.split("?")[1]);
    expect(parts.get("action")).toBe("model.");
    expect(parts.get("since")).toBe(new Date("2026-01-02T03:04").toISOString());
    expect(parts.has("until")).toBe(false);
  });
});
