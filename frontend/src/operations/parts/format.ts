/** Times, spans and figures as the reader's language writes them. */

import { useMemo } from "react";
import { useTranslation } from "react-i18next";

const STEPS: [Intl.RelativeTimeFormatUnit & string, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function formats(language: string) {
  // Made once: making one takes longer than a whole line of a log takes to be drawn.
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
  const exact = new Intl.DateTimeFormat(language, {
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  return {
    /** A moment in the reader's own time zone. */
    moment: (iso: string) => moment.format(new Date(iso)),
    /** A moment to the second, for logs. */
    exact: (iso: string) => exact.format(new Date(iso)),
    /** How long ago, or how soon, in the greatest unit that fits. */
    ago: (iso: string, now: number = Date.now()) => {
      const seconds = (new Date(iso).getTime() - now) / 1000;
      for (const [unit, length] of STEPS)
        if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
      return relative.format(Math.trunc(seconds), "second");
    },
    /** A span of seconds, in the greatest unit that fits. */
    span: (seconds: number) => {
      const [unit, length] = STEPS.find(([, each]) => seconds >= each) ?? ["second", 1];
      return (seconds / length).toLocaleString(language, {
        style: "unit",
        unit,
        unitDisplay: "long",
        maximumFractionDigits: unit === "second" ? 0 : 1,
      });
    },
    count: (value: number) => value.toLocaleString(language),
    figure: (value: number, name: string) =>
      isShare(name)
        ? value.toLocaleString(language, { style: "percent", maximumFractionDigits: 1 })
        : value.toLocaleString(language, Number.isInteger(value) ? {} : { maximumSignificantDigits: 4 }),
  };
}

export type Formats = ReturnType<typeof formats>;

export function useFormats(): Formats {
  const { i18n } = useTranslation();
  return useMemo(() => formats(i18n.language), [i18n.language]);
}

// Figures that are shares of one; all others are minutes, counts or ratios.
const SHARES =
  /^(mdape|process_match|outsourcing_success|interval_coverage|edit_distance|precedence_accuracy)$|accuracy|_top1$|_top3$|recall|precision|f1_|percentage_error|coverage/;
const BETTER_HIGH = /accuracy|_top1$|_top3$|recall|precision|f1_|process_match|success/;
const BETTER_LOW =
  /^(mae|trim_mae|rmse|mdape|interval_score|edit_distance|mae_per_piece|cv)$|percentage_error|^abstained$/;

export function isShare(name: string): boolean {
  return SHARES.test(name);
}

/** Whether a change of a figure is for the better: 1 yes, -1 no, 0 neither or nobody can say. */
export function improvement(name: string, before: unknown, after: unknown): -1 | 0 | 1 {
  if (typeof before !== "number" || typeof after !== "number" || before === after) return 0;
  const rose = after > before;
  if (BETTER_HIGH.test(name)) return rose ? 1 : -1;
  if (BETTER_LOW.test(name)) return rose ? -1 : 1;
  return 0;
}
