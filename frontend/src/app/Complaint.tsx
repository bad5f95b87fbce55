import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";

const MOST_FIELDS = 5;

interface FieldError {
  field: string;
  message: string;
}

/** An error in the reader's language by its code, with what the service said of this case and what to do. */
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
  const fields = fieldErrors(error.document);
  return (
    <div role="alert" className="complaint">
      <strong>{i18n.exists(known) ? t(known) : t("errors.other", { status: error.status })}</strong>
      {fields.length === 0 && error.detail && <p>{error.detail}</p>}
      {fields.length > 0 && (
        <ul>
          {fields.slice(0, MOST_FIELDS).map(({ field, message }) => (
            <li key={field + message}>
              <span className="code">{field}</span>: {message}
            </li>
          ))}
          {fields.length > MOST_FIELDS && <li>…</li>}
        </ul>
      )}
      {error.remedy && <p>{error.remedy}</p>}
      {error.requestId && (
        <small>
          {t("errors.request")} <span className="code">{error.requestId}</span>
        </small>
      )}
    </div>
  );
}

/** Return which fields break which rule, where the service named them. */
function fieldErrors(document: unknown): FieldError[] {
  const errors = (document as { errors?: unknown } | null)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors.filter(
    (each): each is FieldError => typeof each?.field === "string" && typeof each.message === "string",
  );
}
