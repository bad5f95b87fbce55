import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { MadeKey } from "../types";

/** A new key's text, which nothing can show again once this is closed. */
export function ShownOnce({ made, onClose }: { made: MadeKey; onClose: () => void }) {
  const { t } = useTranslation();
  const [isCopied, setCopied] = useState(false);
  const show = (dialog: HTMLDialogElement | null) => {
    if (dialog && !dialog.open) dialog.showModal();
  };
  // Over plain HTTP from another machine a browser gives no clipboard: the key can still be marked and copied.
  const mayCopy = window.isSecureContext;
  const copy = () =>
    navigator.clipboard.writeText(made.key).then(
      () => setCopied(true),
      () => setCopied(false), // not allowed here
    );
  return (
    <dialog ref={show} onClose={onClose} aria-label={t("operations.keyOnce")} className="stack">
      <h2>{t("operations.keyOnce")}</h2>
      <p>{t("operations.keyOnceSays", { user: made.user })}</p>
      <input
        className="code"
        readOnly
        aria-label={t("operations.keyOnce")}
        value={made.key}
        onFocus={(event) => event.target.select()}
      />
      <div className="row">
        {mayCopy && (
          <button type="button" onClick={copy}>
            {t(isCopied ? "operations.copied" : "operations.copy")}
          </button>
        )}
        <button type="button" className="main" onClick={onClose}>
          {t("operations.keptIt")}
        </button>
      </div>
    </dialog>
  );
}
