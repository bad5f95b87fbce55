import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { useNewest } from "../api";
import { Ago, addressOf, Card, State, useChosen } from "../parts/parts";
import type { Alert } from "../types";
import { AlertDetail } from "./AlertDetail";
import { KindOf } from "./KindOf";

const SHOWN = 100;
const STATES = ["open", "acknowledged", "closed"] as const;

export function AlertsPage() {
  const { t } = useTranslation();
  const chosen = useChosen();
  const [state, setState] = useState<string>("");
  const alerts = useNewest<Alert>(state ? `alerts?state=${state}` : "alerts", SHOWN);
  const rows = alerts.data?.items ?? [];
  return (
    <div className="halves">
      <Card
        title={t("operations.alerts")}
        of={[alerts]}
        actions={
          <select
            aria-label={t("operations.stateFilter")}
            value={state}
            onChange={(event) => setState(event.target.value)}
          >
            <option value="">{t("operations.anyState")}</option>
            {STATES.map((each) => (
              <option key={each} value={each}>
                {t(`operations.state.${each}`)}
              </option>
            ))}
          </select>
        }
      >
        {alerts.data && rows.length === 0 && <p>{t("operations.noAlerts")}</p>}
        <AlertList rows={rows} chosen={chosen} />
        {alerts.data && alerts.data.total > rows.length && (
          <p className="hint">{t("operations.newestOf", { shown: rows.length, total: alerts.data.total })}</p>
        )}
      </Card>
      {chosen ? <AlertDetail key={chosen} id={chosen} /> : <p className="hint">{t("operations.chooseAlert")}</p>}
    </div>
  );
}

export function AlertList({ rows, chosen = null }: { rows: Alert[]; chosen?: string | null }) {
  return (
    <ul className="lines">
      {rows.map((alert) => (
        <li key={alert.id}>
          <Link href={addressOf("alerts", alert.id)} aria-current={alert.id === chosen ? "true" : undefined}>
            <State state={alert.severity} />
            <State state={alert.state} />
            <span className="grow">
              <strong>
                <KindOf alert={alert} />
              </strong>
              {alert.subject && <> · {alert.subject}</>}
              {alert.count > 1 && <> × {alert.count}</>}
              <small className="cut">{alert.message}</small>
            </span>
            <small>
              <Ago at={alert.updated_at} />
            </small>
          </Link>
        </li>
      ))}
    </ul>
  );
}
