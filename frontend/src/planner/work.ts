/** The planner's work in progress: the items asked for, what was answered, and the working copies; kept in the browser. */

import { get, set } from "idb-keyval";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { ask, type ItemPrediction, type ItemQuery, type PredictionResponse, Problem } from "../api/client";
import { beginning, type Edit, edited, type History, redone, undone } from "./draft";

const KEPT = "work-1";
const TOGETHER = 5; // items of one request: small enough that progress is seen
const KEEP_AFTER_MS = 400;

export interface Asked {
  query: ItemQuery;
  state: "waiting" | "answered" | "failed";
  prediction?: ItemPrediction;
  predictionId?: string;
  modelVersion?: string;
  complaint?: { code: string; detail: string };
  history?: History;
  decided?: "accepted" | "edited" | "rejected";
}

export interface Work {
  items: Asked[];
  active: string | null; // an item's code
  quantity: number;
}

const EMPTY: Work = { items: [], active: null, quantity: 1 };

export type Step =
  | { kind: "restore"; work: Work }
  | { kind: "ask"; queries: ItemQuery[]; quantity: number }
  | { kind: "answer"; response: PredictionResponse }
  | { kind: "fail"; codes: string[]; code: string; detail: string }
  | { kind: "open"; code: string }
  | { kind: "edit"; code: string; edit: Edit }
  | { kind: "undo" | "redo"; code: string }
  | { kind: "choose"; code: string; rank: number }
  | { kind: "decide"; code: string; outcome: "accepted" | "edited" | "rejected" }
  | { kind: "clear" };

export function stepped(work: Work, step: Step): Work {
  switch (step.kind) {
    case "restore":
      return step.work;
    case "clear":
      return { ...EMPTY, quantity: work.quantity };
    case "ask":
      return {
        items: step.queries.map((query) => ({ query, state: "waiting" })),
        active: step.queries[0]?.item_code ?? null,
        quantity: step.quantity,
      };
    case "open":
      return { ...work, active: step.code };
    case "answer": {
      const answers = new Map(step.response.predictions.map((each) => [each.item_code, each]));
      return changed(work, (item) => {
        const prediction = answers.get(item.query.item_code);
        if (!prediction || item.state !== "waiting") return item;
        const first = prediction.candidates?.[0];
        return {
          query: item.query,
          state: "answered",
          prediction,
          predictionId: step.response.prediction_id,
          modelVersion: step.response.model_version,
          ...(first ? { history: beginning(first) } : {}),
        };
      });
    }
    case "fail":
      return changed(work, (item) =>
        step.codes.includes(item.query.item_code) && item.state === "waiting"
          ? { ...item, state: "failed", complaint: { code: step.code, detail: step.detail } }
          : item,
      );
    case "edit":
      return withHistory(work, step.code, (history) => edited(history, step.edit));
    case "undo":
      return withHistory(work, step.code, undone);
    case "redo":
      return withHistory(work, step.code, redone);
    case "choose":
      return changed(work, (item) => {
        const chosen = item.prediction?.candidates?.find((each) => each.rank === step.rank);
        if (item.query.item_code !== step.code || !chosen || !item.history) return item;
        const draft = beginning(chosen).present;
        return { ...item, history: edited(item.history, { kind: "replace", draft }) };
      });
    case "decide":
      return changed(work, (item) => (item.query.item_code === step.code ? { ...item, decided: step.outcome } : item));
  }
}

function changed(work: Work, change: (item: Asked) => Asked): Work {
  return { ...work, items: work.items.map(change) };
}

function withHistory(work: Work, code: string, change: (history: History) => History): Work {
  return changed(work, (item) => {
    if (item.query.item_code !== code || !item.history) return item;
    const { decided: _, ...open } = item; // what is changed after a decision wants another
    return { ...open, history: change(item.history) };
  });
}

/** The work, what changes it, and asking for predictions with progress. A closed tab finds it again. */
export function useWork() {
  const [work, step] = useReducer(stepped, EMPTY);
  const [isRestored, setRestored] = useState(false);
  const asking = useRef<AbortController | null>(null);

  useEffect(() => {
    get<Work>(KEPT)
      .then((kept) => kept && step({ kind: "restore", work: kept }))
      .catch(() => undefined) // a browser that keeps nothing still works
      .finally(() => setRestored(true));
  }, []);

  useEffect(() => {
    if (!isRestored) return;
    const timer = setTimeout(() => void set(KEPT, work).catch(() => undefined), KEEP_AFTER_MS);
    return () => clearTimeout(timer);
  }, [work, isRestored]);

  const predict = useCallback(async (queries: ItemQuery[], quantity: number) => {
    asking.current?.abort();
    const controller = new AbortController();
    asking.current = controller;
    step({ kind: "ask", queries, quantity });
    for (let at = 0; at < queries.length; at += TOGETHER) {
      const part = queries.slice(at, at + TOGETHER);
      await predictPart(part, quantity, controller.signal, step);
      if (controller.signal.aborted) return;
    }
  }, []);

  return { work, step, predict };
}

/** Ask for some items together; where one of them is refused, ask for each alone, so that only that one fails. */
async function predictPart(part: ItemQuery[], quantity: number, signal: AbortSignal, step: (step: Step) => void) {
  try {
    const body = { items: part, quantity, candidates: 3 };
    step({ kind: "answer", response: await ask<PredictionResponse>("POST", "predictions", body, signal) });
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Problem && error.status === 422 && part.length > 1) {
      for (const query of part) await predictPart([query], quantity, signal, step);
      return;
    }
    const codes = part.map((query) => query.item_code);
    const [code, detail] = error instanceof Problem ? [error.code, error.detail] : ["other", String(error)];
    step({ kind: "fail", codes, code, detail });
  }
}
