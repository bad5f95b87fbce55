import { useTranslation } from "react-i18next";
import type { PredictedOperation } from "../api/client";
import type { DraftOperation } from "./draft";

export const CONFIDENT = 0.8;
export const FEW_SAMPLES = 3;

interface Props {
  operation: DraftOperation;
  predicted: PredictedOperation | undefined;
  isKnown: boolean;
}

/** What a planner should know of an operation before trusting its line. */
export function Signs({ operation, predicted, isKnown }: Props) {
  const { t } = useTranslation();
  return (
    <span className="signs">
      {operation.inside === false && <span className="badge">{t("planner.sign.outsourced")}</span>}
      {!isKnown && (
        <span className="badge warn" title={t("planner.sign.unknownWhy")}>
          {t("planner.sign.unknown")}
        </span>
      )}
      {!predicted && isKnown && <span className="badge">{t("planner.sign.added")}</span>}
      {predicted && <Rests predicted={predicted} />}
    </span>
  );
}

function Rests({ predicted }: { predicted: PredictedOperation }) {
  const { t } = useTranslation();
  if (predicted.samples === 0)
    return (
      <span className="badge warn" title={t("planner.sign.noneWhy")}>
        {t("planner.sign.none")}
      </span>
    );
  if (predicted.samples < FEW_SAMPLES)
    return (
      <span className="badge warn" title={t("planner.sign.samples", { count: predicted.samples })}>
        {t("planner.sign.few")}
      </span>
    );
  return predicted.confidence >= CONFIDENT ? (
    <span className="badge good" title={t("planner.sign.samples", { count: predicted.samples })}>
      {t("planner.sign.confident")}
    </span>
  ) : null;
}
