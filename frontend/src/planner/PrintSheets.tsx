import { useTranslation } from "react-i18next";
import { MINUTE_FIELDS, orderTotals } from "./draft";
import { minutes, percent } from "./numbers";
import { candidateOf, historyOf, isEdited, type WorkItem } from "./work";

/** What is printed instead of the page: one item a sheet, its routing as it stands. */
export function PrintSheets({ items }: { items: WorkItem[] }) {
  return (
    <div className="sheets">
      {items.map((item) => (
        <Sheet key={item.query.item_code} item={item} />
      ))}
    </div>
  );
}

function Sheet({ item }: { item: WorkItem }) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  const draft = historyOf(item)?.present;
  const candidate = candidateOf(item);
  if (!draft) return null;
  const totals = orderTotals(draft, item.quantity);
  const facts = [
    `${t("planner.quantity")} ${item.quantity.toLocaleString(language)}`,
    candidate && `${t(`planner.source.${candidate.source}`)} ${percent(candidate.probability, language)}`,
    isEdited(item) && t("planner.state.edited"),
    item.decided && t(`planner.outcome.${item.decided.outcome}`),
    item.modelVersion,
    new Date().toLocaleDateString(language),
  ];
  return (
    <section className="sheet">
      <h1 className="code">{item.query.item_code}</h1>
      <p>{facts.filter(Boolean).join(" · ")}</p>
      <p>
        {Object.entries(item.query.attributes ?? {})
          .map(
            ([name, value]) => `${name} ${typeof value === "object" && value ? `${value.value} ${value.unit}` : value}`,
          )
          .join(" · ")}
      </p>
      <table>
        <thead>
          <tr>
            <th className="number">{t("planner.column.sequence")}</th>
            <th>{t("planner.column.operation")}</th>
            <th>{t("planner.column.resource")}</th>
            <th>{t("planner.column.outside")}</th>
            {MINUTE_FIELDS.map((field) => (
              <th key={field} className="number">
                {t(`planner.column.${field}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {draft.operations.map((each, at) => (
            <tr key={each.key}>
              <td className="number">{(at + 1) * 10}</td>
              <td>
                <span className="code">{each.operation_code}</span> {each.operation_name}
              </td>
              <td className="code">{each.resource_code}</td>
              <td>{each.inside === false ? t("planner.sign.outsourced") : ""}</td>
              {MINUTE_FIELDS.map((field) => (
                <td key={field} className="number">
                  {minutes(each[field], language)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        {t("planner.total", {
          setup: minutes(totals.setup, language),
          run: minutes(totals.run, language),
          between: minutes(totals.between, language),
          lead: minutes(totals.lead, language),
        })}
      </p>
    </section>
  );
}
