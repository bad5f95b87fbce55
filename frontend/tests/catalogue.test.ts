import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import en from "../src/i18n/en.json";
import ko from "../src/i18n/ko.json";

type Tree = { [key: string]: string | Tree };

const PLURAL = /_(zero|one|other)$/;
// Keys that are put together at run time, by the part in front.
const BY_CODE = [
  "errors",
  "roles",
  "planner.state",
  "planner.status",
  "planner.outcome",
  "planner.tier",
  "planner.source",
  "planner.column",
  "planner.form",
  "planner.leftOut",
  "operations.one",
  "operations.state",
  "operations.tab",
  "operations.alertKind",
  "operations.alertMeans",
  "operations.alertDo",
  "operations.healthSays",
  "operations.part",
  "operations.metric",
  "operations.strategy",
  "operations.jobKind",
  "operations.jobSays",
  "operations.action",
  "operations.actionSays",
  "operations.files",
  "operations.wrong",
  "operations.roleSays",
  "operations.settingSays",
  "operations.audited",
  "planner.statusWhy",
  "planner.difference",
  "planner.way",
  "planner.view",
];

function keys(tree: Tree, before = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string" ? [before + key] : keys(value, `${before}${key}.`),
  );
}

function source(folder: string): string {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .map((path) =>
      statSync(path).isDirectory() ? source(path) : /\.tsx?$/.test(path) ? readFileSync(path, "utf8") : "",
    )
    .join("\n");
}

describe("the catalogue of messages", () => {
  const code = source(join(import.meta.dirname, "../src"));
  const used = new Set(
    [...code.matchAll(/["`]((?:app|common|planner|operations|errors)\.[\w.]+)["`]/g)].map((match) => match[1] ?? ""),
  );
  const known = new Set(keys(en).map((key) => key.replace(PLURAL, "")));

  it("says the same things in every language", () => {
    expect(keys(ko)).toEqual(keys(en));
  });

  it("leaves no blank in a translation that its original has filled", () => {
    const blanks = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort();
    const flat = (tree: Tree, before = ""): [string, string][] =>
      Object.entries(tree).flatMap(([key, value]) =>
        typeof value === "string" ? [[before + key, value] as [string, string]] : flat(value, `${before}${key}.`),
      );
    const korean = new Map(flat(ko));
    for (const [key, text] of flat(en)) expect([key, blanks(korean.get(key) ?? "")]).toEqual([key, blanks(text)]);
  });

  it("has every message that the pages ask for", () => {
    expect([...used].filter((key) => !known.has(key))).toEqual([]);
  });

  it("has no message that nobody asks for", () => {
    const asked = (key: string) => used.has(key) || BY_CODE.some((part) => key.startsWith(`${part}.`));
    expect([...known].filter((key) => !asked(key))).toEqual([]);
  });
});
