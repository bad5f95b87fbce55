import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Step } from "./steps";
import { historyOf, isEdited, isUndecided, type Work, type WorkItem } from "./work";

const ROW_PIXELS = 30;

interface Props {
  work: Work;
  step: (step: Step) => void;
  onOpen: (code: string) => void;
  files: ReactNode;
}

/** The list of work with each item's state; ↑ and ↓ go through it, Delete takes an item off, and only the rows in sight are drawn. */
export function ItemList({ work, step, onOpen, files }: Props) {
  const { t } = useTranslation();
  const { items, active } = work;
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PIXELS,
    overscan: 10,
  });
  const at = items.findIndex((item) => item.query.item_code === active);
  const { scrollToIndex } = rows;
  useEffect(() => {
    if (at >= 0) scrollToIndex(at);
  }, [at, scrollToIndex]);
  const done = items.filter((item) => item.state !== "waiting").length;
  const undecided = items.filter(isUndecided).length;
  if (!items.length) return null;
  const goTo = (place: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, place))];
    if (item) onOpen(item.query.item_code);
  };
  return (
    <>
      <div className="row counts">
        {done < items.length && <progress value={done} max={items.length} aria-label={t("planner.progress")} />}
        <small role="status">
          {done < items.length
            ? t("planner.done", { done, all: items.length })
            : t("planner.undecided", { count: undecided, all: items.length })}
        </small>
        <span className="spring" />
        {files}
        <button
          type="button"
          onClick={() => {
            if (window.confirm(t("planner.clearSure", { count: items.length }))) step({ kind: "clear" });
          }}
        >
          {t("planner.clear")}
        </button>
      </div>
      <div
        ref={frame}
        className="listing"
        role="listbox"
        tabIndex={0}
        aria-label={t("planner.items")}
        aria-activedescendant={at >= 0 ? `listed-${at}` : undefined}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") goTo(at + 1);
          else if (event.key === "ArrowUp") goTo(at - 1);
          else if (event.key === "Home") goTo(0);
          else if (event.key === "End") goTo(items.length - 1);
          else if (event.key === "Delete" && active) step({ kind: "remove", code: active });
          else return;
          event.preventDefault();
        }}
      >
        <div className="rowspace" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index];
            if (!item) return null;
            const code = item.query.item_code;
            return (
              <div
                key={code}
                id={`listed-${row.index}`}
                role="option"
                aria-selected={code === active}
                className="listed"
                style={{ transform: `translateY(${row.start}px)`, height: ROW_PIXELS }}
                onClick={() => onOpen(code)}
              >
                <span className="code">{code}</span>
                <span className="spring" />
                <State item={item} />
                <span
                  className="take-off"
                  aria-hidden // the Delete key does it, too
                  title={t("planner.takeOff", { code })}
                  onClick={(event) => {
                    event.stopPropagation();
                    step({ kind: "remove", code });
                  }}
                >
                  ×
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}

function State({ item }: { item: WorkItem }) {
  const { t, i18n } = useTranslation();
  if (item.decided) return <span className="badge good">✓ {t(`planner.outcome.${item.decided.outcome}`)}</span>;
  if (item.state === "failed") return <span className="badge bad">{t("planner.state.failed")}</span>;
  if (item.state !== "answered") return <span className="badge">{t(`planner.state.${item.state}`)}</span>;
  const isOwn = isEdited(item) && historyOf(item);
  if (isOwn) return <span className="badge">✎ {t("planner.state.edited")}</span>;
  const status = item.prediction?.status ?? "ok";
  if (status !== "ok") return <span className="badge warn">{t(`planner.status.${status}`)}</span>;
  const first = item.prediction?.candidates?.[0];
  const percent = (first?.probability ?? 0).toLocaleString(i18n.language, { style: "percent" });
  return <span className={`badge ${first?.tier ?? ""}`}>{percent}</span>;
}
