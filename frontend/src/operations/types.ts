/** The rows that the operator's pages show, as the service lists them. */

export type WorkState = "queued" | "running" | "succeeded" | "failed" | "cancelled" | "skipped";

export interface Work {
  id: string;
  state: WorkState;
  reason: string;
  attempt: number;
  progress: number;
  step: string;
  error: string | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  cancel_requested: boolean;
}

/** A figure with what it stands on; `low` and `high` are the ends of its interval, where one can be given. */
export interface Measured {
  value: number | null;
  low: number | null;
  high: number | null;
  n: number;
}

export type Figures = Record<string, Measured | undefined>;

export interface Finding {
  issue: string;
  metric: string;
  family: string;
  message: string;
  evident: boolean;
}

/** What became of the job that a cycle's alarm asked for. */
export interface Retraining {
  asked?: boolean;
  job_id?: string | null;
  refused?: string;
  alert_ids?: string[];
}

export interface Cycle extends Work {
  strategy: string;
  seed: number;
  sample_size: number;
  strata: string[] | null;
  model_version: string | null;
  snapshot_id: string | null;
  evaluated: number;
  failed: number;
  metrics: {
    quality?: {
      alerts?: Finding[];
      duration_seconds?: number;
      metadata?: { mode?: string; message?: string | null; retraining?: Retraining | null };
    };
    overall?: Figures;
    by_family?: Record<string, Figures>;
    watch?: { reason?: string } | null;
  } | null;
}

export interface ComparisonCheck {
  name: string;
  passed: boolean;
  says: string;
}

export interface JobResult {
  decision?: string;
  reason?: string;
  recipe?: string;
  packaged?: string | null;
  comparison?: { items?: number; orders?: number; checks?: ComparisonCheck[] } | null;
}

export interface Job extends Work {
  kind: string;
  label: string | null;
  priority: number;
  dry_run: boolean;
  actor: string;
  cycle_id: string | null;
  snapshot_id: string | null;
  model_version: string | null;
  eta: string | null;
  result: JobResult | null;
}

export interface LogLine {
  at: string;
  level: string;
  message: string;
}

export type VersionState = "pending" | "active" | "retired" | "rejected" | "removed";

export interface Version {
  version: string;
  state: VersionState;
  model_kind: string;
  profile: string;
  parent: string | null;
  job_id: string | null;
  data_as_of: string | null;
  registered_at: string;
  activated_at: string | null;
  pinned: boolean;
  metrics: Record<string, unknown> | null;
}

export interface VersionEvent {
  at: string;
  actor: string;
  reason: string;
  from_state: string | null;
  to_state: string;
}

export interface VersionWithEvents extends Version {
  events: VersionEvent[];
}

export interface Alert {
  id: string;
  kind: string;
  subject: string;
  severity: string;
  state: "open" | "acknowledged" | "closed";
  message: string;
  details: Record<string, unknown> | null;
  count: number;
  created_at: string;
  updated_at: string;
  acknowledged_by: string | null;
  acknowledged_at: string | null;
  closed_by: string | null;
  closed_at: string | null;
  closed_note: string | null;
  deliveries?: {
    id: string | number;
    event: string;
    attempts: number;
    error: string | null;
    delivered_at: string | null;
    given_up: boolean;
  }[];
}

export interface HealthPart {
  status: "up" | "degraded" | "down";
  detail?: string;
  remedy?: string;
  [fact: string]: unknown;
}

export interface Health {
  status: "up" | "degraded" | "down";
  parts: Record<string, HealthPart>;
  active_version: string | null;
  data_as_of: string | null;
  data_age_seconds: number | null;
  queues: Record<string, number | null>;
  open_alerts: number | null;
  unsigned_packages_allowed: boolean;
  prediction_log: { waiting: number; dropped: number };
  profile: string;
}

export interface Snapshot {
  id: string;
  profile: string;
  fingerprint: string;
  data_as_of: string;
  created_at: string;
  rows: Record<string, number>;
}

export interface Extract extends Work {
  profile: string;
  snapshot_id: string | null;
  full_reading: boolean;
  rows: Record<string, number> | null;
}

export interface Registration extends Omit<Work, "state"> {
  state: "received" | "waiting" | "verifying" | "installed" | "rejected";
  version: string;
  is_zip: boolean;
  deadline: string;
}

export interface Poison {
  id: string;
  queue: string;
  body: string;
  reason: string;
  buried_at: string;
  replayed_at: string | null;
  replayed_by: string | null;
}

export interface KeyRow {
  id: string;
  user: string;
  role: string;
  label: string;
  state: string;
  created_at: string;
  created_by: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_by: string | null;
}

export interface MadeKey extends KeyRow {
  key: string;
}
