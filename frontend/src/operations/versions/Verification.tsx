import { useTranslation } from "react-i18next";
import { State } from "../parts/parts";
import { PairTable } from "./Comparison";
import { type Difference, otherFacts } from "./compare";

export interface Report {
  version: string;
  ok: boolean;
  checks: { check: string; ok: boolean | null; detail: string }[];
  warnings: string[];
  remedy?: string;
  difference?: Difference | null;
}

/** What an activation would find and change, as the dry run tells it. */
export function Verification({ report }: { report: Report }) {
  const { t } = useTranslation();
  return (
    <section className="note stack" aria-label={t("operations.verification")} aria-live="polite">
      <div className="row">
        <strong>{t("operations.verification")}</strong>
        <State state={report.ok ? "passed" : "failed"} />
      </div>
      <ul className="plain checks">
        {report.checks.map((each) => (
          <li key={each.check}>
            <State state={each.ok === null ? "not-reached" : each.ok ? "passed" : "failed"} />{" "}
            <span className="code">{each.check}</span> {each.ok !== null && each.detail}
          </li>
        ))}
      </ul>
      {report.warnings.map((each) => (
        <p key={each}>{each}</p>
      ))}
      {report.remedy && <p className="complaint">{report.remedy}</p>}
      {report.difference && <Differences version={report.version} difference={report.difference} />}
    </section>
  );
}

function Differences({ version, difference }: { version: string; difference: Difference }) {
  const { t } = useTranslation();
  if (difference.active === version) return null;
  const facts = otherFacts(difference);
  const files = Object.entries(difference.files ?? {}).filter(([, names]) => names.length > 0);
  return (
    <details>
      <summary>{t("operations.whatDiffers", { version: difference.active })}</summary>
      {facts.length > 0 && <PairTable pairs={facts} before={difference.active} after={version} />}
      {files.map(([how, names]) => (
        <p key={how}>
          {t(`operations.files.${how}`)} <span className="code">{names.join(", ")}</span>
        </p>
      ))}
      {facts.length + files.length === 0 && <p className="hint">{t("operations.noDifference")}</p>}
    </details>
  );
}
