/** What the active model knows, for forms to complete from: attributes with their values, operations with their usual times. */

import { useQuery } from "@tanstack/react-query";
import { ask, type Listing } from "../api/client";
import type { components } from "../api/schema";

export type AttributeView = components["schemas"]["KnownAttribute"];
export type KnownOperation = components["schemas"]["KnownOperation"];

const FRESH_MS = 300_000;
const PAGE = 500;
const NO_ATTRIBUTES: AttributeView[] = [];
const NO_OPERATIONS: KnownOperation[] = [];

export function useAttributes(): AttributeView[] {
  const found = useQuery({
    queryKey: ["attributes"],
    queryFn: ({ signal }) => ask<{ items: AttributeView[] }>("GET", "attributes", undefined, signal),
    staleTime: FRESH_MS,
  });
  return found.data?.items ?? NO_ATTRIBUTES;
}

/** All operations of the model: some hundreds, and a code that is none of them is unknown to it. */
export function useOperations(): KnownOperation[] {
  const found = useQuery({
    queryKey: ["operations"],
    queryFn: async ({ signal }) => {
      const all: KnownOperation[] = [];
      for (let total = 1; all.length < total; ) {
        const path = `operations?limit=${PAGE}&offset=${all.length}`;
        const page = await ask<Listing<KnownOperation>>("GET", path, undefined, signal);
        if (!page.items.length) break;
        all.push(...page.items);
        total = page.total;
      }
      return all;
    },
    staleTime: FRESH_MS,
  });
  return found.data ?? NO_OPERATIONS;
}
