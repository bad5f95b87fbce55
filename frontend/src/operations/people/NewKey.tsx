import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ChangeDialog } from "../parts/Dialog";
import type { MadeKey } from "../types";

const ROLES = ["viewer", "planner", "operator", "administrator", "auditor"] as const;

interface NewKeyProps {
  onMade: (made: MadeKey) => void;
  onClose: () => void;
}

export function NewKey({ onMade, onClose }: NewKeyProps) {
  const { t } = useTranslation();
  const [user, setUser] = useState("");
  const [role, setRole] = useState<string>(ROLES[0]);
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("");
  return (
    <ChangeDialog<MadeKey>
      title={t("operations.newKey")}
      action={t("operations.newKey")}
      change={() => ({
        method: "POST",
        path: "keys",
        body: { user: user.trim(), role, label: label.trim(), expires_days: days ? Number(days) : null },
      })}
      onDone={onMade}
      onClose={onClose}
    >
      <label>
        {t("operations.user")}
        <input required maxLength={64} value={user} onChange={(event) => setUser(event.target.value)} />
      </label>
      <label>
        {t("operations.role")}
        <select value={role} onChange={(event) => setRole(event.target.value)}>
          {ROLES.map((each) => (
            <option key={each} value={each}>
              {t(`roles.${each}`)}
            </option>
          ))}
        </select>
        <small>{t(`operations.roleSays.${role}`)}</small>
      </label>
      <label>
        {t("operations.keyFor")}
        <input maxLength={200} value={label} onChange={(event) => setLabel(event.target.value)} />
      </label>
      <label>
        {t("operations.expiresDays")}
        <input type="number" min={1} step="any" value={days} onChange={(event) => setDays(event.target.value)} />
      </label>
    </ChangeDialog>
  );
}
