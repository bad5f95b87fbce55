import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../app/Complaint";
import { useSession } from "../app/SignIn";
import { type Alert, type Change, type Cycle, type Job, useActive, useChange, useNewest, type Version } from "./api";
import { Trend } from "./Trend";
import { type Report, Verification } from "./Verification";

const SHOWN = 12;

/** The night shift's page: what answers, what is wrong, what runs, and what can be done about it. */
export default function OperationsPage() {
  const { t } = useTranslation();
  const change = useChange();
  const [wanted, setWanted] = useState<Change & { action: string }>();
  const [report, setReport] = useState<Report>();
  const verify = (version: string) =>
    change.mutate(
      { method: "POST", path: `models/${version}/verify` },
      { onSuccess: (answer) => setReport(answer as Report) },
    );
  const act = (action: string, path: string, method: Change["method"] = "POST") => setWanted({ action, path, method });
  return (
    <div className="operations">
      {change.error && (
        <div className="wide">
          <Complaint error={change.error} />
        </div>
      )}
      <ActiveVersion onAct={act} />
      <Alerts onAct={act} />
      <Cycles onStart={() => change.mutate({ method: "POST", path: "quality/cycles", body: {} })} />
      <Jobs
        onStart={() => change.mutate({ method: "POST", path: "training/jobs", body: { kind: "refit" } })}
        onCancel={(id) => change.mutate({ method: "DELETE", path: `training/jobs/${id}` })}
      />
      <Versions onAct={act} onVerify={verify} />
      {report && <Verification report={report} onClose={() => setReport(undefined)} />}
      {wanted && (
        <ReasonDialog
          action={wanted.action}
          onCancel={() => setWanted(undefined)}
          onGive={(reason) => {
            change.mutate({ ...wanted, body: { reason } });
            setWanted(undefined);
          }}
        />
      )}
      <span className="sr" role="status">
        {change.isPending ? t("common.loading") : ""}
      </span>
    </div>
  );
}

type Act = (action: string, path: string) => void;

function useMayChange(): boolean {
  const session = useSession();
  return session.data?.role === "operator" || session.data?.role === "administrator";
}

