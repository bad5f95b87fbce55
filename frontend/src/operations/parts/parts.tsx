/** Small pieces that the operator's pages are put together from. */

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "wouter";
import { Complaint } from "../../app/Complaint";
import { useNow } from "./clock";
import { useFormats } from "./format";

const TONES: Record<string, string> = {
  active: "good",
  succeeded: "good",
  installed: "good",
  up: "good",
  live: "good",
  passed: "good",
  running: "busy",
  verifying: "busy",
  queued: "busy",
  waiting: "busy",
  received: "busy",
  pending: "warn",
  open: "warn",
  degraded: "warn",
  warning: "warn",
  failed: "bad",
  rejected: "bad",
  critical: "bad",
  down: "bad",
  expired: "bad",
  refused: "bad",
};

/** A state in words; its colour only repeats the word. */
export function State({ state }: { state: string }) {
  const { t, i18n } = useTranslation();
  const known = `operations.state.${state}`;
  return <span className={`badge ${TONES[state] ?? ""}`}>{i18n.exists(known) ? t(known) : state}</span>;
}

/** When something was: how long ago, and the moment itself on pointing at it. */
export function Ago({ at }: { at: string }) {
  const format = useFormats();
  const now = Math.max(useNow(), Date.now());
  return (
    <time dateTime={at} title={format.moment(at)}>
      {format.ago(at, now)}
    </time>
  );
}

export function Moment({ at }: { at: string | null | undefined }) {
  const format = useFormats();
  if (!at) return <>–</>;
  return (
    <time dateTime={at} title={format.ago(at)}>
      {format.moment(at)}
    </time>
  );
}

interface CardProps {
  title: string;
  of?: UseQueryResult<unknown>[];
  actions?: ReactNode;
  className?: string;
  id?: string;
  children: ReactNode;
}

/** A part of the page that says by itself when what it shows cannot be had; what is known of it stays. */
export function Card({ title, of = [], actions, className = "", id, children }: CardProps) {
  const { t } = useTranslation();
  const isWaiting = of.some((each) => each.isPending && each.fetchStatus !== "idle" && !each.error);
  return (
    <section className={`card stack ${className}`} aria-label={title} id={id}>
      <div className="row">
        <h2>{title}</h2>
        <span className="spring" />
        {actions}
      </div>
      {of.map((each, place) => each.error && <Complaint key={String(place)} error={each.error} />)}
      {isWaiting && <p className="hint">{t("common.loading")} …</p>}
      {children}
    </section>
  );
}

/** Pairs of a name and what it is, in columns. */
export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Progress({ of }: { of: { progress: number; step: string; state: string } }) {
  const { t } = useTranslation();
  if (of.state !== "running" && of.state !== "verifying") return null;
  return (
    <span className="progress">
      <progress value={of.progress} max={100} aria-label={t("operations.progress")} /> {Math.round(of.progress)} %{" "}
      <small>{of.step}</small>
    </span>
  );
}

type Area = "alerts" | "quality" | "jobs" | "versions" | "data";

/** The address of one thing: its list, with it chosen. An id may hold dots, so it is no part of the path. */
export function addressOf(area: Area, id: string): string {
  return `/operations/${area}?id=${encodeURIComponent(id)}`;
}

export function To({ area, id, children }: { area: Area; id: string; children?: ReactNode }) {
  return (
    <Link href={addressOf(area, id)} className={children ? undefined : "code"}>
      {children ?? id}
    </Link>
  );
}

/** The id of the chosen thing by the page's address, or null. */
export function useChosen(): string | null {
  const [params] = useSearchParams();
  return params.get("id");
}

/** What whoever only looks is told in place of buttons. */
export function WhyNot() {
  const { t } = useTranslation();
  return <p className="hint">{t("operations.whyNot")}</p>;
}
