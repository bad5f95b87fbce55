import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../../app/Complaint";
import { useChange, useMay } from "../api";
import { ReasonDialog } from "../parts/Dialog";
import { WhyNot } from "../parts/parts";
import type { Version } from "../types";
import { type Report, Verification } from "./Verification";

type Action = "activate" | "reject" | "rollback" | "pin" | "unpin";

/** What may be done to a version in its state; the service has the last word. */
export function actionsOf(version: Pick<Version, "state" | "pinned">): Action[] {
  const may: Action[] = [];
  if (version.state === "pending" || version.state === "retired") may.push("activate");
  if (version.state === "pending") may.push("reject");
  if (version.state === "active") may.push("rollback");
  if (version.state !== "removed") may.push(version.pinned ? "unpin" : "pin");
  return may;
}

interface VersionActionsProps {
  version: Version;
  /** What is active as far as this page knows; empty for none. A change is refused where that is not so any more. */
  active: string;
}

export function VersionActions({ version, active }: VersionActionsProps) {
  const { t } = useTranslation();
  const may = useMay();
  const verify = useChange<Report>();
  const [wanted, setWanted] = useState<Action>();
  if (!may.operate) return <WhyNot />;
  const path = `models/${encodeURIComponent(version.version)}`;
  return (
    <>
      <div className="row">
        {version.state !== "removed" && (
          <button
            type="button"
            disabled={verify.isPending}
            onClick={() => verify.mutate({ method: "POST", path: `${path}/verify` })}
          >
            {t(verify.isPending ? "operations.verifying" : "operations.verify")}
          </button>
        )}
        {actionsOf(version).map((each) => (
          <button
            key={each}
            type="button"
            className={each === "activate" ? "main" : ""}
            onClick={() => setWanted(each)}
          >
            {t(`operations.action.${each}`)}
          </button>
        ))}
      </div>
      {verify.error && <Complaint error={verify.error} />}
      {verify.data && <Verification report={verify.data} />}
      {wanted && (
        <ActionDialog action={wanted} version={version.version} active={active} onClose={() => setWanted(undefined)} />
      )}
    </>
  );
}

interface ActionDialogProps {
  action: Action;
  version: string;
  active: string;
  onClose: () => void;
}

/** Asks for the reason, and tells the service what was active when it was asked. */
export function ActionDialog({ action, version, active, onClose }: ActionDialogProps) {
  const { t } = useTranslation();
  const path = action === "rollback" ? "models/rollback" : `models/${encodeURIComponent(version)}/${action}`;
  const [seen] = useState(active); // what whoever decides has seen, whatever is learned while the dialog is open
  const expected = action === "pin" || action === "unpin" ? {} : { expected_active: seen };
  return (
    <ReasonDialog
      title={`${t(`operations.action.${action}`)}: ${version}`}
      action={t(`operations.action.${action}`)}
      says={<p>{t(`operations.actionSays.${action}`, { active: seen || t("operations.none") })}</p>}
      change={(reason) => ({ method: "POST", path, body: { reason, ...expected } })}
      onClose={onClose}
    />
  );
}