function ActiveVersion({ onAct }: { onAct: Act }) {
  const { t, i18n } = useTranslation();
  const active = useActive();
  const mayChange = useMayChange();
  return (
    <section className="card stack">
      <h2>{t("operations.active")}</h2>
      {active.error && <Complaint error={active.error} />}
      {active.data === null && <p className="complaint">{t("app.noModel")}</p>}
      {active.data && (
        <>
          <p className="big code">{active.data.version}</p>
          <p>
            {active.data.activated_at &&
              t("operations.since", { date: new Date(active.data.activated_at).toLocaleString(i18n.language) })}
            {active.data.data_as_of && (
              <>
                {" · "}
                {t("app.dataAsOf", { date: new Date(active.data.data_as_of).toLocaleString(i18n.language) })}
              </>
            )}
          </p>
          {mayChange && (
            <div className="row">
              <button type="button" onClick={() => onAct(t("operations.rollback"), "models/rollback")}>
                {t("operations.rollback")}
              </button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

function Alerts({ onAct }: { onAct: Act }) {
  const { t, i18n } = useTranslation();
  const alerts = useNewest<Alert>("alerts?", SHOWN);
  const mayChange = useMayChange();
  const open = alerts.data?.items.filter((alert) => alert.state !== "closed") ?? [];
  return (
    <section className="card stack">
      <h2>{t("operations.alerts")}</h2>
      {alerts.error && <Complaint error={alerts.error} />}
      {alerts.data && open.length === 0 && <p>{t("operations.noAlerts")}</p>}
      {open.map((alert) => (
        <div key={alert.id} className="row">
          <span className={`badge ${alert.severity === "critical" ? "bad" : "warn"}`}>{alert.kind}</span>
          <span className="grow">{alert.message}</span>
          <small>{new Date(alert.created_at).toLocaleString(i18n.language)}</small>
          {mayChange && alert.state === "open" && (
            <button type="button" onClick={() => onAct(t("operations.acknowledge"), `alerts/${alert.id}/acknowledge`)}>
              {t("operations.acknowledge")}
            </button>
          )}
        </div>
      ))}
    </section>
  );
}

function Cycles({ onStart }: { onStart: () => void }) {
  const { t, i18n } = useTranslation();
  const cycles = useNewest<Cycle>("quality/cycles?", 30);
  const mayChange = useMayChange();
  const measured = (cycles.data?.items ?? []).flatMap((cycle) => {
    const error = cycle.metrics?.overall?.mdape;
    return error ? [{ at: cycle.created_at, ...error }] : [];
  });
  return (
    <section className="card stack">
      <div className="row">
        <h2>{t("operations.cycles")}</h2>
        <span className="spring" />
        {mayChange && (
          <button type="button" onClick={onStart}>
            {t("operations.startCycle")}
          </button>
        )}
      </div>
      {cycles.error && <Complaint error={cycles.error} />}
      {measured.length > 0 && <Trend points={measured.reverse()} label={t("operations.trend")} />}
      <ul className="plain">
        {(cycles.data?.items ?? []).slice(0, 5).map((cycle) => (
          <li key={cycle.id} className="row">
            <WorkState state={cycle.state} />
            <span>{new Date(cycle.created_at).toLocaleString(i18n.language)}</span>
            <small className="grow">{cycle.error ?? cycle.reason}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Jobs({ onStart, onCancel }: { onStart: () => void; onCancel: (id: string) => void }) {
  const { t, i18n } = useTranslation();
  const jobs = useNewest<Job>("training/jobs?", SHOWN);
  const mayChange = useMayChange();
  return (
    <section className="card stack">
      <div className="row">
        <h2>{t("operations.jobs")}</h2>
        <span className="spring" />
        {mayChange && (
          <button type="button" onClick={onStart}>
            {t("operations.startRefit")}
          </button>
        )}
      </div>
      {jobs.error && <Complaint error={jobs.error} />}
      <table>
        <thead>
          <tr>
            <th>{t("operations.state")}</th>
            <th>{t("operations.kind")}</th>
            <th>{t("operations.started")}</th>
            <th>{t("operations.step")}</th>
            <th>{t("operations.version")}</th>
            <th aria-label={t("operations.cancel")} />
          </tr>
        </thead>
        <tbody>
          {(jobs.data?.items ?? []).map((job) => (
            <tr key={job.id}>
              <td>
                <WorkState state={job.state} />
              </td>
              <td>{job.kind}</td>
              <td>{new Date(job.created_at).toLocaleString(i18n.language)}</td>
              <td>
                {job.state === "running" ? (
                  <>
                    <progress value={job.progress} max={100} aria-label={t("operations.progress")} /> {job.step}
                  </>
                ) : (
                  <small>{job.error ?? job.reason}</small>
                )}
              </td>
              <td className="code">{job.model_version}</td>
              <td>
                {mayChange && (job.state === "running" || job.state === "queued") && (
                  <button type="button" onClick={() => onCancel(job.id)}>
                    {t("operations.cancel")}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Versions({ onAct, onVerify }: { onAct: Act; onVerify: (version: string) => void }) {
  const { t, i18n } = useTranslation();
  const versions = useNewest<Version>("models?", SHOWN);
  const mayChange = useMayChange();
  return (
    <section className="card stack wide">
      <h2>{t("operations.versions")}</h2>
      {versions.error && <Complaint error={versions.error} />}
      <table>
        <thead>
          <tr>
            <th>{t("operations.version")}</th>
            <th>{t("operations.state")}</th>
            <th>{t("operations.kind")}</th>
            <th>{t("operations.created")}</th>
            <th aria-label={t("operations.state")} />
          </tr>
        </thead>
        <tbody>
          {(versions.data?.items ?? []).map((each) => (
            <tr key={each.version}>
              <td className="code">{each.version}</td>
              <td>
                <span className={`badge ${each.state === "active" ? "good" : ""}`}>{each.state}</span>
              </td>
              <td>{each.model_kind}</td>
              <td>{new Date(each.registered_at).toLocaleString(i18n.language)}</td>
              <td className="row">
                {mayChange && (each.state === "pending" || each.state === "retired") && (
                  <>
                    <button type="button" onClick={() => onVerify(each.version)}>
                      {t("operations.verify")}
                    </button>
                    <button
                      type="button"
                      onClick={() => onAct(t("operations.activate"), `models/${each.version}/activate`)}
                    >
                      {t("operations.activate")}
                    </button>
                  </>
                )}
                {mayChange && each.state === "pending" && (
                  <button type="button" onClick={() => onAct(t("operations.reject"), `models/${each.version}/reject`)}>
                    {t("operations.reject")}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function WorkState({ state }: { state: Job["state"] }) {
  const tone = { succeeded: "good", failed: "bad", running: "warn", queued: "", cancelled: "", skipped: "" }[state];
  return <span className={`badge ${tone}`}>{state}</span>;
}

interface ReasonDialogProps {
  action: string;
  onGive: (reason: string) => void;
  onCancel: () => void;
}

function ReasonDialog({ action, onGive, onCancel }: ReasonDialogProps) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const show = (dialog: HTMLDialogElement | null) => {
    if (dialog && !dialog.open) {
      dialog.showModal();
      field.current?.focus();
    }
  };
  return (
    <dialog ref={show} onClose={onCancel} aria-label={action}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onGive(reason.trim());
        }}
      >
        <label>
          {t("operations.reasonFor", { action })}
          <input
            ref={field}
            required
            maxLength={2000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
        <div className="row">
          <button type="submit" className="main" disabled={!reason.trim()}>
            {action}
          </button>
          <button type="button" onClick={onCancel}>
            {t("common.cancel")}
          </button>
        </div>
      </form>
    </dialog>
  );
}
