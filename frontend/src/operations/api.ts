/** What the operator's page asks for, as the service lists it. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask, type Listing, Problem } from "../api/client";

export interface Version {
  version: string;
  state: "pending" | "active" | "retired" | "rejected" | "removed";
  model_kind: string;
  data_as_of: string | null;
  registered_at: string;
  activated_at: string | null;
  pinned: boolean;
}

export interface Alert {
  id: string;
  kind: string;
  subject: string;
  severity: string;
  state: "open" | "acknowledged" | "closed";
  message: string;
  created_at: string;
  count: number;
}

interface Work {
  id: string;
  state: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "skipped";
  reason: string;
  progress: number;
  step: string;
  error: string | null;
  created_at: string;
}

interface Measured {
  value: number;
  low: number;
  high: number;
  n: number;
}

export interface Cycle extends Work {
  model_version: string | null;
  evaluated: number;
  metrics: { overall?: Record<string, Measured | undefined> } | null;
}

export interface Job extends Work {
  kind: string;
  model_version: string | null;
  eta: string | null;
}

const LIVE_MS = 2_000;
const CALM_MS = 15_000;

/** The newest rows of a list; asked again soon while one of them is being worked on. */
export function useNewest<Row extends { state: string }>(path: string, limit: number) {
  return useQuery({
    queryKey: [path, limit],
    queryFn: ({ signal }) => ask<Listing<Row>>("GET", `${path}limit=${limit}`, undefined, signal),
    refetchInterval: (query) =>
      query.state.data?.items.some((row) => row.state === "running" || row.state === "queued") ? LIVE_MS : CALM_MS,
  });
}

/** The active version, or null where there is none. */
export function useActive() {
  return useQuery({
    queryKey: ["models/active"],
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

export interface Change {
  method: "POST" | "DELETE";
  path: string;
  body?: unknown;
}

/** A change; everything on the page is asked for again after it. */
export function useChange() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: Change) => ask<unknown>(method, path, body),
    onSettled: () => void client.invalidateQueries(), // not waited for: they pause while the service is away
  });
}
