import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask } from "../../api/client";
import { type Buffer, begun, continued, type LogAnswer, type LogFilter, question, reachedBack } from "./buffer";

const EVERY_MS = 3_000; // each question is itself some lines of the log
const FIRST = "500";
const AT_ONCE = "1000";

/** The log's newest lines, followed unless paused, and a way to older ones. */
export function useLog(filter: LogFilter, isPaused: boolean) {
  const client = useQueryClient();
  const key = ["operations", "logs", filter.level, filter.text.trim()];
  const log = useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const known = client.getQueryData<Buffer>(key);
      if (!known?.after) return begun(await page(filter, { limit: FIRST }, signal));
      const answer = await page(filter, { limit: AT_ONCE, after: known.after }, signal);
      return continued(client.getQueryData<Buffer>(key) ?? known, answer); // older lines may have come meanwhile
    },
    enabled: !isPaused,
    refetchInterval: EVERY_MS,
    gcTime: 0,
  });
  const older = useMutation({
    mutationFn: (before: string) => page(filter, { limit: AT_ONCE, before }),
    onSuccess: (answer) =>
      client.setQueryData<Buffer>(key, (known) => (known === undefined ? undefined : reachedBack(known, answer))),
  });
  return { log, older };
}

function page(filter: LogFilter, more: Record<string, string>, signal?: AbortSignal): Promise<LogAnswer> {
  return ask<LogAnswer>("GET", `logs?${question(filter, more)}`, undefined, signal);
}
