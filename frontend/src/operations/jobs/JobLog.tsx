import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { ask, type Listing } from "../../api/client";
import { Complaint } from "../../app/Complaint";
import { CALM_MS, LIVE_MS } from "../api";
import { type Line, Lines } from "../parts/Lines";
import type { LogLine } from "../types";
import { followed } from "./followed";

const AT_ONCE = 500;

/** What a job said so far; while it runs, only the lines that came since are asked for. */
export function JobLog({ id, isLive }: { id: string; isLive: boolean }) {
  const { t } = useTranslation();
  const path = `training/jobs/${encodeURIComponent(id)}/log`;
  const log = useQuery({
    queryKey: ["operations", path],
    queryFn: ({ signal, client, queryKey }) =>
      followed(client.getQueryData<LogLine[]>(queryKey) ?? [], (offset) =>
        ask<Listing<LogLine>>("GET", `${path}?limit=${AT_ONCE}&offset=${offset}`, undefined, signal),
      ),
    refetchInterval: isLive ? LIVE_MS : CALM_MS * 4,
  });
  const lines = useMemo(
    () =>
      (log.data ?? []).map(
        (line, place): Line => ({ key: String(place), at: line.at, level: line.level, text: line.message }),
      ),
    [log.data],
  );
  return (
    <div className="stack">
      <h3>{t("operations.jobLog")}</h3>
      {log.error && <Complaint error={log.error} />}
      <Lines lines={lines} label={t("operations.jobLog")} follows={isLive} />
    </div>
  );
}
