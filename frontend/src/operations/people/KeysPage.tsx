import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useMay, useNewest } from "../api";
import { ChangeDialog } from "../parts/Dialog";
import { Ago, Card, Moment, State, WhyNot } from "../parts/parts";
import type { KeyRow, MadeKey } from "../types";
import { NewKey } from "./NewKey";
import { ShownOnce } from "./ShownOnce";

const SHOWN = 200;

/** Who may come in: named keys, for administrators. */
export default function KeysPage() {
  const { t } = useTranslation();
  const may = useMay();
  if (!may.administer)
    return (
      <Card title={t("operations.keys")}>
        <WhyNot />
      </Card>
    );
  return <Keys />;
}

function Keys() {
  const { t } = useTranslation();
  const [makes, setMakes] = useState(false);
  const [made, setMade] = useState<MadeKey>();
  const keys = useNewest<KeyRow>("keys", SHOWN);
  return (
    <Card
      title={t("operations.keys")}
      of={[keys]}
      actions={
        <button type="button" className="main" onClick={() => setMakes(true)}>
          {t("operations.newKey")}
        </button>
      }
    >
      <table>
        <thead>
          <tr>
            <th>{t("operations.user")}</th>
            <th>{t("operations.role")}</th>
            <th>{t("operations.label")}</th>
            <th>{t("operations.stateName")}</th>
            <th>{t("operations.made")}</th>
            <th>{t("operations.lastUsed")}</th>
            <th>{t("operations.expires")}</th>
            <th>{t("operations.keyId")}</th>
            <th aria-label={t("operations.actions")} />
          </tr>
        </thead>
        <tbody>
          {(keys.data?.items ?? []).map((row) => (
            <KeyLine key={row.id} row={row} onMade={setMade} />
          ))}
        </tbody>
      </table>
      {makes && <NewKey onClose={() => setMakes(false)} onMade={setMade} />}
      {made && <ShownOnce made={made} onClose={() => setMade(undefined)} />}
    </Card>
  );
}

function KeyLine({ row, onMade }: { row: KeyRow; onMade: (made: MadeKey) => void }) {
  const { t } = useTranslation();
  const [wanted, setWanted] = useState<"rotate" | "revoke">();
  return (
    <tr>
      <th scope="row">{row.user}</th>
      <td>{t(`roles.${row.role}`)}</td>
      <td>{row.label}</td>
      <td>
        <State state={row.state} /> <small>{row.revoked_by}</small>
      </td>
      <td>
        <Moment at={row.created_at} /> <small className="block">{row.created_by}</small>
      </td>
      <td>{row.last_used_at ? <Ago at={row.last_used_at} /> : t("operations.never")}</td>
      <td>{row.expires_at ? <Moment at={row.expires_at} /> : t("operations.never")}</td>
      <td className="code">{row.id}</td>
      <td>
        <div className="row">
          {row.state === "live" && (
            <button type="button" onClick={() => setWanted("rotate")}>
              {t("operations.rotate")}
            </button>
          )}
          {row.state !== "revoked" && (
            <button type="button" onClick={() => setWanted("revoke")}>
              {t("operations.revoke")}
            </button>
          )}
        </div>
        {wanted === "revoke" && (
          <ChangeDialog
            title={`${t("operations.revoke")}: ${row.user}`}
            action={t("operations.revoke")}
            change={() => ({ method: "DELETE", path: `keys/${encodeURIComponent(row.id)}` })}
            onClose={() => setWanted(undefined)}
          >
            <p>{t("operations.revokeSays")}</p>
          </ChangeDialog>
        )}
        {wanted === "rotate" && <Rotate row={row} onMade={onMade} onClose={() => setWanted(undefined)} />}
      </td>
    </tr>
  );
}

interface RotateProps {
  row: KeyRow;
  onMade: (made: MadeKey) => void;
  onClose: () => void;
}

function Rotate({ row, onMade, onClose }: RotateProps) {
  const { t } = useTranslation();
  const [hours, setHours] = useState("24");
  return (
    <ChangeDialog<MadeKey>
      title={`${t("operations.rotate")}: ${row.user}`}
      action={t("operations.rotate")}
      change={() => ({
        method: "POST",
        path: `keys/${encodeURIComponent(row.id)}/rotate`,
        body: { grace_hours: Number(hours) },
      })}
      onDone={onMade}
      onClose={onClose}
    >
      <p>{t("operations.rotateSays")}</p>
      <label>
        {t("operations.graceHours")}
        <input
          type="number"
          min={0}
          step="any"
          required
          value={hours}
          onChange={(event) => setHours(event.target.value)}
        />
      </label>
    </ChangeDialog>
  );
}
