/** The work as the page holds it: kept as it changes, shared with other tabs, and its waiting items asked for. */

import { type Dispatch, useCallback, useEffect, useReducer, useRef, useState } from "react";
import type { Problem } from "../api/client";
import { askFor, nextPart } from "./asking";
import { keep, readKept } from "./keeping";
import { isAsKept, type Kept, NOTHING_KEPT, rebased } from "./merging";
import { type Step, stepped } from "./steps";
import { EMPTY, type Work, type WorkItem } from "./work";

const CHANNEL = "routing-ml-planner";

export interface Held {
  work: Work;
  step: Dispatch<Step>;
  isRestored: boolean;
  away: Problem | null; // why the service does not answer
  isKept: boolean; // false where this browser keeps nothing
}

export function useWork(): Held {
  const [work, step] = useReducer(stepped, EMPTY);
  const latest = useRef(work);
  latest.current = work;
  const keeping = useKeeping(work, latest, step);
  const away = useAsking(work, latest, step, keeping.isRestored);
  return { work, step, away, ...keeping };
}

type Latest = { readonly current: Work };

/** Restore at first; then keep every change at once, and join what other tabs keep. */
function useKeeping(work: Work, latest: Latest, step: Dispatch<Step>) {
  const [isRestored, setRestored] = useState(false);
  const [isKept, setKept] = useState(true);
  const known = useRef<Kept>(NOTHING_KEPT); // what is kept, as far as this tab knows
  const turn = useRef<Promise<void>>(Promise.resolve()); // one at a time
  const channel = useRef<BroadcastChannel | null>(null);

  const join = useCallback(async () => {
    const [base, theirs] = [known.current, await readKept()];
    if (theirs.revision === base.revision) return;
    known.current = rebased(base, theirs, latest.current.active ?? theirs.work.active);
    step({ kind: "join", base, theirs });
  }, [latest, step]);

  const save = useCallback(async () => {
    if (isAsKept(latest.current, known.current.work)) return;
    const kept = await keep(latest.current, known.current);
    if (kept === null) return join();
    known.current = kept;
    setKept(true);
    channel.current?.postMessage(kept.revision);
  }, [join, latest]);

  const inTurn = useCallback((task: () => Promise<void>) => {
    turn.current = turn.current.then(task).catch(() => setKept(false)); // a browser that keeps nothing still works
    return turn.current;
  }, []);

  useEffect(() => {
    void inTurn(join).then(() => setRestored(true));
    if (!("BroadcastChannel" in window)) return;
    const opened = new BroadcastChannel(CHANNEL);
    opened.onmessage = () => void inTurn(join);
    channel.current = opened;
    return () => opened.close();
  }, [inTurn, join]);

  useEffect(() => {
    if (isRestored && !isAsKept(work, known.current.work)) void inTurn(save); // at once: the tab may be closed
  }, [work, isRestored, inTurn, save]);

  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (!isAsKept(latest.current, known.current.work)) event.preventDefault(); // the last change is on its way
    };
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [latest]);

  return { isRestored, isKept };
}

/** Ask for the items that wait, also those that an earlier visit left waiting, one request after the other. */
function useAsking(work: Work, latest: Latest, step: Dispatch<Step>, isRestored: boolean): Problem | null {
  const [away, setAway] = useState<Problem | null>(null);
  const isRunning = useRef(false);
  const asking = useRef<AbortController | null>(null);
  useEffect(() => {
    if (!isRestored || isRunning.current || !work.items.some((item) => item.state === "waiting")) return;
    const run = async () => {
      isRunning.current = true;
      asking.current = new AbortController();
      const { signal } = asking.current;
      const asked = new WeakSet<WorkItem>();
      for (let part = nextPart(latest.current.items, asked); part.length && !signal.aborted; ) {
        for (const item of part) asked.add(item);
        const queries = part.map((item) => item.query);
        await askFor(queries, part[0]?.quantity ?? 1, { step, onAway: setAway, signal });
        part = nextPart(latest.current.items, asked);
      }
      isRunning.current = false;
    };
    void run();
  }, [work.items, isRestored, latest, step]);

  useEffect(() => () => asking.current?.abort(), []);
  return away;
}
