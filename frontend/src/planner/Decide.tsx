import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../app/SignIn";

type Outcome = "accepted" | "edited" | "rejected";

interface Props {
  isChanged: boolean;
  decided: Outcome | undefined;
  isSending: boolean;
  onDecide: (outcome: Outcome, reason: string) => void;
}

/** The planner's word: accept as proposed, accept as edited, or reject with a reason. */
export function Decide({ isChanged, decided, isSending, onDecide }: Props) {
  const { t } = useTranslation();
  const session = useSession();
  const [reason, setReason] = useState("");
  if (decided) return <p className="note">{t("planner.decided", { outcome: t(`planner.outcome.${decided}`) })}</p>;
  if (session.data === null) return <p className="hint">{t("planner.signInToDecide")}</p>;
  const send = (outcome: Outcome) => onDecide(outcome, reason.trim());
  return (
    <div className="row decide">
      <label className="grow">
        {t("planner.reason")}
        <input value={reason} maxLength={2000} onChange={(event) => setReason(event.target.value)} />
      </label>
      <button
        type="button"
        className="main"
        disabled={isSending}
        onClick={() => send(isChanged ? "edited" : "accepted")}
      >
        {isChanged ? t("planner.acceptEdited") : t("planner.accept")}
      </button>
      <button type="button" disabled={isSending || !reason.trim()} onClick={() => send("rejected")}>
        {t("planner.reject")}
      </button>
    </div>
  );
}
