import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Link, Redirect, Route, Switch, useRoute } from "wouter";
import { AlertsPage } from "./alerts/AlertsPage";
import { useMay } from "./api";
import { DataPage } from "./data/DataPage";
import { JobsPage } from "./jobs/JobsPage";
import "./operations.css";
import { Overview } from "./overview/Overview";
import { VersionsPage } from "./versions/VersionsPage";

const QualityPage = lazy(() => import("./cycles/QualityPage"));
const ConfigurationPage = lazy(() => import("./configuration/ConfigurationPage"));
const LogPage = lazy(() => import("./log/LogPage"));
const KeysPage = lazy(() => import("./people/KeysPage"));
const AuditPage = lazy(() => import("./people/AuditPage"));

/** The night shift's pages: what serves, what is wrong, what runs, and what can be done about it. */
export default function OperationsPage() {
  const { t } = useTranslation();
  const may = useMay();
  return (
    <div className="operations">
      <nav className="tabs" aria-label={t("operations.tabs")}>
        <Tab to="/operations">{t("operations.tab.overview")}</Tab>
        <Tab to="/operations/alerts">{t("operations.tab.alerts")}</Tab>
        <Tab to="/operations/quality">{t("operations.tab.quality")}</Tab>
        <Tab to="/operations/jobs">{t("operations.tab.jobs")}</Tab>
        <Tab to="/operations/versions">{t("operations.tab.versions")}</Tab>
        <Tab to="/operations/data">{t("operations.tab.data")}</Tab>
        <Tab to="/operations/configuration">{t("operations.tab.configuration")}</Tab>
        <Tab to="/operations/log">{t("operations.tab.log")}</Tab>
        {may.administer && <Tab to="/operations/keys">{t("operations.tab.keys")}</Tab>}
        {may.audit && <Tab to="/operations/audit">{t("operations.tab.audit")}</Tab>}
      </nav>
      <Suspense fallback={<p className="hint">{t("common.loading")} …</p>}>
        <Switch>
          <Route path="/operations" component={Overview} />
          <Route path="/operations/alerts" component={AlertsPage} />
          <Route path="/operations/quality" component={QualityPage} />
          <Route path="/operations/jobs" component={JobsPage} />
          <Route path="/operations/versions" component={VersionsPage} />
          <Route path="/operations/data" component={DataPage} />
          <Route path="/operations/configuration" component={ConfigurationPage} />
          <Route path="/operations/log" component={LogPage} />
          <Route path="/operations/keys" component={KeysPage} />
          <Route path="/operations/audit" component={AuditPage} />
          <Route>
            <Redirect to="/operations" />
          </Route>
        </Switch>
      </Suspense>
    </div>
  );
}

function Tab({ to, children }: { to: string; children: string }) {
  const [isHere] = useRoute(to);
  return (
    <Link href={to} aria-current={isHere ? "page" : undefined}>
      {children}
    </Link>
  );
}
