import { useTranslation } from "react-i18next";
import { useLostSince } from "./connection";

/** Says that the service cannot be reached, for as long as that is so. */
export function Connection() {
  const { t, i18n } = useTranslation();
  const since = useLostSince();
  const time = since?.toLocaleTimeString(i18n.language, { hour: "2-digit", minute: "2-digit" });
  return (
    <div role="status" className="banner" hidden={since === null}>
      {since && (
        <>
          <strong>{t("app.unreachable")}</strong> {t("app.unreachableSince", { time })}
        </>
      )}
    </div>
  );
}
