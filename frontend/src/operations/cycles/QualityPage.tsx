import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { useMay, useNewest } from "../api";
import { useFormats } from "../parts/format";
import { addressOf, Card, Moment, Progress, State, useChosen } from "../parts/parts";
import type { Alert, Cycle, Version } from "../types";
import { CycleDetail } from "./CycleDetail";
import { StartCycle } from "./StartCycle";
import { Trend } from "./Trend";

const SHOWN = 60;

/** The cycles in which the product checks itself: their trend, their list, one of them in full. */
export default function QualityPage() {
  const { t } = useTranslation();
  const may = useMay();
  const chosen = useChosen();
  const cycles = useNewest<Cycle>("quality/cycles", SHOWN);
  const versions = useNewest<Version>("models", 50);
  const alerts = useNewest<Alert>("alerts", 100);
  const [starts, setStarts] = useState(false);
  const rows = cycles.data?.items ?? [];
  return (
    <div className="halves">
      <div className="stack">
        <Card title={t("operations.trend")} of={[cycles, versions, alerts]}>
          {cycles.data && (
            <Trend cycles={rows} versions={versions.data?.items ?? []} alerts={alerts.data?.items ?? []} />
          )}
        </Card>
        <Card
          title={t("operations.cycles")}
          actions={
            may.operate && (
              <button type="button" onClick={() => setStarts(true)}>
                {t("operations.startCycle")}
              </button>
            )
          }
        >
          {cycles.data && rows.length === 0 && <p>{t("operations.noCycles")}</p>}
          <CycleList rows={rows} chosen={chosen} />
        </Card>
      </div>
      {chosen ? <CycleDetail key={chosen} id={chosen} /> : <p className="hint">{t("operations.chooseCycle")}</p>}
      {starts && <StartCycle onClose={() => setStarts(false)} />}
    </div>
  );
}

function CycleList({ rows, chosen }: { rows: Cycle[]; chosen: string | null }) {
  const { t } = useTranslation();
  return (
    <ul className="lines high">
      {rows.map((cycle) => (
        <li key={cycle.id}>
          <Link href={addressOf("quality", cycle.id)} aria-current={cycle.id === chosen ? "true" : undefined}>
            <State state={cycle.state} />
            <span className="grow">
              <Moment at={cycle.created_at} /> <Progress of={cycle} />
              <small className="cut">{cycle.error ?? cycle.reason}</small>
            </span>
            <Alarms cycle={cycle} />
            <span className="number">
              <MedianError cycle={cycle} />
            </span>
          </Link>
        </li>
      ))}
      {rows.length === 0 && <li className="sr">{t("operations.noCycles")}</li>}
    </ul>
  );
}

function Alarms({ cycle }: { cycle: Cycle }) {
  const { t } = useTranslation();
  const alarms = (cycle.metrics?.quality?.alerts ?? []).filter((each) => each.evident).length;
  return alarms > 0 ? <span className="badge bad">{t("operations.alarms", { count: alarms })}</span> : null;
}

function MedianError({ cycle }: { cycle: Cycle }) {
  const format = useFormats();
  const error = cycle.metrics?.overall?.mdape?.value;
  return <>{error == null ? "–" : format.figure(error, "mdape")}</>;
}
