import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { Complaint } from "../../app/Complaint";
import { useActive, useHealth, useMay, useNewest, useWatched } from "../api";
import { useFormats } from "../parts/format";
import { Ago, addressOf, Moment, State } from "../parts/parts";
import type { Alert, Health, VersionWithEvents } from "../types";
import { ActionDialog } from "../versions/VersionActions";
import { sentences } from "./health";

/** What serves, how old its data is, how all parts are, and how many alerts nobody has seen yet. */
export function TopStrip() {
  return (
    <section className="strip">
      <Serving />
      <DataAge />
      <HealthInWords />
      <OpenCount />
      <WhoAmI />
    </section>
  );
}

function Cell({ title, error, children }: { title: string; error?: unknown; children: ReactNode }) {
  return (
    <div className="cell">
      <h2>{title}</h2>
      {error ? <Complaint error={error} /> : null}
      {children}
    </div>
  );
}

function Serving() {
  const { t } = useTranslation();
  const active = useActive();
  const name = active.data?.version;
  const detail = useWatched<VersionWithEvents>(name ? `models/${encodeURIComponent(name)}` : null);
  const activation = detail.data?.events.findLast((event) => event.to_state === "active");
  return (
    <Cell title={t("operations.active")} error={active.error ?? detail.error}>
      {active.data === null && <p className="complaint">{t("app.noModel")}</p>}
      {name && (
        <>
          <p className="big code">
            <Link href={addressOf("versions", name)}>{name}</Link>
          </p>
          {activation && (
            <p title={activation.reason}>
              {t("operations.sinceBy", { who: activation.actor })} <Moment at={activation.at} />
            </p>
          )}
          <RollBack active={name} />
        </>
      )}
    </Cell>
  );
}

function RollBack({ active }: { active: string }) {
  const { t } = useTranslation();
  const may = useMay();
  const [asks, setAsks] = useState(false);
  if (!may.operate) return null;
  return (
    <>
      <button type="button" onClick={() => setAsks(true)}>
        {t("operations.action.rollback")}
      </button>
      {asks && <ActionDialog action="rollback" version={active} active={active} onClose={() => setAsks(false)} />}
    </>
  );
}

function DataAge() {
  const { t } = useTranslation();
  const format = useFormats();
  const health = useHealth();
  const part = health.data?.parts.data;
  const hours = typeof part?.maximum_age_hours === "number" ? part.maximum_age_hours : null;
  return (
    <Cell title={t("operations.ageOfData")} error={health.error}>
      {health.data && (
        <>
          <p className="big">
            {health.data.data_as_of ? <Ago at={health.data.data_as_of} /> : "–"}{" "}
            {part?.status === "degraded" && <span className="badge warn">{t("operations.tooOld")}</span>}
          </p>
          {typeof part?.data_as_of === "string" && (
            <p>
              <Link href="/operations/data">{t("operations.newestSnapshot")}</Link> <Ago at={part.data_as_of} />
              {hours !== null && ` (${t("operations.atMost", { span: format.span(hours * 3600) })})`}
            </p>
          )}
        </>
      )}
    </Cell>
  );
}

function HealthInWords() {
  const { t } = useTranslation();
  const health = useHealth();
  return (
    <Cell title={t("operations.health")} error={health.error}>
      {health.data && (
        <>
          <p className="big">
            <State state={health.data.status} /> {t(`operations.healthSays.${health.data.status}`)}
          </p>
          <details>
            <summary>{t("operations.everyPart")}</summary>
            <Parts health={health.data} />
          </details>
        </>
      )}
    </Cell>
  );
}

function Parts({ health }: { health: Health }) {
  const { t } = useTranslation();
  const format = useFormats();
  return (
    <ul className="plain parts">
      {Object.entries(health.parts).map(([name, part]) => (
        <li key={name}>
          <State state={part.status} /> <PartName name={name} />
          {part.detail && <span className="block">{part.detail}</span>}
          {part.remedy && <small className="block">{part.remedy}</small>}
        </li>
      ))}
      {sentences(health).map((each) => (
        <li key={each.key}>
          {each.isBad && <State state="warning" />} {t(each.key, each.values)}
        </li>
      ))}
      {Object.entries(health.queues).map(([queue, depth]) => (
        <li key={queue}>
          <span className="code">{queue}</span>{" "}
          {depth === null
            ? t("operations.queueUnknown")
            : t("operations.queued", { count: depth, shown: format.count(depth) })}
        </li>
      ))}
    </ul>
  );
}

function PartName({ name }: { name: string }) {
  const { t, i18n } = useTranslation();
  const key = `operations.part.${name}`;
  return <>{i18n.exists(key) ? t(key) : name}</>;
}

function OpenCount() {
  const { t } = useTranslation();
  const open = useNewest<Alert>("alerts?state=open", 6);
  const total = open.data?.total;
  return (
    <Cell title={t("operations.openAlerts")} error={open.error}>
      {total !== undefined && (
        <p className="big">
          <Link href="/operations/alerts">
            <span className={`badge ${total > 0 ? "bad" : "good"}`}>{t("operations.openCount", { count: total })}</span>
          </Link>
        </p>
      )}
    </Cell>
  );
}

function WhoAmI() {
  const { t } = useTranslation();
  const may = useMay();
  if (may.operate) return null;
  return (
    <div className="cell">
      <p className="note">
        {may.role ? t("operations.onlyLooking", { role: t(`roles.${may.role}`) }) : t("operations.signInToAct")}
      </p>
    </div>
  );
}
