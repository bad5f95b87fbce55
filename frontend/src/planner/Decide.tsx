import { useMutation } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ask, Problem } from "../api/client";
import { Complaint } from "../app/Complaint";
import { useSession } from "../app/session";
import { pauseBefore } from "./asking";
import { asRouting } from "./draft";
import type { Step } from "./steps";
import { historyOf, isEdited, type Outcome, type WorkItem } from "./work";

const MAY_DECIDE = ["planner", "operator", "administrator"];
const MOST_TRIES = 8; // over about half a minute: a restart of the service

interface Props {
  item: WorkItem;
  left: number; // items that nobody decided on, without this one
  step: (step: Step) => void;
  onNext: () => void;
}

/** The planner's word: accept as proposed, accept as edited, or reject with a reason; then on to the next item. */
export function Decide({ item, left, step, onNext }: Props) {
  const { t } = useTranslation();
  const session = useSession();
  const [reason, setReason] = useState("");
  const next = useRef<HTMLButtonElement>(null);
  const code = item.query.item_code;
  const accepting: Outcome = isEdited(item) ? "edited" : "accepted";
  const operations = historyOf(item)?.present.operations ?? [];
  const rank = item.chosen;
  const sending = useMutation({
    mutationFn: (outcome: Outcome) =>
      ask("POST", `predictions/${item.predictionId}/decisions`, decision(item, outcome, reason)),
    onSuccess: (_, outcome) => step({ kind: "decide", code, outcome, rank }),
    // not where no answer came: the decision may be stored, and only the planner knows whether to say it twice
    retry: (failures, error) => error instanceof Problem && error.status === 503 && failures < MOST_TRIES,
    retryDelay: pauseBefore,
  });
  const wasDecided = useRef(item.decided);
  useEffect(() => {
    if (item.decided && !wasDecided.current) next.current?.focus();
    wasDecided.current = item.decided;
  }, [item.decided]);

  const why = sending.isPending && sending.failureCount > 0 ? t("planner.waitingForService") : null;
  const isAllowed = session.data && MAY_DECIDE.includes(session.data.role);
  const canSend = Boolean(isAllowed) && !sending.isPending && item.predictionId !== undefined;
  const accept = () => canSend && operations.length && sending.mutate(accepting);
  const keys = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) accept();
  };
  useAcceptKey(accept, !item.decided);
  const nextButton = (
    <button ref={next} type="button" className={item.decided ? "main" : ""} disabled={!left} onClick={onNext}>
      {t("planner.nextUndecided", { count: left })}
    </button>
  );
  if (item.decided)
    return (
      <div className="row decide">
        <p className="note grow">{t("planner.decided", { outcome: t(`planner.outcome.${item.decided.outcome}`) })}</p>
        {nextButton}
      </div>
    );
  return (
    <div className="decide stack">
      {sending.error && <Complaint error={sending.error} />}
      {sending.error instanceof Problem && sending.error.status === 0 && <p>{t("planner.decideAgain")}</p>}
      {why && <p role="status">{why}</p>}
      {session.data === null && <p className="hint">{t("planner.signInToDecide")}</p>}
      {session.data && !isAllowed && (
        <p className="hint">{t("planner.roleMayNot", { role: t(`roles.${session.data.role}`) })}</p>
      )}
      <div className="row">
        <label className="inline grow">
          {t("planner.reason")}
          <input
            className="grow"
            value={reason}
            maxLength={2000}
            onChange={(event) => setReason(event.target.value)}
            onKeyDown={keys}
          />
        </label>
        <button
          type="button"
          className="main"
          title="Ctrl+Enter"
          disabled={!canSend || !operations.length}
          onClick={accept}
        >
          {accepting === "edited" ? t("planner.acceptEdited") : t("planner.accept")}
        </button>
        <button
          type="button"
          title={reason.trim() ? undefined : t("planner.rejectWhy")}
          disabled={!canSend || !reason.trim()}
          onClick={() => sending.mutate("rejected")}
        >
          {t("planner.reject")}
        </button>
        {nextButton}
      </div>
    </div>
  );
}

function decision(item: WorkItem, outcome: Outcome, reason: string) {
  const history = historyOf(item);
  return {
    item_code: item.query.item_code,
    outcome,
    operations: outcome === "rejected" || !history ? [] : asRouting(history.present),
    reason: reason.trim(),
    model_version: item.modelVersion,
  };
}

/** Ctrl+Enter accepts, wherever the keyboard is; a cell that is being typed into is left first, so that its value counts. */
function useAcceptKey(accept: () => void, isOpen: boolean) {
  const latest = useRef(accept);
  latest.current = accept;
  useEffect(() => {
    if (!isOpen) return;
    const listen = (event: globalThis.KeyboardEvent) => {
      if (event.defaultPrevented || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      if (document.querySelector("dialog[open]") || !(event.target instanceof HTMLElement)) return;
      event.preventDefault();
      event.target.blur();
      setTimeout(() => latest.current()); // after what the cell committed was drawn
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [isOpen]);
}
