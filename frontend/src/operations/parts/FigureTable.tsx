import { useTranslation } from "react-i18next";
import type { Figures } from "../types";
import { useFormats } from "./format";

/** Figures with what they stand on: value, interval, number of cases. */
export function FigureTable({ figures, caption }: { figures: Figures; caption: string }) {
  const { t } = useTranslation();
  const format = useFormats();
  const rows = Object.entries(figures);
  if (rows.length === 0) return null;
  return (
    <table>
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th>{t("operations.figure")}</th>
          <th className="number">{t("operations.value")}</th>
          <th className="number">{t("operations.interval")}</th>
          <th className="number">{t("operations.samples")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, figure]) =>
          figure ? (
            <tr key={name}>
              <th scope="row">
                <MetricName name={name} />
              </th>
              <td className="number">{figure.value === null ? "–" : format.figure(figure.value, name)}</td>
              <td className="number">
                {figure.low === null || figure.high === null
                  ? "–"
                  : `${format.figure(figure.low, name)} – ${format.figure(figure.high, name)}`}
              </td>
              <td className="number">{format.count(figure.n)}</td>
            </tr>
          ) : null,
        )}
      </tbody>
    </table>
  );
}

/** A figure's name in the reader's language; one that the catalogue does not know has its own. */
export function MetricName({ name }: { name: string }) {
  const { t, i18n } = useTranslation();
  const [last = name, ...groups] = name.split(".").reverse();
  const key = `operations.metric.${last}`;
  if (!i18n.exists(key)) return <span className="code">{name}</span>;
  return (
    <>
      {t(key)} {groups.length > 0 && <span className="code">({groups.reverse().join(".")})</span>}
    </>
  );
}
