import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ask, type Listing } from "../api/client";
import type { components } from "../api/schema";
import { Complaint } from "../app/Complaint";
import { minutes } from "./numbers";

type BookedOrder = components["schemas"]["BookedOrder"];

const SHOWN = 50;

/** The work orders of one item and operation, newest first, and why some of them do not count. */
export function WorkOrders({ itemCode, operationCode }: { itemCode: string; operationCode: string }) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  const path = `items/${encodeURIComponent(itemCode)}/orders?limit=${SHOWN}&operation=${encodeURIComponent(operationCode)}`;
  const found = useQuery({
    queryKey: [path],
    queryFn: ({ signal }) => ask<Listing<BookedOrder>>("GET", path, undefined, signal),
  });
  if (found.error) return <Complaint error={found.error} />;
  if (!found.data) return <p className="hint">{t("common.loading")}</p>;
  if (!found.data.total) return <p className="hint">{t("planner.noOrders", { code: itemCode })}</p>;
  return (
    <table className="workorders">
      <caption>
        {t("planner.ordersOf", { code: itemCode, operation: operationCode, count: found.data.total })}
        {found.data.total > SHOWN && ` ${t("planner.newestShown", { count: SHOWN })}`}
      </caption>
      <thead>
        <tr>
          <th>{t("planner.orderNumber")}</th>
          <th>{t("planner.reportedAt")}</th>
          <th className="number">{t("planner.quantity")}</th>
          <th className="number">{t("planner.column.setup_minutes")}</th>
          <th className="number">{t("planner.column.run_minutes_per_unit")}</th>
          <th>{t("planner.counts")}</th>
        </tr>
      </thead>
      <tbody>
        {found.data.items.map((order, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an order may have several results, or no number
          <tr key={`${order.order_no}-${at}`}>
            <td className="code">{order.order_no ?? "–"}</td>
            <td>{order.reported_at ? new Date(order.reported_at).toLocaleDateString(language) : "–"}</td>
            <td className="number">{order.quantity?.toLocaleString(language) ?? "–"}</td>
            <td className="number">{shown(order.setup_minutes, language)}</td>
            <td className="number">{shown(order.run_minutes_per_unit, language)}</td>
            <td>
              {order.left_out ? t(`planner.leftOut.${order.left_out}`) : t("planner.doesCount")}
              {order.corrected && !order.left_out && ` (${t("planner.corrected")})`}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function shown(value: number | null, language: string): string {
  return value === null ? "–" : minutes(value, language);
}
