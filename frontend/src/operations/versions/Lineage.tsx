import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../../app/Complaint";
import { useWatched } from "../api";
import { Facts, Moment, State, To } from "../parts/parts";

interface LineageAnswer {
  job: { job_id?: string; kind?: string; actor?: string; reason?: string; none?: string; gone?: string };
  data: { snapshot_id: string | null; data_as_of: string | null; gone?: string };
  package: { signed_by?: string | null; gone?: string };
  comparison: { decision?: string; reason?: string } | null;
  alarm: { cycle_id: string; alerts: { id: string; message: string }[] } | null;
  approval: { actor: string; at: string; reason: string } | null;
  judged_by: { cycles: { cycle_id: string; state: string; ended_at: string | null; alarms: string[] }[] };
  ancestors: { version: string; state: string | null }[];
}

const CYCLES_SHOWN = 8;

/** Where a version comes from and what judged it; asked for when it is looked at. */
export function Lineage({ version }: { version: string }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  const asked = useWatched<LineageAnswer>(isOpen ? `models/${encodeURIComponent(version)}/lineage` : null);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("operations.lineage")}</summary>
      {asked.error && <Complaint error={asked.error} />}
      {asked.data && <Line of={asked.data} />}
    </details>
  );
}

function Line({ of }: { of: LineageAnswer }) {
  const { t } = useTranslation();
  const { job, data, alarm, approval, comparison, ancestors } = of;
  return (
    <>
      <Facts
        rows={[
          [t("operations.one.quality"), alarm && <To key="cycle" area="quality" id={alarm.cycle_id} />],
          [
            t("operations.alerts"),
            alarm?.alerts.length
              ? alarm.alerts.map((each) => (
                  <span key={each.id} className="block">
                    <To area="alerts" id={each.id}>
                      {each.message}
                    </To>
                  </span>
                ))
              : null,
          ],
          [
            t("operations.one.jobs"),
            job.job_id ? <To key="job" area="jobs" id={job.job_id} /> : (job.none ?? job.gone ?? null),
          ],
          [t("operations.reason"), job.reason],
          [t("operations.decision"), comparison?.reason],
          [t("operations.snapshot"), data.snapshot_id],
          [t("operations.dataAsOf"), data.data_as_of && <Moment key="data" at={data.data_as_of} />],
          [t("operations.signedBy"), of.package.signed_by ?? of.package.gone],
          [
            t("operations.approvedBy"),
            approval && (
              <span key="approval">
                {approval.actor}, <Moment at={approval.at} />: {approval.reason}
              </span>
            ),
          ],
          [
            t("operations.ancestors"),
            ancestors.length
              ? ancestors.slice(0, CYCLES_SHOWN).map((each) => (
                  <span key={each.version} className="block">
                    <To area="versions" id={each.version} />
                  </span>
                ))
              : null,
          ],
        ]}
      />
      <Judged cycles={of.judged_by.cycles.slice(0, CYCLES_SHOWN)} />
    </>
  );
}

function Judged({ cycles }: { cycles: LineageAnswer["judged_by"]["cycles"] }) {
  const { t } = useTranslation();
  if (cycles.length === 0) return null;
  return (
    <>
      <h3>{t("operations.judgedBy")}</h3>
      <ul className="plain">
        {cycles.map((each) => (
          <li key={each.cycle_id}>
            <State state={each.state} />{" "}
            <To area="quality" id={each.cycle_id}>
              {each.ended_at ? <Moment at={each.ended_at} /> : each.cycle_id}
            </To>{" "}
            {each.alarms.join(", ")}
          </li>
        ))}
      </ul>
    </>
  );
}
