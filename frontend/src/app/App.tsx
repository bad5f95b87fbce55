import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Link, Redirect, Route, Router, Switch, useRoute } from "wouter";
import { LANGUAGES, type Language, speak } from "../i18n";
import { PlannerPage } from "../planner/PlannerPage";
import { Boundary } from "./Boundary";
import { Connection } from "./Connection";
import { ModelBadge } from "./ModelBadge";
import { SignIn } from "./SignIn";

const OperationsPage = lazy(() => import("../operations/OperationsPage"));

export function App() {
  return (
    <Router base="/ui">
      <Header />
      <Connection />
      <main id="content" tabIndex={-1}>
        <Boundary>
          <Suspense fallback={null}>
            <Switch>
              <Route path="/" component={PlannerPage} />
              <Route path="/operations/*?" component={OperationsPage} />
              <Route>
                <Redirect to="/" />
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
    </Router>
  );
}

function Header() {
  const { t, i18n } = useTranslation();
  return (
    <header className="bar">
      <a className="skip" href="#content">
        {t("app.skip")}
      </a>
      <strong className="brand">Routing ML</strong>
      <nav aria-label={t("app.pages")}>
        <Tab to="/">{t("app.planner")}</Tab>
        <Tab to="/operations">{t("app.operations")}</Tab>
      </nav>
      <span className="spring" />
      <ModelBadge />
      <select
        aria-label={t("app.language")}
        value={i18n.language}
        onChange={(event) => speak(event.target.value as Language)}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code}>
            {name}
          </option>
        ))}
      </select>
      <SignIn />
    </header>
  );
}

function Tab({ to, children }: { to: string; children: string }) {
  const [isHere] = useRoute(to === "/" ? to : `${to}/*?`);
  return (
    <Link href={to} aria-current={isHere ? "page" : undefined}>
      {children}
    </Link>
  );
}
