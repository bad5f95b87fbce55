import { type FormEvent, type KeyboardEvent, useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAttributes } from "../knowledge";
import { minutesShown } from "../numbers";
import { MOST_ITEMS, pasted, type Wanted } from "../pasting";
import { newCodes } from "./newCode";
import type { WayProps } from "./way";

/** Paste up to 50 codes, or rows of attributes under a heading as Excel copies them; what is understood is shown before it is asked. */
export function PasteItems({ listed, onAdd }: WayProps) {
  const { t } = useTranslation();
  const attributes = useAttributes();
  const [text, setText] = useState("");
  const given = useDeferredValue(text);
  const found = useMemo(() => pasted(given, attributes, newCodes(listed)), [given, attributes, listed]);
  const isNew = (each: Wanted) => !listed.has(each.query.item_code);
  const wanted = found.wanted.filter(isNew);
  const send = () => {
    if (!found.wanted.length) return;
    onAdd(found.wanted);
    setText("");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  };
  return (
    <form onSubmit={submit} className="stack">
      <label>
        {t("planner.paste", { count: MOST_ITEMS })}
        <textarea
          rows={9}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={keys}
          spellCheck={false}
          placeholder={t("planner.pasteHint")}
        />
      </label>
      <div className="row">
        <button type="submit" className="main" disabled={!found.wanted.length}>
          {t("planner.predict", { count: wanted.length })}
        </button>
        <small role="status" className="grow">
          {[
            found.repeated > 0 && t("planner.repeated", { count: found.repeated }),
            found.dropped > 0 && t("planner.dropped", { count: found.dropped, most: MOST_ITEMS }),
            wanted.length < found.wanted.length &&
              t("planner.alreadyListed", { count: found.wanted.length - wanted.length }),
            found.isFirstColumnOnly && t("planner.firstColumnOnly"),
            found.ignoredHeadings.length > 0 &&
              t("planner.ignoredHeadings", { headings: found.ignoredHeadings.join(", ") }),
          ]
            .filter(Boolean)
            .join(" ")}
        </small>
      </div>
      <Understood wanted={found.wanted} />
    </form>
  );
}

/** What was understood, where attributes were pasted: an item a row. */
function Understood({ wanted }: { wanted: Wanted[] }) {
  const { t } = useTranslation();
  const names = [...new Set(wanted.flatMap((each) => Object.keys(each.query.attributes ?? {})))];
  if (!names.length) return null;
  return (
    <div className="scroll understood">
      <table>
        <caption>{t("planner.understood")}</caption>
        <thead>
          <tr>
            <th>{t("planner.item")}</th>
            <th className="number">{t("planner.quantity")}</th>
            {names.map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {wanted.map(({ query, quantity }) => (
            <tr key={query.item_code}>
              <td className="code">{query.item_code}</td>
              <td className="number">{quantity ?? ""}</td>
              {names.map((name) => (
                <td key={name}>{shown(query.attributes?.[name])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shown(value: unknown): string {
  if (typeof value === "number") return minutesShown(value);
  if (typeof value === "object" && value !== null && "unit" in value && "value" in value)
    return `${value.value} ${value.unit}`;
  return String(value ?? "");
}
