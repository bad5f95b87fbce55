import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation } from "wouter";
import { ChangeDialog } from "../parts/Dialog";
import { addressOf } from "../parts/parts";
import type { Job } from "../types";

const KINDS = ["refit", "challenger"] as const;

export function StartJob({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const [kind, setKind] = useState<string>(KINDS[0]);
  const [label, setLabel] = useState("");
  const [priority, setPriority] = useState("0");
  const [dryRun, setDryRun] = useState(false);
  const body = { kind, priority: Number(priority), dry_run: dryRun, ...(label.trim() && { label: label.trim() }) };
  return (
    <ChangeDialog<Job>
      title={t("operations.startJob")}
      action={t("operations.start")}
      change={() => ({ method: "POST", path: "training/jobs", body })}
      onDone={(job) => go(addressOf("jobs", job.id))}
      onClose={onClose}
    >
      <fieldset className="stack">
        <legend>{t("operations.kind")}</legend>
        {KINDS.map((each) => (
          <label key={each} className="choice">
            <input type="radio" name="kind" checked={kind === each} onChange={() => setKind(each)} />
            <span>
              {t(`operations.jobKind.${each}`)} <small>{t(`operations.jobSays.${each}`)}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <label>
        {t("operations.label")}
        <input
          value={label}
          maxLength={64}
          pattern="[a-z0-9][a-z0-9._\-]*"
          title={t("operations.labelRule")}
          onChange={(event) => setLabel(event.target.value)}
        />
        <small>{t("operations.labelRule")}</small>
      </label>
      <label>
        {t("operations.priority")}
        <input
          type="number"
          min={-100}
          max={100}
          required
          value={priority}
          onChange={(event) => setPriority(event.target.value)}
        />
      </label>
      <label className="choice">
        <input type="checkbox" checked={dryRun} onChange={(event) => setDryRun(event.target.checked)} />
        <span>
          {t("operations.dryRun")} <small>{t("operations.dryRunSays")}</small>
        </span>
      </label>
    </ChangeDialog>
  );
}
