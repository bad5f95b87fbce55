import { useTranslation } from "react-i18next";
import type { Alert } from "../types";

/** What kind of alert it is, in words where the catalogue has them. */
export function KindOf({ alert }: { alert: Alert }) {
  const { t, i18n } = useTranslation();
  const key = `operations.alertKind.${alert.kind}`;
  return <>{i18n.exists(key) ? t(key) : alert.kind}</>;
}
