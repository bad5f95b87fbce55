import { useMutation } from "@tanstack/react-query";
import { type Dispatch, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { ask, type Candidate, Problem } from "../api/client";
import { Complaint } from "../app/Complaint";
import { Decide } from "./Decide";
import { Downloads } from "./Downloads";
import { asDecided, isUnchanged, orderMinutes } from "./draft";
import { Evidence } from "./Evidence";
import { minutes } from "./numbers";
import { RoutingTable } from "./RoutingTable";
import type { Asked, Step } from "./work";

interface Props {
  item: Asked;
  quantity: number;
  step: Dispatch<Step>;
}

/** One item: its candidates side by side, the working copy of the chosen one, its evidence, and the decision. */
export function RoutingPanel({ item, quantity, step }: Props) {
  const { t, i18n } = useTranslation();
  const code = item.query.item_code;
  useUndoKeys(code, step);
  const decide = useMutation({
    mutationFn: ({ outcome, reason }: { outcome: "accepted" | "edited" | "rejected"; reason: string }) =>
      ask("POST", `predictions/${item.predictionId}/decisions`, {
        item_code: code,
        outcome,
        operations: outcome === "rejected" || !item.history ? [] : asDecided(item.history.present),
        reason,
        model_version: item.modelVersion,
      }),
    onSuccess: (_, { outcome }) => step({ kind: "decide", code, outcome }),
  });
  if (item.state === "waiting") return <p className="hint">{t("planner.state.waiting")}…</p>;
  if (item.state === "failed" && item.complaint)
    return <Complaint error={new Problem(item.complaint.code, item.complaint.detail, 0)} />;
  const candidates = item.prediction?.candidates ?? [];
  const draft = item.history?.present;
  const chosen = candidates.find((each) => each.rank === draft?.rank);
  return (
    <article className="stack">
      <div className="row">
        <h1>{code}</h1>
        <span className="spring" />
        {item.predictionId && <Downloads predictionId={item.predictionId} />}
      </div>
      {item.prediction?.message && (
        <p className={item.prediction.status === "ok" ? "note" : "complaint"}>{item.prediction.message}</p>
      )}
      {candidates.length > 0 && (
        <Candidates
          candidates={candidates}
          chosen={chosen?.rank ?? 0}
          onChoose={(rank) => step({ kind: "choose", code, rank })}
        />
      )}
      {draft && chosen && item.history && (
        <>
          <div className="row">
            <button type="button" disabled={!item.history.past.length} onClick={() => step({ kind: "undo", code })}>
              ↶ {t("planner.undo")}
            </button>
            <button type="button" disabled={!item.history.future.length} onClick={() => step({ kind: "redo", code })}>
              ↷ {t("planner.redo")}
            </button>
            <span className="spring" />
            <span>
              {t("planner.total", {
                minutes: minutes(orderMinutes(draft, quantity), i18n.language),
                quantity: quantity.toLocaleString(i18n.language),
              })}
            </span>
          </div>
          <RoutingTable draft={draft} candidate={chosen} onEdit={(edit) => step({ kind: "edit", code, edit })} />
          <Decide
            isChanged={!isUnchanged(draft, chosen)}
            decided={item.decided}
            isSending={decide.isPending}
            onDecide={(outcome, reason) => decide.mutate({ outcome, reason })}
          />
          {decide.error && <Complaint error={decide.error} />}
          <Evidence candidate={chosen} />
        </>
      )}
    </article>
  );
}

function Candidates(props: { candidates: Candidate[]; chosen: number; onChoose: (rank: number) => void }) {
  const { t } = useTranslation();
  return (
    <div className="candidates" role="radiogroup" aria-label={t("planner.candidates")}>
      {props.candidates.map((each) => (
        <label key={each.rank} className={`candidate ${each.rank === props.chosen ? "chosen" : ""}`}>
          <input
            type="radio"
            name="candidate"
            checked={each.rank === props.chosen}
            onChange={() => props.onChoose(each.rank)}
          />
          <strong>{Math.round(each.probability * 100)} %</strong>
          <span className={`badge ${each.tier}`}>{t(`planner.tier.${each.tier}`)}</span>
          <span>{t(`planner.source.${each.source}`)}</span>
          <small>{t("planner.operations", { count: each.operations.length })}</small>
          <small className="signature">{each.routing_signature.replaceAll(">", " › ")}</small>
        </label>
      ))}
    </div>
  );
}

function useUndoKeys(code: string, step: Dispatch<Step>) {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (isTyping || !(event.ctrlKey || event.metaKey)) return;
      const key = event.key.toLowerCase();
      if (key === "z") step({ kind: event.shiftKey ? "redo" : "undo", code });
      else if (key === "y") step({ kind: "redo", code });
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [code, step]);
}
