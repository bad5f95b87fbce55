import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/client";
import { App } from "./app/App";
import { followConnection } from "./app/connection";
import { isSignedOut } from "./app/session";
import "./i18n";
import "./styles.css";

const RELOAD_AFTER_MS = 10_000; // a page that was just loaded would do so again and again

// A host that is being restarted is asked again; what the service refused is not.
const isWorthAnotherTry = (failures: number, error: Error) =>
  error instanceof Problem && (error.status === 0 || error.status === 503) && failures < 5;

// A refusal for want of a key tells that the session ended: who is signed in is looked at again.
const onError = (error: Error) => {
  if (isSignedOut(error)) void client.invalidateQueries({ queryKey: ["session"] });
};

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: { retry: isWorthAnotherTry, retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5000), staleTime: 5000 },
    mutations: { networkMode: "always" }, // a change is refused while the service is away, never made later by itself
  },
});
followConnection(client);
// A page that was open while the pages were replaced asks for a part that is gone: it loads the new pages.
window.addEventListener("vite:preloadError", () => {
  if (performance.now() > RELOAD_AFTER_MS) window.location.reload();
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
