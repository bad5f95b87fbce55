import { type FormEvent, type ReactNode, useId } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "./Complaint";

interface Props {
  title: string;
  action: string;
  error: Error | null;
  isDisabled: boolean;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
  /** What else is to be said of an error. */
  advice?: ReactNode;
}

/** A dialog with fields and one action; it stays open, saying why, where that is refused. */
export function FormDialog({ title, action, error, isDisabled, onSubmit, onClose, children, advice }: Props) {
  const { t } = useTranslation();
  const titleId = useId();
  const show = (dialog: HTMLDialogElement | null) => {
    if (dialog && !dialog.open) dialog.showModal();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <dialog ref={show} onClose={onClose} aria-labelledby={titleId}>
      <form className="stack" onSubmit={submit}>
        <h2 id={titleId}>{title}</h2>
        {children}
        {error && <Complaint error={error} />}
        {advice}
        <div className="row">
          <button type="submit" className="main" disabled={isDisabled}>
            {action}
          </button>
          <button type="button" onClick={onClose}>
            {t("common.cancel")}
          </button>
        </div>
      </form>
    </dialog>
  );
}
