import { useTranslation } from "react-i18next";
import { Link } from "wouter";
import { useActive, useNewest, useWatched } from "../api";
import { Ago, addressOf, Card, Facts, Moment, State, To, useChosen } from "../parts/parts";
import type { Version, VersionEvent, VersionWithEvents } from "../types";
import { Comparison } from "./Comparison";
import { Lineage } from "./Lineage";
import { VersionActions } from "./VersionActions";

const SHOWN = 100;

export function VersionsPage() {
  const { t } = useTranslation();
  const chosen = useChosen();
  const versions = useNewest<Version>("models", SHOWN);
  const rows = versions.data?.items ?? [];
  return (
    <div className="halves">
      <Card title={t("operations.versions")} of={[versions]}>
        {versions.data && rows.length === 0 && <p>{t("operations.noVersions")}</p>}
        <VersionList rows={rows} chosen={chosen} />
        {versions.data && versions.data.total > rows.length && (
          <p className="hint">{t("operations.newestOf", { shown: rows.length, total: versions.data.total })}</p>
        )}
      </Card>
      {chosen ? <VersionDetail key={chosen} id={chosen} /> : <p className="hint">{t("operations.chooseVersion")}</p>}
    </div>
  );
}

export function VersionList({ rows, chosen = null }: { rows: Version[]; chosen?: string | null }) {
  const { t } = useTranslation();
  return (
    <ul className="lines">
      {rows.map((each) => (
        <li key={each.version}>
          <Link href={addressOf("versions", each.version)} aria-current={each.version === chosen ? "true" : undefined}>
            <State state={each.state} />
            <span className="grow">
              <span className="code">{each.version}</span>{" "}
              {each.pinned && <span className="badge">{t("operations.pinned")}</span>}
              <small className="cut">
                {each.model_kind}
                {each.data_as_of && (
                  <>
                    {" · "}
                    {t("operations.dataAsOf")} <Moment at={each.data_as_of} />
                  </>
                )}
              </small>
            </span>
            <small>
              <Ago at={each.registered_at} />
            </small>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function VersionDetail({ id }: { id: string }) {
  const { t } = useTranslation();
  const asked = useWatched<VersionWithEvents>(`models/${encodeURIComponent(id)}`);
  const active = useActive();
  const version = asked.data;
  return (
    <Card title={t("operations.one.versions")} of={[asked, active]}>
      {version && (
        <>
          <div className="row">
            <span className="big code">{version.version}</span>
            <State state={version.state} />
            {version.pinned && <span className="badge">{t("operations.pinned")}</span>}
          </div>
          <VersionFacts version={version} />
          {active.data !== undefined && <VersionActions version={version} active={active.data?.version ?? ""} />}
          {active.data && active.data.version !== version.version && (
            <Comparison version={version} active={active.data} />
          )}
          <Lineage version={version.version} />
          <Events events={version.events} />
        </>
      )}
    </Card>
  );
}

function VersionFacts({ version }: { version: Version }) {
  const { t } = useTranslation();
  return (
    <Facts
      rows={[
        [t("operations.kind"), version.model_kind],
        [t("operations.profile"), version.profile],
        [t("operations.dataAsOf"), version.data_as_of && <Moment key="data" at={version.data_as_of} />],
        [t("operations.registered"), <Moment key="registered" at={version.registered_at} />],
        [t("operations.activatedLast"), version.activated_at && <Moment key="activated" at={version.activated_at} />],
        [t("operations.parent"), version.parent && <To key="parent" area="versions" id={version.parent} />],
        [t("operations.one.jobs"), version.job_id && <To key="job" area="jobs" id={version.job_id} />],
      ]}
    />
  );
}

function Events({ events }: { events: VersionEvent[] }) {
  const { t } = useTranslation();
  return (
    <details open>
      <summary>{t("operations.history")}</summary>
      <ul className="plain history">
        {events.toReversed().map((event) => (
          <li key={event.at + event.to_state}>
            <Moment at={event.at} /> <State state={event.to_state} /> {event.actor}
            <small className="block">{event.reason}</small>
          </li>
        ))}
      </ul>
    </details>
  );
}
