import { useTranslation } from "react-i18next";

type Pair = [unknown, unknown];

export interface Report {
  version: string;
  ok: boolean;
  checks: { check: string; ok: boolean | null; detail: string }[];
  remedy?: string;
  difference?: { active: string; metrics?: Record<string, Pair>; rows?: Record<string, Pair> } | null;
}

/** What an activation would find and change, as the dry run tells it. */
export function Verification({ report, onClose }: { report: Report; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const shown = (value: unknown) =>
    typeof value === "number"
      ? value.toLocaleString(i18n.language, { maximumSignificantDigits: 4 })
      : String(value ?? "–");
  const changes = { ...report.difference?.rows, ...report.difference?.metrics };
  return (
    <section className="card stack wide" aria-label={t("operations.verify")}>
      <div className="row">
        <h2 className="code">{report.version}</h2>
        <span className={`badge ${report.ok ? "good" : "bad"}`}>
          {t(report.ok ? "operations.passed" : "operations.failed")}
        </span>
        <span className="spring" />
        <button type="button" className="quiet" aria-label={t("operations.close")} onClick={onClose}>
          ×
        </button>
      </div>
      <ul className="plain">
        {report.checks.map((each) => (
          <li key={each.check} className="row">
            <span className={`badge ${each.ok === null ? "" : each.ok ? "good" : "bad"}`}>{each.check}</span>
            <span>{each.detail}</span>
          </li>
        ))}
      </ul>
      {report.remedy && <p className="complaint">{report.remedy}</p>}
      {Object.keys(changes).length > 0 && (
        <table>
          <caption>{t("operations.difference", { version: report.difference?.active })}</caption>
          <tbody>
            {Object.entries(changes).map(([name, [before, after]]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="number">{shown(before)}</td>
                <td className="number">{shown(after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
