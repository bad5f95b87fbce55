import { useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../../app/Complaint";
import { useMay } from "../api";
import { type Line, Lines } from "../parts/Lines";
import { Card, WhyNot } from "../parts/parts";
import { type LogFilter, question, said } from "./buffer";
import { useLog } from "./useLog";

const LEVELS = ["debug", "info", "warning", "error", "critical"] as const;

/** The installation's own log, followed. */
export default function LogPage() {
  const { t } = useTranslation();
  const may = useMay();
  if (!may.operate)
    return (
      <Card title={t("operations.log")}>
        <WhyNot />
      </Card>
    );
  return <Log />;
}

function Log() {
  const { t } = useTranslation();
  const [filter, setFilter] = useState<LogFilter>({ level: "", text: "" });
  const [isPaused, setPaused] = useState(false);
  const [follows, setFollows] = useState(true);
  const asked = useDeferredValue(filter);
  const { log, older } = useLog(asked, isPaused);
  const buffer = log.data;
  const lines = useMemo(
    () =>
      (buffer?.lines ?? []).map((entry, place): Line => {
        const text = said(entry);
        return {
          key: String((buffer?.first ?? 0) + place),
          at: entry.time ?? "",
          level: entry.level ?? "",
          text,
          more: `${entry.source} ${entry.time ?? ""}`,
        };
      }),
    [buffer],
  );
  return (
    <Card title={t("operations.log")} of={[log]} className="tall">
      <search className="row">
        <label className="inline">
          {t("operations.level")}
          <select value={filter.level} onChange={(event) => setFilter({ ...filter, level: event.target.value })}>
            <option value="">{t("operations.anyLevel")}</option>
            {LEVELS.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <input
          type="search"
          className="grow"
          aria-label={t("operations.search")}
          placeholder={t("operations.search")}
          maxLength={200}
          value={filter.text}
          onChange={(event) => setFilter({ ...filter, text: event.target.value })}
        />
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {t(isPaused ? "operations.resume" : "operations.pause")}
        </button>
        <label className="choice">
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} />
          {t("operations.follow")}
        </label>
        <a href={`/api/logs/download?${question(filter)}`} download>
          {t("operations.download")}
        </a>
      </search>
      {older.error && <Complaint error={older.error} />}
      {buffer?.message && <p>{buffer.message}</p>}
      {buffer?.hasGap && <p className="note">{t("operations.logGap")}</p>}
      <div className="row">
        <button
          type="button"
          disabled={!buffer?.before || older.isPending}
          onClick={() => {
            setFollows(false);
            if (buffer?.before) older.mutate(buffer.before);
          }}
        >
          {t("operations.olderLines")}
        </button>
        <small role="status">
          {t("operations.linesShown", { count: lines.length })} {isPaused && t("operations.isPaused")}
        </small>
      </div>
      <Lines lines={lines} label={t("operations.log")} follows={follows && !isPaused} />
    </Card>
  );
}
