import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { Complaint } from "../../app/Complaint";
import { useChange, useMay, useWatched } from "../api";
import { ReasonDialog } from "../parts/Dialog";
import { useFormats } from "../parts/format";
import { Card, Facts, Moment, State, To, WhyNot } from "../parts/parts";
import type { Alert } from "../types";
import { KindOf } from "./KindOf";
import { type Place, placesOf, plainDetails } from "./links";

/** One alert: what it means, what to do, where it leads, and taking note of it or closing it. */
export function AlertDetail({ id }: { id: string }) {
  const { t } = useTranslation();
  const asked = useWatched<Alert>(`alerts/${encodeURIComponent(id)}`);
  const alert = asked.data;
  return (
    <Card title={t("operations.alert")} of={[asked]}>
      {alert && (
        <>
          <p className="big">
            <KindOf alert={alert} /> {alert.subject && <span className="code">{alert.subject}</span>}
          </p>
          <div className="row">
            <State state={alert.severity} />
            <State state={alert.state} />
          </div>
          <p className="told">{alert.message}</p>
          <Meaning kind={alert.kind} />
          <Links alert={alert} />
          <History alert={alert} />
          <Actions alert={alert} />
        </>
      )}
    </Card>
  );
}

function Meaning({ kind }: { kind: string }) {
  const { t, i18n } = useTranslation();
  if (!i18n.exists(`operations.alertMeans.${kind}`)) return null;
  return (
    <div className="note">
      <p>{t(`operations.alertMeans.${kind}`)}</p>
      <p>
        <strong>{t("operations.whatToDo")}</strong> {t(`operations.alertDo.${kind}`)}
      </p>
    </div>
  );
}

function Links({ alert }: { alert: Alert }) {
  const places = placesOf(alert);
  if (places.length === 0) return null;
  return (
    <ul className="plain row">
      {places.map((place) => (
        <li key={place.area + place.id}>
          <PlaceLink place={place} />
        </li>
      ))}
    </ul>
  );
}

function PlaceLink({ place }: { place: Place }) {
  const { t } = useTranslation();
  if (place.id === null) return <Link href={`/operations/${place.area}`}>{t(`operations.tab.${place.area}`)}</Link>;
  return (
    <To area={place.area} id={place.id}>
      {t(`operations.one.${place.area}`)} {place.id}
    </To>
  );
}

function History({ alert }: { alert: Alert }) {
  const { t } = useTranslation();
  const format = useFormats();
  const untold = (alert.deliveries ?? []).filter((each) => each.error);
  return (
    <>
      <Facts
        rows={[
          [t("operations.raised"), <Moment key="raised" at={alert.created_at} />],
          [t("operations.raisedLast"), alert.count > 1 ? <Moment key="last" at={alert.updated_at} /> : null],
          [t("operations.times"), alert.count > 1 ? format.count(alert.count) : null],
          [t("operations.acknowledgedBy"), alert.acknowledged_by],
          [t("operations.closedBy"), alert.closed_by],
          [t("operations.closed"), alert.closed_at ? <Moment key="closed" at={alert.closed_at} /> : null],
          [t("operations.note"), alert.closed_note],
          ...plainDetails(alert).map(([name, value]): [string, string] => [
            name,
            typeof value === "number" ? format.figure(value, "") : String(value),
          ]),
        ]}
      />
      {untold.map((each) => (
        <p key={each.id} className="complaint">
          {t("operations.webhookFailed", { event: each.event, count: each.attempts })} {each.error}
        </p>
      ))}
    </>
  );
}

function Actions({ alert }: { alert: Alert }) {
  const { t } = useTranslation();
  const may = useMay();
  const acknowledge = useChange();
  const [closes, setCloses] = useState(false);
  if (alert.state === "closed") return null;
  if (!may.operate) return <WhyNot />;
  const path = `alerts/${encodeURIComponent(alert.id)}`;
  return (
    <>
      {acknowledge.error && <Complaint error={acknowledge.error} />}
      <div className="row">
        {alert.state === "open" && (
          <button
            type="button"
            className="main"
            disabled={acknowledge.isPending}
            title={t("operations.acknowledgeSays")}
            onClick={() => acknowledge.mutate({ method: "POST", path: `${path}/acknowledge` })}
          >
            {t("operations.acknowledge")}
          </button>
        )}
        <button type="button" onClick={() => setCloses(true)}>
          {t("operations.closeAlert")}
        </button>
      </div>
      {closes && (
        <ReasonDialog
          title={t("operations.closeAlert")}
          action={t("operations.closeAlert")}
          says={<p>{t("operations.closeSays")}</p>}
          label={t("operations.note")}
          isOptional
          change={(note) => ({ method: "POST", path: `${path}/close`, body: { note } })}
          onClose={() => setCloses(false)}
        />
      )}
    </>
  );
}
