/** What the active model knows, for forms to complete from: attributes with their values, operations with their usual times. */

import { useQuery } from "@tanstack/react-query";
import { ask } from "../api/client";

const FRESH_MS = 300_000;

export interface AttributeView {
  name: string;
  kind: string;
  unit: string | null;
  family: boolean;
  values?: string[] | null; // the most frequent ones
  low?: number | null;
  high?: number | null;
}

export interface KnownOperation {
  operation_code: string;
  operation_name: string | null;
  inside: boolean | null;
  resources: { resource_code: string; resource_name: string | null }[]; // the most usual first
  setup_minutes: number | null;
  run_minutes_per_unit: number | null;
  wait_minutes: number | null;
  move_minutes: number | null;
  queue_minutes: number | null;
}

const NO_ATTRIBUTES: AttributeView[] = [];

export function useAttributes(): AttributeView[] {
  return useList<AttributeView>("attributes") ?? NO_ATTRIBUTES;
}

function useList<Row>(path: string): Row[] | undefined {
  const found = useQuery({
    queryKey: [path],
    queryFn: ({ signal }) => ask<{ items: Row[] }>("GET", path, undefined, signal),
    staleTime: FRESH_MS,
  });
  return found.data?.items;
}
