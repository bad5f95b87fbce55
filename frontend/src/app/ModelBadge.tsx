import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ask } from "../api/client";

interface Health {
  status: string;
  model: { active_version: string | null; serving_version: string | null; data_as_of: string | null; ready: boolean };
}

/** Which version answers, and how old its data is; asks again so that a restart of the host is seen. */
export function ModelBadge() {
  const { t, i18n } = useTranslation();
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => ask<Health>("GET", "health", undefined, signal),
    refetchInterval: 10_000,
  });
  if (health.isError && !health.data) return <span className="badge bad">{t("app.unreachable")}</span>;
  const model = health.data?.model;
  if (!model) return <span className="badge">…</span>;
  if (!model.ready) return <span className="badge bad">{t("app.noModel")}</span>;
  const date = model.data_as_of ? new Date(model.data_as_of).toLocaleDateString(i18n.language) : "–";
  return (
    <span className={health.isError ? "badge bad" : "badge good"} title={t("app.dataAsOf", { date })}>
      {model.serving_version} · {date}
    </span>
  );
}
