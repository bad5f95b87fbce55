import { type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Minutes } from "../api/client";
import { minutes, minutesFrom, minutesShown } from "./numbers";

/** Enter and the arrows up and down go to the same column's cell in the next row, as in a spreadsheet. */
export function goToNeighbour(event: KeyboardEvent<HTMLInputElement>): void {
  const away = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" || event.key === "Enter" ? 1 : 0;
  if (!away || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const column = event.currentTarget.dataset.column;
  const cells = [...(event.currentTarget.closest("table")?.querySelectorAll<HTMLInputElement>("input") ?? [])].filter(
    (cell) => cell.dataset.column === column,
  );
  const next = cells[cells.indexOf(event.currentTarget) + away];
  event.preventDefault();
  if (next) next.focus();
  else event.currentTarget.blur();
}

interface TextCellProps {
  column: string;
  label: string;
  value: string;
  options: string | undefined; // id of the list to complete from
  isRequired?: boolean;
  onCommit: (text: string) => void;
}

export function TextCell({ column, label, value, options, isRequired, onCommit }: TextCellProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const leave = () => {
    const text = typed?.trim();
    if (text !== undefined && text !== value && (text || !isRequired)) onCommit(text);
    setTyped(null);
  };
  return (
    <input
      className="code"
      data-column={column}
      aria-label={label}
      list={options}
      value={typed ?? value}
      maxLength={100}
      onFocus={(event) => event.target.select()}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={leave}
      onKeyDown={(event) => {
        if (event.key === "Escape" && typed !== null) {
          setTyped(null);
          event.preventDefault();
        } else if (event.key === "Enter" || typed === null) goToNeighbour(event);
      }}
    />
  );
}

interface MinutesCellProps {
  column: string;
  label: string;
  value: number;
  predicted: Minutes | undefined;
  onCommit: (value: number) => void;
}

/** A time that can be typed over, with its interval and plan beneath; shown rounded, kept whole while nobody types. */
export function MinutesCell({ column, label, value, predicted, onCommit }: MinutesCellProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState<string | null>(null);
  const isWrong = typed !== null && minutesFrom(typed) === null;
  const leave = () => {
    const given = typed === null ? null : minutesFrom(typed);
    if (given !== null && given !== value && typed !== minutesShown(value)) onCommit(given);
    setTyped(null);
  };
  return (
    <>
      <input
        inputMode="decimal"
        data-column={column}
        aria-label={label}
        aria-invalid={isWrong}
        title={isWrong ? t("planner.wrongMinutes") : undefined}
        value={typed ?? minutesShown(value)}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={leave}
        onKeyDown={(event) => {
          if (event.key === "Escape" && typed !== null) {
            setTyped(null);
            event.preventDefault();
          } else goToNeighbour(event);
        }}
      />
      {predicted && <Range minutesOf={predicted} />}
    </>
  );
}

export function Range({ minutesOf: { low, high, planned } }: { minutesOf: Minutes }) {
  const { t, i18n } = useTranslation();
  return (
    <small title={t("planner.rangeWhy")}>
      {minutes(low, i18n.language)}–{minutes(high, i18n.language)}
      {planned != null && <> · {t("planner.planned", { minutes: minutes(planned, i18n.language) })}</>}
    </small>
  );
}
