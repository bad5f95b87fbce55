/** Numbers as they are read, shown and typed: with as many digits as they deserve, in the ways that people write them. */

export const MOST_MINUTES = 10_000;

/** Return minutes as text for reading: no more digits than they deserve. */
export function minutes(value: number, language: string): string {
  return rounded(value).toLocaleString(language, { maximumFractionDigits: 20 });
}

/** Return minutes as an input shows them: what a person typed stays as it is, what was computed is rounded. */
export function minutesShown(value: number): string {
  const isTyped = Number(value.toFixed(3)) === value;
  return String(isTyped ? value : rounded(value));
}

function rounded(value: number): number {
  if (value < 1) return Number(value.toPrecision(3));
  return Number(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2));
}

export function percent(share: number, language: string): string {
  return share.toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
}

const PLAIN = /^[+-]?(\d+(\.\d*)?|\.\d+)$/;
const COMMA_BETWEEN_THOUSANDS = /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/;
const POINT_BETWEEN_THOUSANDS = /^[+-]?\d{1,3}(\.\d{3})+,\d+$/;
const DECIMAL_COMMA = /^[+-]?\d+,\d+$/;

/** Return the number that a text says, or null. A comma before three digits stands between thousands, any other is decimal. */
export function numberFrom(text: string, hasDecimalCommas = false): number | null {
  const given = text.trim();
  if (PLAIN.test(given)) return Number(given);
  if (POINT_BETWEEN_THOUSANDS.test(given)) return Number(given.replaceAll(".", "").replace(",", "."));
  if (hasDecimalCommas && DECIMAL_COMMA.test(given)) return Number(given.replace(",", "."));
  if (COMMA_BETWEEN_THOUSANDS.test(given)) return Number(given.replaceAll(",", ""));
  if (DECIMAL_COMMA.test(given)) return Number(given.replace(",", "."));
  return null;
}

/** Return whether a text can only be read with a decimal comma, which then holds for what stands beside it, too. */
export function saysDecimalComma(text: string): boolean {
  const given = text.trim();
  if (POINT_BETWEEN_THOUSANDS.test(given)) return true;
  return DECIMAL_COMMA.test(given) && !COMMA_BETWEEN_THOUSANDS.test(given);
}

/** Return a number of minutes from what was typed, or null where it is none from 0 to 10,000. */
export function minutesFrom(text: string): number | null {
  const value = numberFrom(text);
  return value !== null && value >= 0 && value <= MOST_MINUTES ? value : null;
}

/** Return a number of pieces from what was typed, or null where no order can have it. */
export function piecesFrom(text: string): number | null {
  const value = numberFrom(text);
  return value !== null && value > 0 && value <= 1e9 ? value : null;
}
