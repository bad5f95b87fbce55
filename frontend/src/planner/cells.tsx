import { type ChangeEvent, type FocusEvent, type KeyboardEvent, useState } from "react";
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

/** What is typed over a cell's value, null while nobody types; leaving the cell hands it over, Escape takes it back. */
function useTyped(onLeave: (text: string) => void, keepsArrows: boolean) {
  const [typed, setTyped] = useState<string | null>(null);
  const input = {
    onFocus: (event: FocusEvent<HTMLInputElement>) => event.target.select(),
    onChange: (event: ChangeEvent<HTMLInputElement>) => setTyped(event.target.value),
    onBlur: () => {
      if (typed !== null) onLeave(typed);
      setTyped(null);
    },
    onKeyDown: (event: KeyboardEvent<HTMLInputElement>) => {
      if (event.key === "Escape" && typed !== null) {
        setTyped(null);
        event.preventDefault();
      } else if (event.key === "Enter" || typed === null || !keepsArrows) goToNeighbour(event);
    },
  };
  return { typed, input };
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
  const leave = (given: string) => {
    const text = given.trim();
    if (text !== value && (text || !isRequired)) onCommit(text);
  };
  const { typed, input } = useTyped(leave, true); // the arrows go through the list to complete from
  return (
    <input
      className="code"
      data-column={column}
      aria-label={label}
      list={options}
      value={typed ?? value}
      maxLength={100}
      {...input}
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
  const leave = (text: string) => {
    const given = minutesFrom(text);
    if (given !== null && given !== value && text !== minutesShown(value)) onCommit(given);
  };
  const { typed, input } = useTyped(leave, false);
  const isWrong = typed !== null && minutesFrom(typed) === null;
  return (
    <>
      <input
        inputMode="decimal"
        data-column={column}
        aria-label={label}
        aria-invalid={isWrong}
        title={isWrong ? t("planner.wrongMinutes") : undefined}
        value={typed ?? minutesShown(value)}
        {...input}
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
