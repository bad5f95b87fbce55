import { useTranslation } from "react-i18next";
import type { Candidate } from "../api/client";
import { differences } from "./compare";
import { orderTotals } from "./draft";
import { minutes, percent } from "./numbers";
import { CONFIDENT, FEW_SAMPLES } from "./Signs";
import { historyOf, isEdited, OWN, ranksOf, type WorkItem } from "./work";

interface Props {
  item: WorkItem;
  onChoose: (rank: number) => void;
}

/** The candidates side by side, as they are now: how far each may be trusted, its minutes, and what differs from the chosen one. */
export function Candidates({ item, onChoose }: Props) {
  const { t } = useTranslation();
  const chosen = historyOf(item)?.present.operations ?? [];
  return (
    <div className="candidates" role="radiogroup" aria-label={t("planner.candidates")}>
      {ranksOf(item).map((rank) => {
        const draft = historyOf(item, rank)?.present;
        const candidate = item.prediction?.candidates?.find((each) => each.rank === rank);
        if (!draft) return null;
        const isChosen = rank === item.chosen;
        const codes = differences(isChosen ? draft.operations : chosen, draft.operations);
        return (
          <label key={rank} className={`candidate ${isChosen ? "chosen" : ""}`}>
            <span className="row">
              <input type="radio" name="candidate" checked={isChosen} onChange={() => onChoose(rank)} />
              {candidate ? <Trust candidate={candidate} /> : <strong>{t("planner.own")}</strong>}
              <span className="spring" />
              {rank !== OWN && isEdited(item, rank) && <span className="badge">✎ {t("planner.state.edited")}</span>}
            </span>
            <Totals draft={draft} quantity={item.quantity} />
            <span className="chips">
              {codes.map((each, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a code may come twice, its place tells which
                <Chip key={`${each.code}-${at}`} {...each} />
              ))}
            </span>
            {candidate && <Doubts candidate={candidate} />}
          </label>
        );
      })}
    </div>
  );
}

function Trust({ candidate }: { candidate: Candidate }) {
  const { t, i18n } = useTranslation();
  return (
    <>
      <strong title={t("planner.probabilityWhy")}>{percent(candidate.probability, i18n.language)}</strong>
      <span className={`badge ${candidate.tier}`}>{t(`planner.tier.${candidate.tier}`)}</span>
      <span>{t(`planner.source.${candidate.source}`)}</span>
      <small title={t("planner.similarityWhy")}>
        {t("planner.alike", { share: percent(candidate.similarity, i18n.language) })}
      </small>
    </>
  );
}

function Totals({ draft, quantity }: { draft: Parameters<typeof orderTotals>[0]; quantity: number }) {
  const { t, i18n } = useTranslation();
  const totals = orderTotals(draft, quantity);
  return (
    <small>
      {t("planner.totals", {
        count: draft.operations.length,
        work: minutes(totals.setup + totals.run, i18n.language),
        lead: minutes(totals.lead, i18n.language),
      })}
    </small>
  );
}

function Chip({ code, is }: ReturnType<typeof differences>[number]) {
  const { t } = useTranslation();
  if (is === "same") return <span className="chip">{code}</span>;
  const sign = is === "added" ? "+" : "−";
  return (
    <span className={`chip ${is}`} title={t(`planner.difference.${is}`)}>
      {sign}
      {code}
    </span>
  );
}

/** What to look at twice before it is accepted. */
function Doubts({ candidate }: { candidate: Candidate }) {
  const { t } = useTranslation();
  const { operations } = candidate;
  const outsourced = operations.filter((each) => each.inside === false).length;
  const few = operations.filter((each) => each.samples > 0 && each.samples < FEW_SAMPLES).length;
  const none = operations.filter((each) => each.samples === 0).length;
  return (
    <span className="signs">
      {candidate.probability >= CONFIDENT && <span className="badge good">{t("planner.sign.confident")}</span>}
      {outsourced > 0 && <span className="badge">{t("planner.sign.outsourcedCount", { count: outsourced })}</span>}
      {few > 0 && <span className="badge warn">{t("planner.sign.fewCount", { count: few })}</span>}
      {none > 0 && <span className="badge warn">{t("planner.sign.noneCount", { count: none })}</span>}
    </span>
  );
}
