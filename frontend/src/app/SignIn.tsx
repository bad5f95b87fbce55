import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "./Complaint";
import { FormDialog } from "./FormDialog";
import { type Ending, type Session, useEnding, useSession, useSigning } from "./session";

export { useSession } from "./session";

const SOON_MS = 15 * 60_000;
const TICK_MS = 30_000;

/** Who is signed in and until when, or the way to sign in; and why somebody no longer is. */
export function SignIn() {
  const { t } = useTranslation();
  const session = useSession();
  const { enter, leave } = useSigning();
  const { ending, expectEnd } = useEnding();
  const [isAsking, setAsking] = useState(false);
  const place = useRef<HTMLSpanElement>(null);
  const isIn = session.data === undefined ? null : session.data !== null;
  const wasIn = useRef(isIn);
  useEffect(() => {
    const hasButtonGone = wasIn.current !== null && wasIn.current !== isIn && document.activeElement === document.body;
    wasIn.current = isIn;
    if (isIn) setAsking(false);
    if (hasButtonGone) place.current?.focus(); // the keyboard goes on from here
  }, [isIn]);
  return (
    <span ref={place} tabIndex={-1} className="row who">
      {session.data ? (
        <>
          <Who session={session.data} />
          {leave.error && <Complaint error={leave.error} />}
          <button type="button" onClick={() => leave.mutate(undefined, { onSuccess: expectEnd })}>
            {t("app.signOut")}
          </button>
        </>
      ) : (
        <>
          {ending && <Ended ending={ending} />}
          <button type="button" onClick={() => setAsking(true)}>
            {t("app.signIn")}
          </button>
          {isAsking && <KeyDialog enter={enter} onClose={() => setAsking(false)} />}
        </>
      )}
    </span>
  );
}

function Who({ session }: { session: Session }) {
  const { t, i18n } = useTranslation();
  const end = session.expires_at ? new Date(session.expires_at) : null;
  const time = end?.toLocaleString(i18n.language, { dateStyle: "short", timeStyle: "short" });
  const now = useNow();
  const isSoon = end !== null && end.getTime() - now < SOON_MS;
  return (
    <>
      <span title={time && t("app.signedInUntil", { time })}>
        {session.name} ({t(`roles.${session.role}`)})
      </span>
      {isSoon && <span className="badge warn">{t("app.signedInUntil", { time })}</span>}
    </>
  );
}

/** The time in milliseconds, every half minute anew. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function Ended({ ending }: { ending: Ending }) {
  const { t } = useTranslation();
  return (
    <span role="alert" className="badge warn">
      {t(ending === "expired" ? "app.sessionExpired" : "app.sessionEnded")}
    </span>
  );
}

interface KeyDialogProps {
  enter: ReturnType<typeof useSigning>["enter"];
  onClose: () => void;
}

function KeyDialog({ enter, onClose }: KeyDialogProps) {
  const { t } = useTranslation();
  const [key, setKey] = useState("");
  const { reset } = enter;
  useEffect(() => reset, [reset]); // a key that was refused is not complained of when the dialog opens again
  return (
    <FormDialog
      title={t("app.signIn")}
      action={t("app.signIn")}
      error={enter.error}
      isDisabled={enter.isPending || !key.trim()}
      onSubmit={() => enter.mutate(key.trim(), { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>{t("app.signInWhy")}</p>
      <label>
        {t("app.key")}
        <input
          type="password"
          autoComplete="current-password"
          required
          maxLength={500}
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
      </label>
    </FormDialog>
  );
}
