import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";

/** An error in the reader's language by its code, with what the service said of this case. */
export function Complaint({ error }: { error: unknown }) {
  const { t, i18n } = useTranslation();
  if (!(error instanceof Problem)) {
    return (
      <div role="alert" className="complaint">
        {String(error)}
      </div>
    );
  }
  const known = `errors.${error.code}`;
  return (
    <div role="alert" className="complaint">
      <strong>{i18n.exists(known) ? t(known) : t("errors.other", { status: error.status })}</strong>
      {error.detail && <p>{error.detail}</p>}
      {error.remedy && <p>{error.remedy}</p>}
      {error.requestId && (
        <small>
          {t("errors.request")} {error.requestId}
        </small>
      )}
    </div>
  );
}
