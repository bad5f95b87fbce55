/** Who is signed in; the cookie itself is out of the pages' reach. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { ask, Problem } from "../api/client";

export type Role = "viewer" | "planner" | "operator" | "administrator" | "auditor";

export interface Session {
  name: string;
  role: Role;
  expires_at: string | null;
}

const SESSION = ["session"];
const LOOK_AGAIN_MS = 60_000;

/** Who is signed in, or null; looked at again each minute, when the session is to end, and after a refusal. */
export function useSession() {
  return useQuery({
    queryKey: SESSION,
    queryFn: ({ signal }) => ask<Session | null>("GET", "session", undefined, signal),
    staleTime: LOOK_AGAIN_MS,
    refetchInterval: (query) => {
      const end = query.state.data?.expires_at;
      const left = end ? Date.parse(end) - Date.now() : LOOK_AGAIN_MS;
      return left > 0 ? Math.min(LOOK_AGAIN_MS, left + 500) : LOOK_AGAIN_MS;
    },
  });
}

/** Return whether an error says that whoever was signed in no longer is. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof Problem && error.status === 401;
}

/** Sign in with a key, and out again; what a role may see is asked for anew. */
export function useSigning() {
  const client = useQueryClient();
  const become = async (session: Session | null) => {
    await client.cancelQueries({ queryKey: SESSION }); // an answer under way would speak of before
    client.setQueryData(SESSION, session);
    void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] });
  };
  const enter = useMutation({
    mutationFn: (key: string) => ask<Session>("POST", "session", { key }),
    onSuccess: become,
  });
  const leave = useMutation({ mutationFn: () => ask<void>("DELETE", "session"), onSuccess: () => become(null) });
  return { enter, leave };
}

/** How a session ended without being signed out of here: its time was over, or it, or its key, counts no more. */
export type Ending = "expired" | "ended";

/** Return how the last session ended, null while somebody is signed in or where nobody was; and how to leave. */
export function useEnding(): { ending: Ending | null; expectEnd: () => void } {
  const { data } = useSession();
  const [ending, setEnding] = useState<Ending | null>(null);
  const last = useRef<Session | null>(null);
  useEffect(() => {
    if (data === undefined) return;
    const before = last.current;
    last.current = data;
    if (data) setEnding(null);
    else if (before) setEnding(before.expires_at && Date.parse(before.expires_at) <= Date.now() ? "expired" : "ended");
  }, [data]);
  const expectEnd = () => {
    last.current = null;
    setEnding(null);
  };
  return { ending, expectEnd };
}
