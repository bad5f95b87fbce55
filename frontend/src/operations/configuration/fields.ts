/** The configuration's fields, as its JSON schema describes them: what may be typed, what was changed, what to send. */

import { Problem } from "../../api/client";

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Document = { [name: string]: Json };

export interface Schema {
  type?: string;
  description?: string;
  unit?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
}

export interface Field {
  path: string;
  schema: Schema;
}

export interface Section {
  name: string;
  description: string;
  fields: Field[];
}

/** What is wrong with a typed value: a key of the catalogue and its values. */
export interface Fault {
  key: string;
  values: Record<string, string | number>;
}

export type Typed = { value: Json } | { fault: Fault };

/** The sections in the document's order, each with its fields and those of its parts. */
export function sectionsOf(schema: Schema): Section[] {
  return Object.entries(schema.properties ?? {}).map(([name, section]) => ({
    name,
    description: section.description ?? "",
    fields: fieldsOf(section, name),
  }));
}

function fieldsOf(schema: Schema, path: string): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) =>
    field.properties ? fieldsOf(field, `${path}.${name}`) : [{ path: `${path}.${name}`, schema: field }],
  );
}

/** What a setting or section means: its key of the catalogue, and the schema's own words where that has none. */
export function says(path: string, description = ""): [string, { defaultValue: string }] {
  return [`operations.settingSays.${path.replaceAll(".", "/")}`, { defaultValue: description }];
}

export function valueAt(document: Document, path: string): Json | undefined {
  return path
    .split(".")
    .reduce<Json | undefined>(
      (part, name) => (typeof part === "object" && part !== null && !Array.isArray(part) ? part[name] : undefined),
      document,
    );
}

/** A value as it is typed: lists with commas, mappings one `name = number` a line. */
export function written(value: Json | undefined): string {
  if (Array.isArray(value)) return value.map(String).join(", ");
  if (typeof value === "object" && value !== null)
    return Object.entries(value)
      .map(([name, each]) => `${name} = ${String(each)}`)
      .join("\n");
  return value === undefined || value === null ? "" : String(value);
}

/** What was typed as a value of the field, or what is wrong with it. */
export function typed(text: string, schema: Schema): Typed {
  if (schema.enum)
    return schema.enum.includes(text) ? { value: text } : wrong("choice", { choices: schema.enum.join(", ") });
  switch (schema.type) {
    case "boolean":
      return { value: text === "true" };
    case "integer":
    case "number":
      return numberOf(text, schema);
    case "array":
      return listOf(text, schema);
    case "object":
      return mappingOf(text, schema);
    default:
      return { value: text };
  }
}

function wrong(rule: string, values: Fault["values"]): Typed {
  return { fault: { key: `operations.wrong.${rule}`, values } };
}

function numberOf(text: string, schema: Schema): Typed {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return wrong("number", {});
  if (schema.type === "integer" && !Number.isInteger(value)) return wrong("integer", {});
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && value < minimum) return wrong("least", { limit: minimum });
  if (maximum !== undefined && value > maximum) return wrong("most", { limit: maximum });
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return wrong("above", { limit: exclusiveMinimum });
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return wrong("below", { limit: exclusiveMaximum });
  return { value };
}

function listOf(text: string, schema: Schema): Typed {
  const parts = text.split(",").flatMap((part) => (part.trim() ? [part.trim()] : []));
  if (schema.minItems !== undefined && parts.length < schema.minItems)
    return wrong("fewest", { limit: schema.minItems });
  if (schema.maxItems !== undefined && parts.length > schema.maxItems)
    return wrong("longest", { limit: schema.maxItems });
  return collected(parts.map((part) => typed(part, schema.items ?? {})));
}

function collected(parts: Typed[]): Typed {
  const values: Json[] = [];
  for (const part of parts) {
    if ("fault" in part) return part;
    values.push(part.value);
  }
  return { value: values };
}

function mappingOf(text: string, schema: Schema): Typed {
  const inner = typeof schema.additionalProperties === "object" ? schema.additionalProperties : {};
  const found: Document = {};
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const at = line.lastIndexOf("=");
    if (at < 1) return wrong("mapping", { line: line.trim() });
    const value = typed(line.slice(at + 1).trim(), inner);
    if ("fault" in value) return value;
    found[line.slice(0, at).trim()] = value.value;
  }
  return { value: found };
}

export function same(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The nested document of what changed. A key that was taken out of a mapping is sent as null. */
export function patchOf(before: Document, changed: Map<string, Json>): Document {
  const patch: Document = {};
  for (const [path, value] of changed) {
    const names = path.split(".");
    const last = names.pop() ?? "";
    let part = patch;
    for (const name of names) {
      part[name] ??= {};
      part = part[name] as Document;
    }
    part[last] = withTakenOut(valueAt(before, path), value);
  }
  return patch;
}

function withTakenOut(before: Json | undefined, after: Json): Json {
  if (!isMapping(before) || !isMapping(after)) return after;
  const gone = Object.keys(before).filter((name) => !(name in after));
  return { ...after, ...Object.fromEntries(gone.map((name) => [name, null])) };
}

function isMapping(value: Json | undefined): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface WrongField {
  field: string;
  message: string;
}

/** The fields that a refusal names; none where it is of another kind. */
export function wrongFields(error: unknown): WrongField[] {
  const document = error instanceof Problem ? error.document : null;
  if (typeof document !== "object" || document === null || !("errors" in document)) return [];
  return Array.isArray(document.errors) ? (document.errors as WrongField[]) : [];
}

/** The service's refusals by the field they belong to; the rest, which belongs to none, under the empty name. */
export function refusals(errors: WrongField[], paths: string[]): Map<string, string> {
  const told = new Map<string, string>();
  for (const { field, message } of errors) {
    const place = paths.find((path) => field === path || field.startsWith(`${path}.`) || field.startsWith(`${path}[`));
    const before = told.get(place ?? "");
    const said = place ? message : `${field}: ${message}`;
    told.set(place ?? "", before ? `${before}; ${said}` : said);
  }
  return told;
}

/** A field's limits in the sign language of ranges, such as `10 … 10000` or `0 … < 0.5`. */
export function rangeOf(schema: Schema): string {
  const least = schema.minimum ?? (schema.exclusiveMinimum === undefined ? "" : `> ${schema.exclusiveMinimum}`);
  const most = schema.maximum ?? (schema.exclusiveMaximum === undefined ? "" : `< ${schema.exclusiveMaximum}`);
  return least === "" && most === "" ? "" : `${least} … ${most}`;
}
