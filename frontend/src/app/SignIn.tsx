import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ask, Problem } from "../api/client";
import { Complaint } from "./Complaint";

interface Session {
  name: string;
  role: string;
}

/** Who is signed in, or null; the cookie itself is out of the pages' reach. */
export function useSession() {
  return useQuery({
    queryKey: ["session"],
    queryFn: async ({ signal }) => {
      try {
        return await ask<Session>("GET", "session", undefined, signal);
      } catch (error) {
        if (error instanceof Problem && (error.status === 401 || error.status === 404)) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
}

export function SignIn() {
  const { t } = useTranslation();
  const session = useSession();
  const client = useQueryClient();
  const dialog = useRef<HTMLDialogElement>(null);
  const [key, setKey] = useState("");
  const enter = useMutation({
    mutationFn: (secret: string) => ask<Session>("POST", "session", { key: secret }),
    onSuccess: (answer) => {
      client.setQueryData(["session"], answer);
      setKey("");
      dialog.current?.close();
    },
  });
  const leave = useMutation({
    mutationFn: () => ask<void>("DELETE", "session"),
    onSuccess: () => client.setQueryData(["session"], null),
  });
  if (session.data) {
    return (
      <span className="who">
        {session.data.name} ({t(`roles.${session.data.role}`)})
        <button type="button" className="quiet" onClick={() => leave.mutate()}>
          {t("app.signOut")}
        </button>
      </span>
    );
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter.mutate(key.trim());
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        {t("app.signIn")}
      </button>
      <dialog ref={dialog} aria-labelledby="sign-in-title">
        <form onSubmit={submit} className="stack">
          <h2 id="sign-in-title">{t("app.signIn")}</h2>
          <p>{t("app.signInWhy")}</p>
          <label>
            {t("app.key")}
            <input
              type="password"
              autoComplete="current-password"
              required
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          </label>
          {enter.error && <Complaint error={enter.error} />}
          <div className="row">
            <button type="submit" className="main" disabled={enter.isPending}>
              {t("app.signIn")}
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              {t("common.cancel")}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
