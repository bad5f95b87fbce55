import { describe, expect, it } from "vitest";
import {
  type Document,
  type Json,
  patchOf,
  rangeOf,
  refusals,
  type Schema,
  sectionsOf,
  typed,
  valueAt,
  written,
} from "../src/operations/configuration/fields";

const SCHEMA: Schema = {
  properties: {
    prediction: {
      description: "How.",
      properties: {
        neighbours: { type: "integer", minimum: 1, maximum: 500 },
        trim_share: { type: "number", minimum: 0, exclusiveMaximum: 0.5 },
        time_profile: { type: "string", enum: ["quantiles", "sigma"] },
        feature_weights: { type: "object", additionalProperties: { type: "number", minimum: 0, maximum: 4 } },
      },
    },
    training: {
      properties: {
        auto_activate: { type: "boolean" },
        mlp: {
          properties: {
            hidden_layers: { type: "array", minItems: 1, maxItems: 3, items: { type: "integer", minimum: 1 } },
          },
        },
      },
    },
  },
};
const NOW: Document = {
  prediction: { neighbours: 40, trim_share: 0.05, time_profile: "quantiles", feature_weights: { A: 1, B: 2 } },
  training: { auto_activate: false, mlp: { hidden_layers: [128, 64] } },
};
const schemaOf = (path: string) =>
  sectionsOf(SCHEMA)
    .flatMap((section) => section.fields)
    .find((field) => field.path === path)?.schema ?? {};
const fault = (path: string, text: string) => {
  const now = typed(text, schemaOf(path));
  return "fault" in now ? now.fault.key : null;
};

describe("the configuration's form", () => {
  it("has a field for every setting, those of parts by their path", () => {
    expect(sectionsOf(SCHEMA).map((section) => [section.name, section.fields.map((field) => field.path)])).toEqual([
      [
        "prediction",
        ["prediction.neighbours", "prediction.trim_share", "prediction.time_profile", "prediction.feature_weights"],
      ],
      ["training", ["training.auto_activate", "training.mlp.hidden_layers"]],
    ]);
  });

  it("reads back what it writes", () => {
    for (const { path, schema } of sectionsOf(SCHEMA).flatMap((section) => section.fields))
      expect(typed(written(valueAt(NOW, path)), schema)).toEqual({ value: valueAt(NOW, path) });
  });

  it.each([
    ["prediction.neighbours", "", "number"],
    ["prediction.neighbours", "4.5", "integer"],
    ["prediction.neighbours", "0", "least"],
    ["prediction.neighbours", "501", "most"],
    ["prediction.trim_share", "0.5", "below"],
    ["prediction.trim_share", "abc", "number"],
    ["prediction.time_profile", "other", "choice"],
    ["prediction.feature_weights", "A", "mapping"],
    ["prediction.feature_weights", "A = 9", "most"],
    ["training.mlp.hidden_layers", "", "fewest"],
    ["training.mlp.hidden_layers", "1, 2, 3, 4", "longest"],
    ["training.mlp.hidden_layers", "1, x", "number"],
  ])("says what is wrong with %s: %j", (path, text, rule) => {
    expect(fault(path, text)).toBe(`operations.wrong.${rule}`);
  });

  it("takes the ends of a range", () => {
    expect(fault("prediction.neighbours", "1")).toBeNull();
    expect(fault("prediction.neighbours", "500")).toBeNull();
    expect(fault("prediction.trim_share", "0.49")).toBeNull();
    expect(rangeOf(schemaOf("prediction.trim_share"))).toBe("0 … < 0.5");
    expect(rangeOf(schemaOf("prediction.time_profile"))).toBe("");
  });

  it("sends only what changed, nested as the document is", () => {
    const changed = new Map<string, Json>([
      ["prediction.neighbours", 41],
      ["training.mlp.hidden_layers", [32]],
    ]);
    expect(patchOf(NOW, changed)).toEqual({
      prediction: { neighbours: 41 },
      training: { mlp: { hidden_layers: [32] } },
    });
  });

  it("takes a key out of a mapping by a null", () => {
    expect(patchOf(NOW, new Map([["prediction.feature_weights", { B: 3 }]]))).toEqual({
      prediction: { feature_weights: { A: null, B: 3 } },
    });
  });

  it("shows a refusal at its field, and what belongs to none by its name", () => {
    const paths = ["training.mlp.hidden_layers", "prediction.feature_weights"];
    const told = refusals(
      [
        { field: "training.mlp.hidden_layers[0]", message: "too large" },
        { field: "prediction.feature_weights.A", message: "too heavy" },
        { field: "elsewhere", message: "no" },
      ],
      paths,
    );
    expect(Object.fromEntries(told)).toEqual({
      "training.mlp.hidden_layers": "too large",
      "prediction.feature_weights": "too heavy",
      "": "elsewhere: no",
    });
  });
});
