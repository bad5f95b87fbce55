/** Routings as files: what is on the screen is written by the service, and such a file is read back by it. */

import { askForFile, askWithFile } from "../api/client";
import { asRouting } from "./draft";
import { historyOf, type OpenedRouting, type WorkItem } from "./work";

export const FORMS = ["xlsx", "csv", "json", "xml", "erp.xlsx", "erp.csv"] as const;
export type Form = (typeof FORMS)[number];

/** Return the routings of items as they are on the screen, edits included; items without any are left out. */
export function routingsOf(items: readonly WorkItem[]) {
  return items.flatMap((item) => {
    const operations = historyOf(item)?.present;
    return operations?.operations.length
      ? [{ item_code: item.query.item_code, quantity: item.quantity, operations: asRouting(operations) }]
      : [];
  });
}

/** Have the routings written as a file and hand it to the browser to save. */
export async function download(items: readonly WorkItem[], form: Form): Promise<void> {
  const body = { items: routingsOf(items), model_version: versionOf(items) };
  const file = await askForFile(`routings/exports/${form}`, body);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file.content);
  link.download = file.name || `routings.${form}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once it is saved
}

/** Return the one version that all of the routings began from, or null. */
function versionOf(items: readonly WorkItem[]): string | null {
  const [version, ...others] = new Set(items.map((item) => item.modelVersion ?? null));
  return others.length ? null : (version ?? null);
}

/** Read a file of routings. */
export async function opened(file: File): Promise<OpenedRouting[]> {
  const answer = await askWithFile<{ items: OpenedRouting[] }>("routings/imports", file);
  return answer.items;
}
