import type { ItemQuery } from "../../api/client";
import type { Wanted } from "../pasting";
import type { WorkItem } from "../work";

/** What each way of putting items on the list is given. */
export interface WayProps {
  listed: ReadonlySet<string>; // codes that are in the list
  onAdd: (wanted: Wanted[], isStaying?: boolean) => void; // staying: more are to be added
  change: WorkItem | null;
  onChange: (query: ItemQuery) => void;
}
