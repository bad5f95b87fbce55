import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { PredictedOperation } from "../api/client";
import { minutes, percent } from "./numbers";
import { WorkOrders } from "./WorkOrders";

/** What one operation rests on: the near items for and against it, the work results used, and what was left out. */
export function OperationEvidence({
  operation,
  onItem,
}: {
  operation: PredictedOperation;
  onItem: (code: string) => void;
}) {
  const { t, i18n } = useTranslation();
  const [ordersOf, setOrdersOf] = useState<string | null>(null);
  const language = i18n.language;
  const facts: [string, string][] = [
    [t("planner.samples"), operation.samples.toLocaleString(language)],
    [t("planner.trimmed"), operation.trimmed.toLocaleString(language)],
    [
      t("planner.trimmedMean"),
      operation.trimmed_mean === null
        ? "–"
        : `${minutes(operation.trimmed_mean, language)}${operation.std === null ? "" : ` ± ${minutes(operation.std, language)}`}`,
    ],
    [t("planner.confidence"), percent(operation.confidence, language)],
    [
      t("planner.orderMinutes"),
      `${minutes(operation.order_minutes.value, language)} (${minutes(operation.order_minutes.low, language)}–${minutes(operation.order_minutes.high, language)})`,
    ],
    [t("planner.supporting"), `${operation.supporting ?? "–"} / ${operation.disagreeing ?? "–"}`],
  ];
  return (
    <div className="operation-evidence">
      <dl className="operation-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <ul className="supports">
        {operation.evidence.map((each) => (
          <li key={each.item_code} className={each.supports ? "" : "against"}>
            <button type="button" className="quiet code" onClick={() => onItem(each.item_code)}>
              {each.item_code}
            </button>{" "}
            {each.supports ? t("planner.hasIt") : t("planner.lacksIt")}
            {", "}
            {each.orders > 0 ? (
              <button
                type="button"
                className="quiet orders"
                aria-expanded={ordersOf === each.item_code}
                onClick={() => setOrdersOf(ordersOf === each.item_code ? null : each.item_code)}
              >
                {t("planner.orderCount", { count: each.orders })}
              </button>
            ) : (
              t("planner.orderCount", { count: each.orders })
            )}
          </li>
        ))}
      </ul>
      {ordersOf !== null && <WorkOrders itemCode={ordersOf} operationCode={operation.operation_code} />}
    </div>
  );
}
