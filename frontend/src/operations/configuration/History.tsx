import { useTranslation } from "react-i18next";
import { useNewest } from "../api";
import { Card, Moment } from "../parts/parts";
import { type Json, written } from "./fields";

interface ConfigurationVersion {
  version: number;
  actor: string;
  created_at: string;
  changes: Record<string, { before?: Json; after?: Json }>;
  state?: string;
}

const SHOWN = 30;

/** Who changed what of the configuration, newest first. */
export function History() {
  const { t } = useTranslation();
  const history = useNewest<ConfigurationVersion>("config/history", SHOWN);
  return (
    <Card title={t("operations.configHistory")} of={[history]}>
      {history.data?.total === 0 && <p>{t("operations.asShipped")}</p>}
      <ul className="plain history">
        {(history.data?.items ?? []).map((each) => (
          <li key={each.version}>
            <strong>{each.version}</strong> {each.actor} <Moment at={each.created_at} />
            {Object.entries(each.changes).map(([path, { before, after }]) => (
              <small key={path} className="block code">
                {path}: {written(before) || "–"} → {written(after) || "–"}
              </small>
            ))}
          </li>
        ))}
      </ul>
    </Card>
  );
}
