import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type MouseEvent,
  useCallback,
  useDeferredValue,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import { ask, type Listing } from "../../api/client";
import { Complaint } from "../../app/Complaint";
import { type AttributeView, useAttributes } from "../knowledge";
import { type FoundItem, FoundRow } from "./FoundRow";
import { inSelection, NOTHING_SELECTED, selectedBy } from "./selection";
import type { WayProps } from "./way";

const PAGE = 200;
const ROW_PIXELS = 28;
const COLUMNS = 7;
const MOST_ALIKE = 3; // values of a column that tells items hardly apart
const NO_ITEMS: FoundItem[] = [];

/** Find items by code or text; further pages are loaded as the table is scrolled, and only the rows in sight are drawn. */
export function FindItems({ listed, onAdd }: WayProps) {
  const { t, i18n } = useTranslation();
  const id = useId();
  const [search, setSearch] = useState("");
  const [selection, setSelection] = useState(NOTHING_SELECTED);
  const query = useDeferredValue(search.trim());
  const found = useFound(query);
  const items = useMemo(() => found.data?.pages.flatMap((page) => page.items) ?? [], [found.data]);
  const total = found.data?.pages[0]?.total ?? 0;
  const columns = useColumns(found.data?.pages[0]?.items ?? NO_ITEMS);
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PIXELS,
    overscan: 12,
  });
  const lastDrawn = rows.getVirtualItems().at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = found;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastDrawn >= items.length - PAGE / 2) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, lastDrawn, items.length]);

  const begin = (text: string) => {
    setSearch(text);
    setSelection(NOTHING_SELECTED);
    frame.current?.scrollTo({ top: 0 });
  };
  const chosen = items.filter((_, at) => inSelection(selection, at));
  const add = (which: FoundItem[], isStaying = which.length > 1) => {
    if (!which.length) return;
    onAdd(
      which.map(({ item_code }) => ({ query: { item_code } })),
      isStaying,
    );
    setSelection({ ...NOTHING_SELECTED, focus: selection.focus, anchor: selection.focus });
  };
  const goTo = (at: number, isRange: boolean) => {
    const place = Math.max(0, Math.min(items.length - 1, at));
    setSelection((before) => selectedBy(before, place, isRange ? "range" : "only"));
    rows.scrollToIndex(place);
  };
  const intoTable = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" || !items.length) return;
    event.preventDefault();
    frame.current?.focus();
    goTo(selection.focus, false);
  };
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -items.length, End: items.length };
    const away = step[event.key as keyof typeof step];
    if (away !== undefined && !event.altKey) goTo(selection.focus + away, event.shiftKey);
    else if (event.key === "Enter") add(chosen);
    else if (event.key === " ") setSelection((before) => selectedBy(before, before.focus, "toggle"));
    else if (event.key === "a" && event.ctrlKey)
      setSelection(selectedBy({ ...selection, anchor: 0 }, items.length - 1, "range"));
    else return;
    event.preventDefault();
  };
  const click = useCallback((event: MouseEvent, at: number) => {
    const how = event.shiftKey ? "range" : event.ctrlKey || event.metaKey ? "toggle" : "only";
    setSelection((before) => selectedBy(before, at, how));
  }, []);
  const latestAdd = useRef(add); // so that rows that were drawn once add to the list as it is now
  latestAdd.current = add;
  const addOne = useCallback((item: FoundItem, isStaying?: boolean) => latestAdd.current([item], isStaying), []);
  const numbers = useMemo(() => new Intl.NumberFormat(i18n.language), [i18n.language]);
  return (
    <div className="stack find">
      <div className="row">
        <label className="inline grow">
          {t("planner.find")}
          <input
            type="search"
            value={search}
            maxLength={200}
            onChange={(event) => begin(event.target.value)}
            onKeyDown={intoTable}
          />
        </label>
        <span role="status" className="hint">
          {found.data && t("planner.foundCount", { count: total, shown: total.toLocaleString(i18n.language) })}
        </span>
        <button type="button" className="main" disabled={!chosen.length} onClick={() => add(chosen)}>
          {t("planner.addSelected", { count: chosen.length })}
        </button>
      </div>
      {found.error && <Complaint error={found.error} />}
      <div
        ref={frame}
        className="grid"
        role="grid"
        tabIndex={0}
        aria-label={t("planner.found")}
        aria-rowcount={total + 1}
        aria-multiselectable
        aria-activedescendant={items[selection.focus] ? `${id}-${selection.focus}` : undefined}
        onKeyDown={keys}
        style={{ "--columns": columns.map(widthOf).join(" ") } as React.CSSProperties}
      >
        <div role="row" aria-rowindex={1} className="gridrow heading">
          <span role="columnheader">{t("planner.item")}</span>
          {columns.map((column) => (
            <span
              key={column.name}
              role="columnheader"
              title={column.name}
              className={column.kind === "numeric" ? "number" : ""}
            >
              {column.name}
              {column.unit ? ` (${column.unit})` : ""}
            </span>
          ))}
          <span role="columnheader" aria-label={t("planner.inList")} />
        </div>
        <div className="rowspace" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index];
            if (!item) return null;
            return (
              <FoundRow
                key={item.item_code}
                id={`${id}-${row.index}`}
                item={item}
                at={row.index}
                top={row.start}
                height={ROW_PIXELS}
                columns={columns}
                isHere={row.index === selection.focus}
                isSelected={inSelection(selection, row.index)}
                isListed={listed.has(item.item_code)}
                numbers={numbers}
                onClick={click}
                onAdd={addOne}
              />
            );
          })}
        </div>
        {found.data && total === 0 && <p className="hint">{t("planner.nothingFound")}</p>}
      </div>
      <small>{t("planner.findHint")}</small>
    </div>
  );
}

function useFound(query: string) {
  return useInfiniteQuery({
    queryKey: ["items", query],
    queryFn: ({ signal, pageParam }) =>
      ask<Listing<FoundItem>>(
        "GET",
        `items?limit=${PAGE}&offset=${pageParam}&query=${encodeURIComponent(query)}`,
        undefined,
        signal,
      ),
    initialPageParam: 0,
    getNextPageParam: (page) => (page.offset + page.limit < page.total ? page.offset + page.limit : undefined),
    placeholderData: keepPreviousData,
  });
}

/** The columns that say most of the first items: those that name the family, then those filled most often, in the profile's order. */
function useColumns(sample: FoundItem[]): AttributeView[] {
  const attributes = useAttributes();
  return useMemo(() => {
    const worth = new Map(
      attributes.map((each) => {
        const values = sample.map((item) => item[each.name]).filter((value) => value != null);
        const isTelling = new Set(values).size > MOST_ALIKE;
        const filled = isTelling ? values.length / sample.length : 0;
        return [each, (each.family ? 2 : 0) + filled * (each.kind === "numeric" ? 2 : 1)] as const;
      }),
    );
    const ranked = [...attributes].sort((one, other) => (worth.get(other) ?? 0) - (worth.get(one) ?? 0));
    const best = new Set(ranked.slice(0, COLUMNS));
    return attributes.filter((each) => best.has(each));
  }, [attributes, sample]);
}

function widthOf(column: AttributeView): string {
  if (column.kind === "text") return "minmax(8rem, 1.6fr)";
  return column.kind === "numeric" ? "minmax(6.8rem, 1fr)" : "minmax(5rem, 1fr)";
}
