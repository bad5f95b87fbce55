/** How the operator's pages ask: soon again while something is being worked on, rarely when all is calm. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask, type Listing, Problem } from "../api/client";
import { useSession } from "../app/SignIn";
import type { Health, Version } from "./types";

export const LIVE_MS = 2_000;
export const CALM_MS = 15_000;

const AT_WORK = new Set(["queued", "running", "received", "waiting", "verifying"]);

export function isAtWork(row: { state: string }): boolean {
  return AT_WORK.has(row.state);
}

/** One answer, asked for again and again; `isLive` says whether it is worth asking again soon. */
export function useWatched<Answer>(path: string | null, isLive: (answer: Answer) => boolean = () => false) {
  return useQuery({
    queryKey: ["operations", path],
    queryFn: ({ signal }) => ask<Answer>("GET", path ?? "", undefined, signal),
    enabled: path !== null,
    refetchInterval: (query) => (query.state.data && isLive(query.state.data) ? LIVE_MS : CALM_MS),
  });
}

/** The newest rows of a list; `path` may have a question of its own. */
export function useNewest<Row extends { state?: string }>(path: string, limit: number) {
  const asked = `${path}${path.includes("?") ? "&" : "?"}limit=${limit}`;
  return useWatched<Listing<Row>>(asked, (list) => list.items.some((row) => isAtWork({ state: row.state ?? "" })));
}

/** The active version, or null where there is none. */
export function useActive() {
  return useQuery({
    queryKey: ["operations", "models/active"],
    queryFn: async ({ signal }) => {
      try {
        return await ask<Version>("GET", "models/active", undefined, signal);
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return null;
        throw error;
      }
    },
    refetchInterval: CALM_MS,
  });
}

/** Every part's condition; the service answers 503 with it when nothing can be predicted. */
export function useHealth() {
  return useQuery({
    queryKey: ["operations", "health"],
    queryFn: async ({ signal }) => {
      try {
        return await ask<Health>("GET", "health", undefined, signal);
      } catch (error) {
        if (error instanceof Problem && isHealth(error.document)) return error.document;
        throw error;
      }
    },
    refetchInterval: CALM_MS,
  });
}

function isHealth(document: unknown): document is Health {
  return typeof document === "object" && document !== null && "parts" in document;
}

export interface Change {
  method: "POST" | "DELETE" | "PATCH";
  path: string;
  body?: unknown;
}

/** A change; everything on the pages is asked for again after it, whether it was made or refused. */
export function useChange<Answer = unknown>() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: Change) => ask<Answer>(method, path, body),
    onSettled: () => void client.invalidateQueries(), // not waited for: they pause while the service is away
  });
}

const OPERATES = new Set(["operator", "administrator"]);

/** What whoever is signed in may do here; the service decides, this only keeps from offering in vain. */
export function useMay() {
  const role = useSession().data?.role ?? null;
  return {
    role,
    operate: role !== null && OPERATES.has(role),
    administer: role === "administrator",
    audit: role === "auditor",
  };
}
