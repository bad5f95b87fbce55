import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Listing } from "../../api/client";
import { useMay, useWatched } from "../api";
import { useFormats } from "../parts/format";
import { Card, State, WhyNot } from "../parts/parts";
import { type AuditFilter, auditQuestion, EVERYTHING } from "./auditQuestion";

interface AuditEvent {
  sequence: number;
  at: string;
  actor: string;
  role: string | null;
  origin: string;
  action: string;
  object: string;
  outcome: string;
  reason: string;
  before: unknown;
  after: unknown;
}

const PAGE = 100;
const OUTCOMES = ["done", "refused", "failed", "begun"] as const;

/** Who changed what: for auditors, who alone may read it. */
export default function AuditPage() {
  const { t } = useTranslation();
  const may = useMay();
  if (!may.audit)
    return (
      <Card title={t("operations.audit")}>
        <p className="hint">{t("operations.auditorsOnly")}</p>
        {!may.role && <WhyNot />}
      </Card>
    );
  return <Audit />;
}

function Audit() {
  const { t } = useTranslation();
  const [filter, setFilter] = useState<AuditFilter>(EVERYTHING);
  const [offset, setOffset] = useState(0);
  const events = useWatched<Listing<AuditEvent>>(auditQuestion(filter, PAGE, offset));
  const set = (part: Partial<AuditFilter>) => {
    setFilter({ ...filter, ...part });
    setOffset(0);
  };
  const total = events.data?.total ?? 0;
  return (
    <Card title={t("operations.audit")} of={[events]}>
      <search className="row">
        {(["actor", "action", "object"] as const).map((name) => (
          <label key={name}>
            {t(`operations.audited.${name}`)}
            <input value={filter[name]} maxLength={64} onChange={(event) => set({ [name]: event.target.value })} />
          </label>
        ))}
        <label>
          {t("operations.audited.outcome")}
          <select value={filter.outcome} onChange={(event) => set({ outcome: event.target.value })}>
            <option value="">{t("operations.anyState")}</option>
            {OUTCOMES.map((each) => (
              <option key={each} value={each}>
                {t(`operations.state.${each}`)}
              </option>
            ))}
          </select>
        </label>
        {(["since", "until"] as const).map((name) => (
          <label key={name}>
            {t(`operations.audited.${name}`)}
            <input
              type="datetime-local"
              value={filter[name]}
              onChange={(event) => set({ [name]: event.target.value })}
            />
          </label>
        ))}
      </search>
      <Events rows={events.data?.items ?? []} />
      <div className="row">
        <span>{t("operations.newestOf", { shown: Math.min(offset + PAGE, total), total })}</span>
        <button type="button" disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PAGE))}>
          {t("operations.newer")}
        </button>
        <button type="button" disabled={offset + PAGE >= total} onClick={() => setOffset(offset + PAGE)}>
          {t("operations.older")}
        </button>
      </div>
    </Card>
  );
}

function Events({ rows }: { rows: AuditEvent[] }) {
  const { t } = useTranslation();
  const format = useFormats();
  return (
    <table>
      <thead>
        <tr>
          <th>{t("operations.audited.at")}</th>
          <th>{t("operations.audited.actor")}</th>
          <th>{t("operations.audited.action")}</th>
          <th>{t("operations.audited.object")}</th>
          <th>{t("operations.audited.outcome")}</th>
          <th>{t("operations.audited.change")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.sequence}>
            <td title={row.at}>{format.exact(row.at)}</td>
            <td>
              {row.actor} <small className="block">{[row.role, row.origin].filter(Boolean).join(", ")}</small>
            </td>
            <td className="code">{row.action}</td>
            <td className="code long">{row.object}</td>
            <td>
              <State state={row.outcome} />
            </td>
            <td className="long">
              {row.reason}
              {(row.before !== null || row.after !== null) && (
                <details>
                  <summary>{t("operations.audited.beforeAfter")}</summary>
                  <pre>{JSON.stringify(row.before, null, 1)}</pre>
                  <pre>{JSON.stringify(row.after, null, 1)}</pre>
                </details>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
