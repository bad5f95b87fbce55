import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";
import { Complaint } from "../app/Complaint";
import { Candidates } from "./Candidates";
import { Compare } from "./Compare";
import { Decide } from "./Decide";
import { type OrderTotals, orderTotals } from "./draft";
import { Evidence } from "./Evidence";
import { ItemDetails } from "./ItemDetails";
import { minutes, piecesFrom } from "./numbers";
import { RoutingTable } from "./RoutingTable";
import type { Step } from "./steps";
import { candidateOf, historyOf, isUndecided, OWN, ranksOf, type Work, type WorkItem } from "./work";

const VIEWS = ["edit", "compare", "evidence"] as const;
type View = (typeof VIEWS)[number];

interface Props {
  item: WorkItem;
  work: Work;
  step: (step: Step) => void;
  files: ReactNode;
  onNext: () => void;
  onAttributes: () => void;
}

/** One item: its candidates side by side, the working copy of the chosen one, its evidence, and the decision. */
export function RoutingPanel({ item, work, step, files, onNext, onAttributes }: Props) {
  const { t } = useTranslation();
  const [view, setView] = useState<View>("edit");
  const [shown, setShown] = useState<string | null>(null); // a near item
  const code = item.query.item_code;
  const history = historyOf(item);
  const candidates = item.prediction?.candidates ?? [];
  const candidate = candidateOf(item) ?? candidates[0];
  const isOpen = item.state === "answered" || item.state === "opened";
  const left = work.items.filter((each) => isUndecided(each) && each !== item).length;
  usePanelKeys(item, step);
  return (
    <article className="stack routing-panel">
      <div className="row">
        <h1 className="code">{code}</h1>
        <Facts item={item} />
        <span className="spring" />
        {(item.query.attributes || item.prediction?.status === "unknown_item") && (
          <button type="button" onClick={onAttributes}>
            {t("planner.changeAttributes")}
          </button>
        )}
        {item.state !== "waiting" && (
          <button type="button" onClick={() => step({ kind: "again", code })}>
            {item.state === "opened" ? t("planner.askFor") : t("planner.askAgain")}
          </button>
        )}
        {files}
      </div>
      {item.state === "waiting" && <p className="hint">{t("planner.state.waiting")}…</p>}
      {item.state === "failed" && item.complaint && (
        <Complaint error={new Problem(item.complaint.code, item.complaint.detail, 0)} />
      )}
      {isOpen && item.prediction && item.prediction.status !== "ok" && (
        <p className="complaint" role="status">
          <strong>{t(`planner.statusWhy.${item.prediction.status}`)}</strong> {item.prediction.message}
        </p>
      )}
      {item.prediction?.status === "ok" && item.prediction.message && <p className="note">{item.prediction.message}</p>}
      {isOpen && ranksOf(item).length > 0 && (
        <Candidates item={item} onChoose={(rank) => step({ kind: "choose", code, rank })} />
      )}
      {isOpen && !item.copies[OWN] && candidates.length === 0 && (
        <div className="row">
          <button type="button" className="main" onClick={() => step({ kind: "own", code })}>
            {t("planner.byHand")}
          </button>
        </div>
      )}
      {isOpen && history && (
        <>
          <div className="row">
            <div role="tablist" aria-label={t("planner.views")} className="tabs">
              {VIEWS.map((each) => (
                <button
                  key={each}
                  type="button"
                  role="tab"
                  aria-selected={view === each}
                  disabled={each !== "edit" && !candidates.length}
                  onClick={() => setView(each)}
                >
                  {t(`planner.view.${each}`)}
                </button>
              ))}
            </div>
            <button
              type="button"
              title="Ctrl+Z"
              disabled={!history.past.length}
              onClick={() => step({ kind: "undo", code })}
            >
              ↶ {t("planner.undo")}
            </button>
            <button
              type="button"
              title="Ctrl+Y"
              disabled={!history.future.length}
              onClick={() => step({ kind: "redo", code })}
            >
              ↷ {t("planner.redo")}
            </button>
            <span className="spring" />
            <Pieces item={item} step={step} />
            <Totals totals={orderTotals(history.present, item.quantity)} />
          </div>
          {view === "edit" && (
            <RoutingTable
              key={item.chosen}
              draft={history.present}
              candidate={candidate}
              onEdit={(edit) => step({ kind: "edit", code, edit })}
              onItem={setShown}
            />
          )}
          {view === "compare" && <Compare item={item} />}
          {view === "evidence" && candidate && <Evidence candidate={candidate} onItem={setShown} />}
          {item.predictionId ? (
            <Decide item={item} left={left} step={step} onNext={onNext} />
          ) : (
            <p className="hint decide">{t("planner.askToDecide")}</p>
          )}
        </>
      )}
      {shown && <ItemDetails key={shown} code={shown} beside={item.query} onClose={() => setShown(null)} />}
    </article>
  );
}

/** What the item was described by, in a line. */
function Facts({ item }: { item: WorkItem }) {
  const { t } = useTranslation();
  const given = Object.entries(item.query.attributes ?? {});
  const text = given
    .map(([name, value]) => `${name} ${typeof value === "object" && value ? `${value.value} ${value.unit}` : value}`)
    .join(" · ");
  return (
    <span className="facts-line hint" title={text}>
      {text || item.modelVersion || (item.state === "opened" ? t("planner.fromFile") : "")}
    </span>
  );
}

function Pieces({ item, step }: { item: WorkItem; step: (step: Step) => void }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState<string | null>(null);
  const leave = () => {
    const quantity = typed === null ? null : piecesFrom(typed);
    if (quantity !== null) step({ kind: "quantity", code: item.query.item_code, quantity });
    setTyped(null);
  };
  return (
    <label className="inline pieces">
      {t("planner.quantity")}
      <input
        inputMode="decimal"
        value={typed ?? String(item.quantity)}
        aria-invalid={typed !== null && piecesFrom(typed) === null}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={leave}
        onKeyDown={(event) => event.key === "Enter" && leave()}
      />
    </label>
  );
}

function Totals({ totals }: { totals: OrderTotals }) {
  const { t, i18n } = useTranslation();
  const shown = Object.fromEntries(
    Object.entries(totals).map(([name, value]) => [name, minutes(value, i18n.language)]),
  );
  return <span className="totals">{t("planner.total", shown)}</span>;
}

/** Undo and redo, and ← → from candidate to candidate, wherever nobody types. */
function usePanelKeys(item: WorkItem, step: (step: Step) => void) {
  useEffect(() => {
    const code = item.query.item_code;
    const listen = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      const isField = target.matches("input, textarea, select");
      if (isField && !target.matches("[type=radio], [type=checkbox]")) return;
      if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
      const key = event.key.toLowerCase();
      const isCommand = event.ctrlKey || event.metaKey;
      const away = key === "arrowright" ? 1 : key === "arrowleft" ? -1 : 0;
      const hasOwnArrows = isField || target.closest('[role="tablist"]') !== null;
      if (isCommand && key === "z") step({ kind: event.shiftKey ? "redo" : "undo", code });
      else if (isCommand && key === "y") step({ kind: "redo", code });
      else if (!isCommand && away && !hasOwnArrows) {
        const ranks = ranksOf(item);
        const next = ranks[(ranks.indexOf(item.chosen) + away + ranks.length) % ranks.length];
        if (next !== undefined) step({ kind: "choose", code, rank: next });
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [item, step]);
}
