import { Component, type ErrorInfo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

interface State {
  error: Error | null;
}

/** Keeps a defect of a page from taking the frame along, and says what it was. */
export class Boundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override render(): ReactNode {
    return this.state.error ? <Broken error={this.state.error} /> : this.props.children;
  }
}

function Broken({ error }: { error: Error }) {
  const { t } = useTranslation();
  return (
    <div role="alert" className="complaint">
      <strong>{t("app.broken")}</strong>
      <p className="code">{error.message}</p>
      <button type="button" onClick={() => window.location.reload()}>
        {t("app.reload")}
      </button>
    </div>
  );
}
