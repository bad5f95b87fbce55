import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Problem } from "../src/api/client";
import { askFor, nextPart, pauseBefore } from "../src/planner/asking";
import type { Step } from "../src/planner/steps";
import type { WorkItem } from "../src/planner/work";
import { response, waiting } from "./examples";

type Answer = (codes: string[]) => [number, unknown];

/** A service on this machine that answers as a test wants it to. */
let server: Server;
let answer: Answer;
const pageFetch = globalThis.fetch;

async function listen(port = 0): Promise<void> {
  server = createServer((request, reply) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { items } = JSON.parse(Buffer.concat(parts).toString()) as { items: { item_code: string }[] };
      const [status, body] = answer(items.map((item) => item.item_code));
      reply.writeHead(status, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
}

const port = () => (server.address() as AddressInfo).port;
const closed = () => new Promise((resolve) => server.close(resolve));

beforeEach(async () => {
  answer = (codes) => [200, response(codes)];
  await listen();
  const address = `http://127.0.0.1:${port()}`;
  globalThis.fetch = (path, init) => pageFetch(`${address}${path}`, init); // a page's addresses begin at its host
});
afterEach(async () => {
  globalThis.fetch = pageFetch;
  await closed();
});

function asking() {
  const steps: Step[] = [];
  const away: (string | null)[] = [];
  const controller = new AbortController();
  return {
    steps,
    away,
    controller,
    given: {
      step: (step: Step) => steps.push(step),
      onAway: (problem: Problem | null) => away.push(problem?.code ?? null),
      signal: controller.signal,
    },
  };
}
const queries = (...codes: string[]) => codes.map((item_code) => ({ item_code }));

describe("asking for predictions", () => {
  it("goes on by itself when the service comes back", async () => {
    const { steps, away, given } = asking();
    const before = port();
    await closed();
    const done = askFor(queries("A", "B"), 3, given);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await listen(before);
    await done;
    expect([away[0], away.at(-1)]).toEqual(["unreachable", null]);
    expect(steps).toEqual([{ kind: "answer", response: response(["A", "B"]), quantity: 3 }]);
  });

  it("waits for a service that starts, and stops when nobody wants the answer any more", async () => {
    const { steps, away, controller, given } = asking();
    answer = () => [503, { code: "no-active-model", detail: "none yet" }];
    const done = askFor(queries("A"), 1, given);
    await expect.poll(() => away).toEqual(["no-active-model"]);
    controller.abort();
    await done;
    expect(steps).toEqual([]);
  });

  it("asks for each alone where one of them is refused, so that only that one fails", async () => {
    const { steps, given } = asking();
    answer = (codes) =>
      codes.includes("BAD") ? [422, { code: "invalid-input", detail: "not a number" }] : [200, response(codes)];
    await askFor(queries("A", "BAD", "C"), 1, given);
    expect(steps.map((step) => step.kind)).toEqual(["answer", "fail", "answer"]);
    expect(steps[1]).toEqual({
      kind: "fail",
      codes: ["BAD"],
      complaint: { code: "invalid-input", detail: "not a number" },
    });
  });
});

describe("the next request", () => {
  it("holds five items at most, all for orders of as many pieces, none asked already", () => {
    const items = ["A", "B", "C", "D", "E", "F", "G"].map((code, at) => waiting(code, at === 1 ? 9 : 1));
    const asked = new WeakSet<WorkItem>(items.slice(0, 1));
    expect(nextPart(items, asked).map((item) => item.query.item_code)).toEqual(["B"]);
    for (const item of items.slice(0, 2)) asked.add(item);
    expect(nextPart(items, asked).length).toBe(5);
  });

  it("comes later and later, but never much later", () => {
    expect([0, 1, 2, 9].map(pauseBefore)).toEqual([500, 1000, 2000, 8000]);
  });
});
