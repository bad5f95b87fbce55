import { useId } from "react";
import { useTranslation } from "react-i18next";
import { type Field, type Json, rangeOf, same, says, typed, written } from "./fields";

interface FieldRowProps {
  field: Field;
  inForce: Json | undefined;
  shipped: Json | undefined;
  /** What was typed and not saved yet; undefined: nothing. */
  draft: string | undefined;
  /** Why the service did not take it. */
  refusal: string | undefined;
  onWrite: (text: string | undefined) => void;
}

/** One setting: its value, what it may be, what it was shipped as, and what is wrong with what was typed. */
export function FieldRow({ field, inForce, shipped, draft, refusal, onWrite }: FieldRowProps) {
  const { t } = useTranslation();
  const id = useId();
  const text = draft ?? written(inForce);
  const now = typed(text, field.schema);
  const fault = "fault" in now ? t(now.fault.key, now.fault.values) : refusal;
  const isChanged = draft !== undefined && ("fault" in now || !same(now.value, inForce));
  const range = rangeOf(field.schema.items ?? field.schema);
  const [, ...names] = field.path.split(".");
  return (
    <div className={isChanged ? "field changed" : "field"}>
      <label htmlFor={id} className="code">
        {names.join(".")}
      </label>
      <span>
        <Input
          id={id}
          field={field}
          text={text}
          isWrong={fault !== undefined}
          onWrite={(next) => onWrite(next === written(inForce) ? undefined : next)}
        />{" "}
        {field.schema.unit && <small>{field.schema.unit}</small>}
        {isChanged && (
          <>
            {" "}
            <span className="badge warn">{t("operations.changed", { before: written(inForce) || "–" })}</span>{" "}
            <button type="button" className="quiet" onClick={() => onWrite(undefined)}>
              {t("operations.undo")}
            </button>
          </>
        )}
        {fault !== undefined && (
          <span id={`${id}-fault`} className="fault" role="alert">
            {fault}
          </span>
        )}
      </span>
      <small id={`${id}-says`} className="says">
        {t(...says(field.path, field.schema.description))} {range && <span className="code">[{range}]</span>}{" "}
        {!same(inForce, shipped) && <>{t("operations.shipped", { value: written(shipped) || "–" })}</>}
      </small>
    </div>
  );
}

interface InputProps {
  id: string;
  field: Field;
  text: string;
  isWrong: boolean;
  onWrite: (text: string) => void;
}

function Input({ id, field, text, isWrong, onWrite }: InputProps) {
  const { t } = useTranslation();
  const { schema } = field;
  const common = {
    id,
    "aria-invalid": isWrong,
    "aria-describedby": isWrong ? `${id}-fault ${id}-says` : `${id}-says`,
  };
  if (schema.type === "array" && schema.items?.enum)
    return <Choices {...common} choices={schema.items.enum} text={text} onWrite={onWrite} />;
  if (schema.enum || schema.type === "boolean")
    return (
      <select {...common} value={text} onChange={(event) => onWrite(event.target.value)}>
        {(schema.enum ?? ["true", "false"]).map((each) => (
          <option key={each} value={each}>
            {schema.enum ? each : t(each === "true" ? "operations.yes" : "operations.no")}
          </option>
        ))}
      </select>
    );
  if (schema.type === "object")
    return (
      <textarea
        {...common}
        rows={Math.min(Math.max(text.split("\n").length + 1, 2), 12)}
        placeholder={t("operations.mappingHint")}
        value={text}
        onChange={(event) => onWrite(event.target.value)}
      />
    );
  return (
    <input
      {...common}
      inputMode={schema.type === "array" || schema.type === "string" ? "text" : "decimal"}
      className={schema.type === "array" ? "list" : "short"}
      value={text}
      onChange={(event) => onWrite(event.target.value)}
    />
  );
}

interface ChoicesProps {
  id: string;
  choices: string[];
  text: string;
  onWrite: (text: string) => void;
  "aria-describedby": string;
}

/** Some of a few words, each a box to tick; the order is that of the choices. */
function Choices({ id, choices, text, onWrite, "aria-describedby": describedBy }: ChoicesProps) {
  const chosen = text.split(",").map((part) => part.trim());
  const toggle = (choice: string) =>
    onWrite(choices.filter((each) => chosen.includes(each) !== (each === choice)).join(", "));
  return (
    <span className="choices" role="group" aria-describedby={describedBy}>
      {choices.map((choice, place) => (
        <label key={choice} className="choice">
          <input
            id={place === 0 ? id : undefined}
            type="checkbox"
            checked={chosen.includes(choice)}
            onChange={() => toggle(choice)}
          />
          {choice}
        </label>
      ))}
    </span>
  );
}
