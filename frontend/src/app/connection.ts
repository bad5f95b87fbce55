/** Whether the service can be reached: told by what calls meet, and not by the browser's idea of being online. */

import { onlineManager, type QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { onReach } from "../api/client";

const ASK_AGAIN_MS = 1_000;
const PATIENCE_MS = 5_000;
const GATEWAY_ERRORS = [502, 503, 504]; // of a proxy before a service that is away

let lostSince: Date | null = null;
const listeners = new Set<() => void>();

/**
 * Follow the calls of the API. Where one did not get through, ask for a sign of life until there is one: queries wait so
 * long instead of failing, and then everything that is shown is asked for again.
 */
export function followConnection(client: QueryClient): void {
  // The service may be on this very machine, so a pulled network cable says nothing about it.
  onlineManager.setEventListener(() => undefined);
  let isAsking = false;
  onReach(async (isReached) => {
    if (isReached || isAsking) return;
    isAsking = true;
    while (!(await isAlive())) {
      if (lostSince === null) noted(new Date());
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
    isAsking = false;
    if (lostSince === null) return;
    noted(null);
    void client.invalidateQueries();
  });
}

function noted(since: Date | null): void {
  lostSince = since;
  onlineManager.setOnline(since === null);
  for (const listener of listeners) listener();
}

async function isAlive(): Promise<boolean> {
  try {
    const answer = await fetch("/api/health/live", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    return !GATEWAY_ERRORS.includes(answer.status);
  } catch {
    return false;
  }
}

/** Since when the service cannot be reached, or null while it can. */
export function useLostSince(): Date | null {
  return useSyncExternalStore(subscribe, () => lostSince);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
