import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ask, Problem } from "../api/client";

const ASK_AGAIN_MS = 10_000;

interface Health {
  status: string;
  data_as_of: string | null;
  parts: { model?: { status: string; serving_version: string | null } };
}

/** Which version answers, and how old its data is; asked again, so that another version is seen. */
export function ModelBadge() {
  const { t, i18n } = useTranslation();
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => askHealth(signal),
    refetchInterval: ASK_AGAIN_MS,
  });
  if (health.isError) return <span className="badge bad">{t("app.noHealth")}</span>;
  if (!health.data) return <span className="badge">…</span>;
  const version = health.data.parts.model?.serving_version;
  if (!version) return <span className="badge bad">{t("app.noModel")}</span>;
  const date = health.data.data_as_of ? new Date(health.data.data_as_of).toLocaleDateString(i18n.language) : "–";
  return (
    <span className="badge good" title={t("app.dataAsOf", { date })}>
      {version} · {date}
    </span>
  );
}

/** Health is told whole where a part is down, too, with 503. */
async function askHealth(signal: AbortSignal): Promise<Health> {
  try {
    return await ask<Health>("GET", "health", undefined, signal);
  } catch (error) {
    if (error instanceof Problem && error.status === 503 && isHealth(error.document)) return error.document;
    throw error;
  }
}

function isHealth(document: unknown): document is Health {
  return typeof document === "object" && document !== null && "parts" in document;
}
