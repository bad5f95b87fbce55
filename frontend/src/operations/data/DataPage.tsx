import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useMay, useNewest } from "../api";
import { ChangeDialog } from "../parts/Dialog";
import { useFormats } from "../parts/format";
import { Ago, Card, Moment, Progress, State, To } from "../parts/parts";
import type { Extract, Registration, Snapshot } from "../types";
import { PoisonCard } from "./PoisonCard";

/** What comes in: the ERP's data, dropped model packages, and messages that nobody could handle. */
export function DataPage() {
  return (
    <div className="halves">
      <div className="stack">
        <Snapshots />
        <Extracts />
      </div>
      <div className="stack">
        <Registrations />
        <PoisonCard />
      </div>
    </div>
  );
}

function Snapshots() {
  const { t } = useTranslation();
  const format = useFormats();
  const snapshots = useNewest<Snapshot & { state?: string }>("data/snapshots", 5);
  return (
    <Card title={t("operations.snapshots")} of={[snapshots]}>
      {snapshots.data?.total === 0 && <p>{t("operations.noSnapshots")}</p>}
      {(snapshots.data?.items ?? []).length > 0 && (
        <table>
          <thead>
            <tr>
              <th>{t("operations.snapshot")}</th>
              <th>{t("operations.dataAsOf")}</th>
              <th className="number">{t("operations.rows.items")}</th>
              <th className="number">{t("operations.rows.routings")}</th>
              <th className="number">{t("operations.rows.work_results")}</th>
            </tr>
          </thead>
          <tbody>
            {snapshots.data?.items.map((each) => (
              <tr key={each.id}>
                <td className="code">{each.id}</td>
                <td>
                  <Moment at={each.data_as_of} /> <small className="block">{<Ago at={each.data_as_of} />}</small>
                </td>
                {["items", "routings", "work_results"].map((table) => (
                  <td key={table} className="number">
                    {each.rows[table] === undefined ? "–" : format.count(each.rows[table])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Extracts() {
  const { t } = useTranslation();
  const may = useMay();
  const [asks, setAsks] = useState(false);
  const extracts = useNewest<Extract>("data/extracts", 8);
  return (
    <Card
      title={t("operations.extracts")}
      of={[extracts]}
      actions={
        may.operate && (
          <button type="button" onClick={() => setAsks(true)}>
            {t("operations.extractNow")}
          </button>
        )
      }
    >
      {extracts.data?.total === 0 && <p>{t("operations.noExtracts")}</p>}
      <ul className="lines">
        {(extracts.data?.items ?? []).map((each) => (
          <li key={each.id} className="flat">
            <State state={each.state} />
            <span className="grow">
              <Moment at={each.created_at} />{" "}
              {each.full_reading && <span className="badge">{t("operations.full")}</span>} <Progress of={each} />
              <small className="block">{each.error ?? each.reason}</small>
            </span>
            <small className="code">{each.snapshot_id}</small>
          </li>
        ))}
      </ul>
      {asks && <StartExtract onClose={() => setAsks(false)} />}
    </Card>
  );
}

function StartExtract({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [full, setFull] = useState(false);
  const [reason, setReason] = useState("");
  return (
    <ChangeDialog
      title={t("operations.extractNow")}
      action={t("operations.start")}
      change={() => ({ method: "POST", path: "data/snapshots", body: { full, reason: reason.trim() } })}
      onClose={onClose}
    >
      <label>
        {t("operations.reason")}
        <input maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />
      </label>
      <label className="choice">
        <input type="checkbox" checked={full} onChange={(event) => setFull(event.target.checked)} />
        <span>
          {t("operations.full")} <small>{t("operations.fullSays")}</small>
        </span>
      </label>
    </ChangeDialog>
  );
}

function Registrations() {
  const { t } = useTranslation();
  const registrations = useNewest<Registration>("registrations", 20);
  return (
    <Card title={t("operations.registrations")} of={[registrations]}>
      {registrations.data?.total === 0 && <p>{t("operations.noRegistrations")}</p>}
      <ul className="lines">
        {(registrations.data?.items ?? []).map((each) => (
          <li key={each.id} className="flat">
            <State state={each.state} />
            <span className="grow">
              {each.state === "installed" ? (
                <To area="versions" id={each.version} />
              ) : (
                <span className="code">{each.version}</span>
              )}{" "}
              <Progress of={each} />
              <small className="block">{each.error ?? each.step}</small>
            </span>
            <small>
              <Ago at={each.created_at} />
            </small>
          </li>
        ))}
      </ul>
    </Card>
  );
}
