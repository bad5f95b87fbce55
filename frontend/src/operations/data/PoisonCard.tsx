import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useMay, useNewest } from "../api";
import { ChangeDialog } from "../parts/Dialog";
import { Ago, Card, Moment } from "../parts/parts";
import type { Poison } from "../types";

/** Messages that nobody could handle, why, and putting their work back. */
export function PoisonCard() {
  const { t } = useTranslation();
  const may = useMay();
  const [asked, setAsked] = useState<Poison>();
  const poison = useNewest<Poison & { state?: string }>("poison", 20);
  return (
    <Card title={t("operations.poison")} of={[poison]} id="poison">
      {poison.data?.total === 0 && <p>{t("operations.noPoison")}</p>}
      <ul className="lines">
        {(poison.data?.items ?? []).map((each) => (
          <li key={each.id} className="flat">
            <span className={`badge ${each.replayed_at ? "" : "bad"}`}>{each.queue}</span>
            <span className="grow">
              {each.reason}
              <small className="block code">{each.body}</small>
              {each.replayed_at && (
                <small className="block">
                  {t("operations.replayedBy", { who: each.replayed_by })} <Moment at={each.replayed_at} />
                </small>
              )}
            </span>
            <small>
              <Ago at={each.buried_at} />
            </small>
            {may.operate && !each.replayed_at && (
              <button type="button" onClick={() => setAsked(each)}>
                {t("operations.replay")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {asked && (
        <ChangeDialog
          title={t("operations.replay")}
          action={t("operations.replay")}
          change={() => ({ method: "POST", path: `poison/${encodeURIComponent(asked.id)}/replay` })}
          onClose={() => setAsked(undefined)}
        >
          <p>{t("operations.replaySays")}</p>
          <p className="code">{asked.body}</p>
        </ChangeDialog>
      )}
    </Card>
  );
}
