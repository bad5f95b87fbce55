/** Calls of the API: JSON in and out, every error a `Problem` that can be said in the reader's language. */

import type { components } from "./schema";

type Schemas = components["schemas"];
export type Candidate = Schemas["Candidate"];
export type ItemPrediction = Schemas["ItemPrediction"];
export type ItemQuery = Schemas["ItemQuery"];
export type ItemRecord = Schemas["ItemRecord"];
export type Minutes = Schemas["Minutes"];
export type PredictedOperation = Schemas["PredictedOperation"];
export type PredictionResponse = Schemas["PredictionResponse"];
export type SimilarItem = Schemas["SimilarItem"];

export interface Listing<Row> {
  items: Row[];
  total: number;
  limit: number;
  offset: number;
}

/** What the service answered instead of what was asked for (RFC 9457), or why it did not answer at all. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly status: number,
    readonly remedy?: string,
    readonly requestId?: string,
    readonly document: unknown = null, // all that was answered, where it was JSON
  ) {
    super(detail);
  }
}

interface ProblemDocument {
  code?: string;
  detail?: string;
  remedy?: string;
  request_id?: string;
}

let toldOfReach: (isReached: boolean) => void = () => undefined;

/** Let `listener` hear of every call whether the service was reached, however it answered. */
export function onReach(listener: (isReached: boolean) => void): void {
  toldOfReach = listener;
}

/** Ask the API; `path` begins after `/api/`. Throws a `Problem`. */
export async function ask<Answer>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
  const { content } = await answered(method, path, body === undefined ? {} : jsonOf(body), textOf, signal);
  return (content ? JSON.parse(content) : undefined) as Answer; // nothing where there is no content (204)
}

export interface AnsweredFile {
  name: string; // empty where the service gave it none
  content: Blob;
}

/** Have the API write a file from JSON. Throws a `Problem`. */
export async function askForFile(path: string, body: unknown): Promise<AnsweredFile> {
  const { content, response } = await answered("POST", path, jsonOf(body), (answer) => answer.blob());
  const [, name = ""] = /filename="([^"]*)"/.exec(response.headers.get("content-disposition") ?? "") ?? [];
  return { name, content };
}

/** Have the API read a file. Throws a `Problem`. */
export async function askWithFile<Answer>(path: string, file: File): Promise<Answer> {
  const headers = { "content-type": "application/octet-stream" };
  const { content } = await answered("POST", path, { body: file, headers }, textOf);
  return JSON.parse(content) as Answer;
}

function jsonOf(body: unknown): RequestInit {
  return { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

const textOf = (response: Response) => response.text();

/** Send a request and read the whole of its answer. */
async function answered<Content>(
  method: string,
  path: string,
  given: RequestInit,
  read: (response: Response) => Promise<Content>,
  signal?: AbortSignal,
): Promise<{ content: Content; response: Response }> {
  const headers = { "x-requested-with": "routing-ml", ...given.headers };
  const init: RequestInit = { ...given, method, credentials: "same-origin", headers };
  if (signal) init.signal = signal;
  let response: Response;
  let content: Content | undefined;
  let refusal = "";
  try {
    response = await fetch(`/api/${path}`, init);
    if (response.ok) content = await read(response);
    else refusal = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    toldOfReach(false);
    throw new Problem("unreachable", "", 0);
  }
  toldOfReach(response.status !== 502 && response.status !== 504);
  if (!response.ok) throw problemOf(response, refusal);
  return { content: content as Content, response };
}

function problemOf(response: Response, text: string): Problem {
  let document: ProblemDocument = {};
  try {
    document = JSON.parse(text) as ProblemDocument;
  } catch {
    // a proxy's page, or the host's own answer: its status is all there is
  }
  return new Problem(
    document.code ?? `http-${response.status}`,
    document.detail ?? "",
    response.status,
    document.remedy,
    document.request_id ?? response.headers.get("x-request-id") ?? undefined,
    document,
  );
}
