/** What is asked of the audit, as the address of the question. */

export interface AuditFilter {
  actor: string;
  action: string;
  object: string;
  outcome: string;
  /** As a local date and time are typed, without a zone: the reader's own. */
  since: string;
  until: string;
}

export const EVERYTHING: AuditFilter = { actor: "", action: "", object: "", outcome: "", since: "", until: "" };

export function auditQuestion(filter: AuditFilter, limit: number, offset: number): string {
  const asked = new URLSearchParams({ limit: String(limit), offset: String(offset) });
  for (const name of ["actor", "action", "object", "outcome"] as const)
    if (filter[name].trim()) asked.set(name, filter[name].trim());
  for (const name of ["since", "until"] as const) {
    const at = new Date(filter[name]);
    if (filter[name] && !Number.isNaN(at.getTime())) asked.set(name, at.toISOString());
  }
  return `audit?${asked}`;
}
