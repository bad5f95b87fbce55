import { useTranslation } from "react-i18next";
import type { PredictedOperation } from "../api/client";
import { Range } from "./cells";
import { aligned } from "./compare";
import { type DraftOperation, predictedOf } from "./draft";
import { minutes, percent } from "./numbers";
import { historyOf, ranksOf, type WorkItem } from "./work";

/** All candidates as they are now, operation beside operation: work centres, times with interval and plan, what one lacks. */
export function Compare({ item }: { item: WorkItem }) {
  const { t, i18n } = useTranslation();
  const ranks = ranksOf(item);
  const candidates = ranks.map((rank) => item.prediction?.candidates?.find((each) => each.rank === rank));
  const rows = aligned(ranks.map((rank) => historyOf(item, rank)?.present.operations ?? []));
  return (
    <div className="scroll">
      <table className="compare">
        <thead>
          <tr>
            <th>{t("planner.column.operation")}</th>
            {ranks.map((rank, at) => (
              <th key={rank} className={rank === item.chosen ? "chosen" : ""}>
                {candidates[at]
                  ? `${rank}. ${percent(candidates[at].probability, i18n.language)} · ${t(`planner.source.${candidates[at].source}`)}`
                  : t("planner.own")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a code may come twice, its place tells which
            <tr key={`${row.code}-${number}`} className={row.cells.some((cell) => !cell) ? "differs" : ""}>
              <th scope="row">
                <span className="code">{row.code}</span> {row.cells.find(Boolean)?.operation_name}
              </th>
              {row.cells.map((cell, at) => (
                <td key={ranks[at]} className={ranks[at] === item.chosen ? "chosen" : ""}>
                  {cell ? (
                    <Times operation={cell} predicted={predictedOf(candidates[at], cell)} others={row.cells} />
                  ) : (
                    <span className="absent">− {t("planner.difference.missing")}</span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface TimesProps {
  operation: DraftOperation;
  predicted: PredictedOperation | undefined;
  others: (DraftOperation | undefined)[];
}

function Times({ operation, predicted, others }: TimesProps) {
  const { t, i18n } = useTranslation();
  const isOtherCentre = others.some((each) => each && each.resource_code !== operation.resource_code);
  return (
    <>
      <span className={`code ${isOtherCentre ? "other" : ""}`}>{operation.resource_code ?? "–"}</span>
      {operation.inside === false && <span className="badge">{t("planner.sign.outsourced")}</span>}
      <div>
        {t("planner.setupShort")} {minutes(operation.setup_minutes, i18n.language)}{" "}
        {predicted && <Range minutesOf={predicted.setup_minutes} />}
      </div>
      <div>
        {t("planner.runShort")} {minutes(operation.run_minutes_per_unit, i18n.language)}{" "}
        {predicted && <Range minutesOf={predicted.run_minutes_per_unit} />}
      </div>
    </>
  );
}
