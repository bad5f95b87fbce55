import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { piecesFrom } from "../numbers";
import type { Wanted } from "../pasting";
import type { Work } from "../work";
import { FindItems } from "./FindItems";
import { NewItem } from "./NewItem";
import { PasteItems } from "./PasteItems";
import type { WayProps } from "./way";

const WAYS = ["find", "paste", "new"] as const;
export type Way = (typeof WAYS)[number];

interface Props extends Pick<WayProps, "change" | "onChange"> {
  work: Work;
  way: Way;
  onWay: (way: Way) => void;
  onAdd: (wanted: Wanted[], quantity: number, isStaying: boolean) => void;
  onClose: (() => void) | null;
}

/** Put items on the list: found, pasted, or described by their attributes. */
export function AddItems({ work, way, onWay, onAdd, onClose, change, onChange }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const [pieces, setPieces] = useState(String(work.quantity));
  const quantity = piecesFrom(pieces);
  const listed = useMemo(() => new Set(work.items.map((item) => item.query.item_code)), [work.items]);
  const add = (wanted: Wanted[], isStaying = false) => onAdd(wanted, quantity ?? work.quantity, isStaying);
  const keys = (event: KeyboardEvent) => {
    const away = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = WAYS[(WAYS.indexOf(way) + away + WAYS.length) % WAYS.length];
    if (!away || !next) return;
    onWay(next);
    document.getElementById(`${id}-${next}`)?.focus();
  };
  const Chosen = { find: FindItems, paste: PasteItems, new: NewItem }[way];
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes from whichever field has the focus
    <div className="stack add" onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && onClose?.()}>
      <div className="row">
        <div role="tablist" aria-label={t("planner.addItems")} className="tabs" onKeyDown={keys}>
          {WAYS.map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              id={`${id}-${each}`}
              aria-selected={each === way}
              aria-controls={`${id}-panel`}
              tabIndex={each === way ? 0 : -1}
              onClick={() => onWay(each)}
            >
              {t(`planner.way.${each}`)}
            </button>
          ))}
        </div>
        <span className="spring" />
        <label className="inline">
          {t("planner.quantity")}
          <input
            inputMode="decimal"
            value={pieces}
            aria-invalid={quantity === null}
            title={quantity === null ? t("planner.wrongPieces") : undefined}
            onChange={(event) => setPieces(event.target.value)}
          />
        </label>
        {onClose && (
          <button type="button" onClick={onClose}>
            {t("planner.backToRouting")}
          </button>
        )}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${way}`}>
        <Chosen listed={listed} onAdd={add} change={change} onChange={onChange} />
      </div>
    </div>
  );
}
