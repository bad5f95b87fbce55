import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/client";
import { App } from "./app/App";
import "./i18n";
import "./styles.css";

// A host that is being restarted is asked again; what the service refused is not.
const isWorthAnotherTry = (failures: number, error: Error) =>
  error instanceof Problem && (error.status === 0 || error.status === 503) && failures < 5;

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: isWorthAnotherTry, retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5000), staleTime: 5000 },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
