import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { ask, type ItemQuery, type ItemRecord } from "../../api/client";
import { Complaint } from "../../app/Complaint";
import { type AttributeView, useAttributes } from "../knowledge";
import { valueFrom } from "../pasting";
import { newCodes } from "./newCode";
import type { WayProps } from "./way";

/** Describe an item by its attributes: only what is known, with the model's values to choose from. */
export function NewItem({ listed, onAdd, change, onChange }: WayProps) {
  const { t } = useTranslation();
  const id = useId();
  const begin = change?.query; // an item whose attributes are to be changed
  const attributes = useAttributes();
  const [code, setCode] = useState("");
  const [fields, setFields] = useState<Record<string, string>>(() => fieldsOf(begin?.attributes));
  const [like, setLike] = useState("");
  const madeUp = newCodes(listed)(1);
  const asked = code.trim() || madeUp;
  const isListed = !begin && listed.has(asked);
  const given = attributes.filter((each) => fields[each.name]?.trim());
  const copying = useMutation({
    mutationFn: (item: string) => ask<ItemRecord>("GET", `items/${encodeURIComponent(item)}`),
    onSuccess: (record) => setFields(fieldsOf(record.attributes)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!given.length || isListed) return;
    const values = given.map((each) => [each.name, valueFrom(fields[each.name]?.trim() ?? "", each)] as const);
    const query = { item_code: begin?.item_code ?? asked, attributes: Object.fromEntries(values) };
    if (begin) return onChange(query);
    onAdd([{ query }]);
    setCode("");
    setFields({});
  };
  return (
    <form onSubmit={submit} className="stack">
      <div className="row">
        <label className="inline">
          {t("planner.newItemCode")}
          <input
            className="code wide-input"
            value={begin ? begin.item_code : code}
            readOnly={Boolean(begin)}
            maxLength={200}
            placeholder={madeUp}
            aria-invalid={isListed}
            onChange={(event) => setCode(event.target.value)}
          />
        </label>
        <label className="inline">
          {t("planner.like")}
          <input
            className="code wide-input"
            value={like}
            maxLength={200}
            onChange={(event) => setLike(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              if (like.trim()) copying.mutate(like.trim());
            }}
          />
        </label>
        <button type="button" disabled={!like.trim() || copying.isPending} onClick={() => copying.mutate(like.trim())}>
          {t("planner.copyAttributes")}
        </button>
        <span className="spring" />
        <button type="button" disabled={!given.length} onClick={() => setFields({})}>
          {t("planner.emptyFields")}
        </button>
        <button type="submit" className="main" disabled={!given.length || isListed}>
          {begin ? t("planner.askAgain") : t("planner.predict", { count: 1 })}
        </button>
      </div>
      {isListed && <p className="complaint">{t("planner.codeIsListed", { code: asked })}</p>}
      {copying.error && <Complaint error={copying.error} />}
      <p className="hint">{t("planner.newItemWhy")}</p>
      <div className="attribute-fields">
        {attributes.map((each) => (
          <Field
            key={each.name}
            id={`${id}-${each.name}`}
            attribute={each}
            value={fields[each.name] ?? ""}
            onChange={(value) => setFields((before) => ({ ...before, [each.name]: value }))}
          />
        ))}
      </div>
    </form>
  );
}

interface FieldProps {
  id: string;
  attribute: AttributeView;
  value: string;
  onChange: (value: string) => void;
}

function Field({ id, attribute, value, onChange }: FieldProps) {
  const { t } = useTranslation();
  const isNumeric = attribute.kind === "numeric";
  const isWrong = isNumeric && value.trim() !== "" && typeof valueFrom(value.trim(), attribute) === "string";
  return (
    <label className={value.trim() ? "filled" : ""}>
      <span>
        {attribute.name}
        {attribute.unit && <small> {attribute.unit}</small>}
      </span>
      <input
        value={value}
        list={attribute.values?.length ? id : undefined}
        inputMode={isNumeric ? "decimal" : "text"}
        aria-invalid={isWrong}
        title={isWrong ? t("planner.wrongNumber") : undefined}
        placeholder={rangeOf(attribute)}
        maxLength={2000}
        onChange={(event) => onChange(event.target.value)}
      />
      {attribute.values?.length ? (
        <datalist id={id}>
          {attribute.values.map(({ value }) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      ) : null}
    </label>
  );
}

function rangeOf({ low, high }: AttributeView): string {
  return low == null || high == null ? "" : `${low} – ${high}`;
}

function fieldsOf(attributes: ItemQuery["attributes"] | ItemRecord["attributes"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes ?? {})
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [
        name,
        typeof value === "object" && value && "unit" in value && "value" in value
          ? `${value.value} ${value.unit}`
          : String(value),
      ]),
  );
}
