import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ask } from "../api/client";

interface Health {
  status: string;
  data_as_of: string | null;
  parts: { model?: { status: string; serving_version: string | null } };
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
  if (!health.data) return <span className="badge">…</span>;
  const version = health.data.parts.model?.serving_version;
  if (!version) return <span className="badge bad">{t("app.noModel")}</span>;
  const date = health.data.data_as_of ? new Date(health.data.data_as_of).toLocaleDateString(i18n.language) : "–";
  return (
    <span className={health.isError ? "badge bad" : "badge good"} title={t("app.dataAsOf", { date })}>
      {version} · {date}
    </span>
  );
}
