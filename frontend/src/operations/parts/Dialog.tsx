import { type FormEvent, type ReactNode, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../../api/client";
import { Complaint } from "../../app/Complaint";
import { type Change, useChange } from "../api";

interface DialogProps<Answer> {
  title: string;
  action: string;
  /** What the change is, by what is in the fields; null: it cannot be asked for yet. */
  change: () => Change | null;
  onClose: () => void;
  onDone?: (answer: Answer) => void;
  children: ReactNode;
}

/** Asks for a change and stays open, saying why, where it is refused. */
export function ChangeDialog<Answer>({ title, action, change, onClose, onDone, children }: DialogProps<Answer>) {
  const { t } = useTranslation();
  const titleId = useId();
  const asked = useChange<Answer>();
  const show = (dialog: HTMLDialogElement | null) => {
    if (dialog && !dialog.open) dialog.showModal();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = change();
    if (!wanted) return;
    asked.mutate(wanted, {
      onSuccess: (answer) => {
        onDone?.(answer);
        onClose();
      },
    });
  };
  const isConflict = asked.error instanceof Problem && asked.error.status === 409;
  return (
    <dialog ref={show} onClose={onClose} aria-labelledby={titleId}>
      <form className="stack" onSubmit={submit}>
        <h2 id={titleId}>{title}</h2>
        {children}
        {asked.error && <Complaint error={asked.error} />}
        {isConflict && <p className="note">{t("operations.conflict")}</p>}
        <div className="row">
          <button type="submit" className="main" disabled={asked.isPending}>
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

interface ReasonDialogProps {
  title: string;
  action: string;
  /** What will happen, for whoever is about to do it. */
  says?: ReactNode;
  change: (reason: string) => Change;
  isOptional?: boolean;
  label?: string;
  onClose: () => void;
}

/** Asks for the reason of a change, which is kept with it. */
export function ReasonDialog({ title, action, says, change, isOptional, label, onClose }: ReasonDialogProps) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  return (
    <ChangeDialog
      title={title}
      action={action}
      onClose={onClose}
      change={() => (reason.trim() || isOptional ? change(reason.trim()) : null)}
    >
      {says}
      <label>
        {label ?? t("operations.reason")}
        <textarea
          rows={3}
          required={!isOptional}
          maxLength={2000}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
    </ChangeDialog>
  );
}
