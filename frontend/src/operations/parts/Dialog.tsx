import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../../api/client";
import { FormDialog } from "../../app/FormDialog";
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
  const asked = useChange<Answer>();
  const submit = () => {
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
    <FormDialog
      title={title}
      action={action}
      error={asked.error}
      isDisabled={asked.isPending}
      onSubmit={submit}
      onClose={onClose}
      advice={isConflict && <p className="note">{t("operations.conflict")}</p>}
    >
      {children}
    </FormDialog>
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
