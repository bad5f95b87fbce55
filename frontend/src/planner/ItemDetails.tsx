import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { ask, type ItemQuery, type ItemRecord } from "../api/client";
import { Complaint } from "../app/Complaint";

interface Props {
  code: string;
  beside: ItemQuery; // the item that it is near to
  onClose: () => void;
}

/** A near item as the model knows it: its attributes beside those of the asked item, and its routings. */
export function ItemDetails({ code, beside, onClose }: Props) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const near = useItem(code);
  const asked = useItem(beside.item_code, !beside.attributes);
  const known = beside.attributes ? withAttributes(beside.attributes) : asked.data?.attributes;
  return (
    <dialog ref={dialog} className="details" aria-labelledby="details-title" onClose={onClose}>
      <div className="stack">
        <div className="row">
          <h2 id="details-title" className="code">
            {code}
          </h2>
          {near.data && <span className="hint">{t("planner.orderCount", { count: near.data.work_orders })}</span>}
          <span className="spring" />
          <button type="button" onClick={() => dialog.current?.close()}>
            {t("planner.close")}
          </button>
        </div>
        {near.error && <Complaint error={near.error} />}
        {near.data && <Routings rows={near.data.routings} />}
        {near.data && <Attributes near={near.data.attributes} asked={known ?? {}} codes={[code, beside.item_code]} />}
      </div>
    </dialog>
  );
}

function useItem(code: string, isWanted = true) {
  return useQuery({
    queryKey: ["item", code],
    queryFn: ({ signal }) => ask<ItemRecord>("GET", `items/${encodeURIComponent(code)}`, undefined, signal),
    enabled: isWanted,
    staleTime: 60_000,
  });
}

function withAttributes(attributes: NonNullable<ItemQuery["attributes"]>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      typeof value === "object" && value ? `${value.value} ${value.unit}` : value,
    ]),
  );
}

interface AttributesProps {
  near: Record<string, unknown>;
  asked: Record<string, unknown>;
  codes: [string, string];
}

function Attributes({ near, asked, codes }: AttributesProps) {
  const { t } = useTranslation();
  const names = Object.keys({ ...near, ...asked }).filter((name) => near[name] != null || asked[name] != null);
  return (
    <table>
      <thead>
        <tr>
          <th>{t("planner.attribute")}</th>
          <th className="code">{codes[0]}</th>
          <th className="code">{codes[1]}</th>
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{String(near[name] ?? "")}</td>
            <td className={String(near[name] ?? "") === String(asked[name] ?? "") ? "" : "other"}>
              {String(asked[name] ?? "")}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The item's routings in the ERP, an operation a chip. */
function Routings({ rows }: { rows: Record<string, unknown>[] }) {
  const { t } = useTranslation();
  const numbers = [...new Set(rows.map((row) => String(row.routing_no ?? "")))];
  if (!rows.length) return <p className="hint">{t("planner.noRouting")}</p>;
  return (
    <ul className="plain">
      {numbers.map((number) => (
        <li key={number} className="row">
          <small>{number}</small>
          <span className="chips">
            {rows
              .filter((row) => String(row.routing_no ?? "") === number)
              .map((each) => (
                <span key={String(each.sequence)} className="chip" title={String(each.operation_name ?? "")}>
                  {String(each.operation_code)}
                </span>
              ))}
          </span>
        </li>
      ))}
    </ul>
  );
}
