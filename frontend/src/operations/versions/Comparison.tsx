import { useTranslation } from "react-i18next";
import { MetricName } from "../parts/FigureTable";
import { useFormats } from "../parts/format";
import type { Version } from "../types";
import { type Pair, sideBySide } from "./compare";

/** A version's figures beside those of the active one. */
export function Comparison({ version, active }: { version: Version; active: Version }) {
  const { t } = useTranslation();
  const pairs = sideBySide(active.metrics, version.metrics);
  return (
    <details open>
      <summary>{t("operations.besideActive", { version: active.version })}</summary>
      {pairs.length === 0 ? (
        <p className="hint">{t("operations.noDifference")}</p>
      ) : (
        <PairTable pairs={pairs} before={active.version} after={version.version} />
      )}
    </details>
  );
}

interface PairTableProps {
  pairs: Pair[];
  before: string;
  after: string;
}

export function PairTable({ pairs, before, after }: PairTableProps) {
  const { t } = useTranslation();
  const format = useFormats();
  const shown = (value: unknown, name: string) =>
    typeof value === "number" ? format.figure(value, name) : String(value ?? "–");
  return (
    <table>
      <thead>
        <tr>
          <th>{t("operations.figure")}</th>
          <th className="number code">{before}</th>
          <th className="number code">{after}</th>
          <th>{t("operations.change")}</th>
        </tr>
      </thead>
      <tbody>
        {pairs.map((pair) => {
          const last = pair.name.split(".").at(-1) ?? pair.name;
          return (
            <tr key={pair.name}>
              <th scope="row">
                <MetricName name={pair.name} />
              </th>
              <td className="number long">{shown(pair.before, last)}</td>
              <td className="number long">{shown(pair.after, last)}</td>
              <td>
                {pair.better === 1 && <span className="badge good">↑ {t("operations.better")}</span>}
                {pair.better === -1 && <span className="badge bad">↓ {t("operations.worse")}</span>}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
