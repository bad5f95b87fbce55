import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Asked } from "./work";

const ROW_PIXELS = 34;

interface Props {
  items: Asked[];
  active: string | null;
  onOpen: (code: string) => void;
  onClear: () => void;
}

/** The items asked for with their state; only the rows in sight are drawn. */
export function ItemList({ items, active, onOpen, onClear }: Props) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PIXELS,
    overscan: 10,
  });
  const done = items.filter((item) => item.state !== "waiting").length;
  if (!items.length) return null;
  return (
    <>
      <div className="row">
        <progress value={done} max={items.length} aria-label={t("planner.progress")} />
        <span role="status">{t("planner.done", { done, all: items.length })}</span>
        <span className="spring" />
        <button type="button" className="quiet" onClick={onClear}>
          {t("planner.clear")}
        </button>
      </div>
      <div ref={frame} className="rows">
        <ul style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index];
            if (!item) return null;
            const code = item.query.item_code;
            return (
              <li key={code} style={{ transform: `translateY(${row.start}px)`, height: ROW_PIXELS }}>
                <button type="button" aria-current={code === active} onClick={() => onOpen(code)}>
                  <span className="code">{code}</span>
                  <State item={item} />
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </>
  );
}

function State({ item }: { item: Asked }) {
  const { t } = useTranslation();
  if (item.decided) return <span className="badge good">{t(`planner.outcome.${item.decided}`)}</span>;
  if (item.state !== "answered") return <span className="badge">{t(`planner.state.${item.state}`)}</span>;
  const status = item.prediction?.status ?? "ok";
  if (status !== "ok") return <span className="badge warn">{t(`planner.status.${status}`)}</span>;
  const first = item.prediction?.candidates?.[0];
  return <span className={`badge ${first?.tier ?? ""}`}>{Math.round((first?.probability ?? 0) * 100)} %</span>;
}
