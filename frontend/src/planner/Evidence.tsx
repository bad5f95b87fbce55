import { useTranslation } from "react-i18next";
import type { Candidate } from "../api/client";
import { minutes, percent } from "./numbers";

const MOST_REASONS = 5;

/** Why this routing: the near items and what makes them near, and for each operation its work results. */
export function Evidence({ candidate, onItem }: { candidate: Candidate; onItem: (code: string) => void }) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  return (
    <div className="stack">
      <table>
        <caption>{t("planner.nearItems")}</caption>
        <thead>
          <tr>
            <th>{t("planner.item")}</th>
            <th className="number">{t("planner.similarity")}</th>
            <th className="number">{t("planner.orders")}</th>
            <th>{t("planner.because")}</th>
          </tr>
        </thead>
        <tbody>
          {candidate.evidence.map((near) => (
            <tr key={near.item_code}>
              <td>
                <button type="button" className="quiet code" onClick={() => onItem(near.item_code)}>
                  {near.item_code}
                </button>
              </td>
              <td className="number">{percent(near.similarity, language)}</td>
              <td className="number">{near.work_orders.toLocaleString(language)}</td>
              <td>
                <span className="chips">
                  {near.because.slice(0, MOST_REASONS).map((each) => (
                    <span key={each.attribute} className="chip">
                      {each.attribute} {percent(each.contribution, language)}
                    </span>
                  ))}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <table>
        <caption>{t("planner.results")}</caption>
        <thead>
          <tr>
            <th>{t("planner.column.operation")}</th>
            <th className="number">{t("planner.samples")}</th>
            <th className="number">{t("planner.trimmed")}</th>
            <th className="number">{t("planner.trimmedMean")}</th>
            <th className="number">{t("planner.confidence")}</th>
            <th className="number">{t("planner.supporting")}</th>
          </tr>
        </thead>
        <tbody>
          {candidate.operations.map((each) => (
            <tr key={`${each.sequence}-${each.operation_code}`}>
              <td>
                <span className="code">{each.operation_code}</span> {each.operation_name}
              </td>
              <td className="number">{each.samples}</td>
              <td className="number">{each.trimmed}</td>
              <td className="number">
                {each.trimmed_mean === null
                  ? "–"
                  : `${minutes(each.trimmed_mean, language)}${each.std === null ? "" : ` ± ${minutes(each.std, language)}`}`}
              </td>
              <td className="number">{percent(each.confidence, language)}</td>
              <td className="number">
                {each.supporting ?? "–"} / {each.disagreeing ?? "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
