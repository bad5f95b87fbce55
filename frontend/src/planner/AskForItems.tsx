import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { ask, type ItemQuery, type Listing } from "../api/client";
import { MOST_ITEMS, pasted } from "./pasting";

interface FoundItem {
  item_code: string;
  [attribute: string]: unknown;
}

interface AttributeView {
  name: string;
  kind: string;
  unit: string | null;
}

interface Props {
  quantity: number;
  onAsk: (queries: ItemQuery[], quantity: number) => void;
}

/** Find items by code or text, or paste up to 50 codes or rows of attributes, and ask for their routings. */
export function AskForItems({ onAsk, quantity }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [pieces, setPieces] = useState(String(quantity));
  const [search, setSearch] = useState("");
  const attributes = useQuery({
    queryKey: ["attributes"],
    queryFn: ({ signal }) => ask<{ items: AttributeView[] }>("GET", "attributes", undefined, signal),
    staleTime: 300_000,
  });
  const numeric = useMemo(
    () => new Set(attributes.data?.items.filter((each) => each.kind === "numeric").map((each) => each.name)),
    [attributes.data],
  );
  const found = pasted(text, numeric);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (found.items.length) onAsk(found.items, Number(pieces));
  };
  const add = (code: string) => setText((before) => (before.trim() ? `${before.trimEnd()}\n${code}` : code));
  return (
    <form onSubmit={submit} className="stack">
      <label>
        {t("planner.find")}
        <input type="search" value={search} onChange={(event) => setSearch(event.target.value)} maxLength={200} />
      </label>
      <FoundItems search={search} onAdd={add} />
      <label>
        {t("planner.paste", { count: MOST_ITEMS })}
        <textarea
          rows={5}
          value={text}
          onChange={(event) => setText(event.target.value)}
          spellCheck={false}
          placeholder={t("planner.pasteHint")}
        />
      </label>
      {(found.dropped > 0 || found.repeated > 0) && (
        <small role="status">
          {found.repeated > 0 && t("planner.repeated", { count: found.repeated })}{" "}
          {found.dropped > 0 && t("planner.dropped", { count: found.dropped })}
        </small>
      )}
      <div className="row">
        <label className="inline">
          {t("planner.quantity")}
          <input
            type="number"
            min="0.001"
            max="1000000"
            step="any"
            required
            value={pieces}
            onChange={(event) => setPieces(event.target.value)}
          />
        </label>
        <button type="submit" className="main" disabled={!found.items.length}>
          {t("planner.predict", { count: found.items.length })}
        </button>
      </div>
    </form>
  );
}

function FoundItems({ search, onAdd }: { search: string; onAdd: (code: string) => void }) {
  const { t } = useTranslation();
  const query = useDeferredValue(search.trim());
  const found = useQuery({
    queryKey: ["items", query],
    queryFn: ({ signal }) =>
      ask<Listing<FoundItem>>("GET", `items?limit=20&query=${encodeURIComponent(query)}`, undefined, signal),
    enabled: query.length > 1,
    placeholderData: (before) => before,
  });
  if (query.length < 2 || !found.data) return null;
  return (
    <ul className="found" aria-label={t("planner.found")}>
      {found.data.items.map((item) => (
        <li key={item.item_code}>
          <button type="button" className="quiet" onClick={() => onAdd(item.item_code)}>
            + {item.item_code} <small>{description(item)}</small>
          </button>
        </li>
      ))}
      {found.data.items.length === 0 && <li>{t("planner.nothingFound")}</li>}
    </ul>
  );
}

function description(item: FoundItem): string {
  return Object.values(item)
    .filter((value) => typeof value === "string" && value !== item.item_code)
    .slice(0, 3)
    .join(" · ");
}
