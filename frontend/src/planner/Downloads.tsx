import { useTranslation } from "react-i18next";

const FORMS = ["xlsx", "csv", "json", "xml", "erp.xlsx", "erp.csv"] as const;

/** The prediction as files; the two `erp` forms have the 52 columns of the ERP's layout. */
export function Downloads({ predictionId }: { predictionId: string }) {
  const { t } = useTranslation();
  return (
    <details className="menu">
      <summary>{t("planner.download")}</summary>
      <ul>
        {FORMS.map((form) => (
          <li key={form}>
            <a href={`/api/predictions/${predictionId}/export.${form}`} download>
              {t(`planner.form.${form.replace(".", "_")}`)}
            </a>
          </li>
        ))}
      </ul>
    </details>
  );
}
