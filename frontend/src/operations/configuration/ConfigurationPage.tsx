import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../../app/Complaint";
import { useChange, useMay, useWatched } from "../api";
import { Card, WhyNot } from "../parts/parts";
import { FieldRow } from "./FieldRow";
import {
  type Document,
  type Json,
  patchOf,
  refusals,
  type Schema,
  same,
  says,
  sectionsOf,
  typed,
  valueAt,
  wrongFields,
} from "./fields";
import { History } from "./History";

interface Answer {
  version: number;
  configuration: Document;
  defaults: Document;
  schema: Schema;
}

/** The rules that may be changed while the product runs: one form, made from their schema. */
export default function ConfigurationPage() {
  const asked = useWatched<Answer>("config");
  const { t } = useTranslation();
  return (
    <div className="wide-left">
      <Card title={t("operations.configuration")} of={[asked]}>
        {asked.data && <Form answer={asked.data} />}
      </Card>
      <History />
    </div>
  );
}

function Form({ answer }: { answer: Answer }) {
  const { t } = useTranslation();
  const may = useMay();
  const change = useChange();
  const [drafts, setDrafts] = useState<ReadonlyMap<string, string>>(new Map());
  const sections = sectionsOf(answer.schema);
  const fields = sections.flatMap((section) => section.fields);
  const { changed, faulty } = sorted(answer, fields, drafts);
  const refused = refusals(
    wrongFields(change.error),
    fields.map((field) => field.path),
  );
  const write = (path: string, text: string | undefined) => {
    const next = new Map(drafts);
    if (text === undefined) next.delete(path);
    else next.set(path, text);
    setDrafts(next);
  };
  const save = () =>
    change.mutate(
      { method: "PATCH", path: "config", body: patchOf(answer.configuration, changed) },
      { onSuccess: () => setDrafts(new Map()) },
    );
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <div className="row sticky">
        <span>
          {answer.version === 0
            ? t("operations.asShipped")
            : t("operations.configVersion", { version: answer.version })}
        </span>
        <span className="spring" />
        {may.operate ? (
          <>
            <span aria-live="polite">{changed.size > 0 && t("operations.changes", { count: changed.size })}</span>
            <button type="button" disabled={drafts.size === 0} onClick={() => setDrafts(new Map())}>
              {t("operations.discard")}
            </button>
            <button type="submit" className="main" disabled={changed.size === 0 || faulty || change.isPending}>
              {t("operations.save")}
            </button>
          </>
        ) : (
          <WhyNot />
        )}
      </div>
      {change.error && <Complaint error={change.error} />}
      {refused.get("") && <p className="complaint">{refused.get("")}</p>}
      {change.isSuccess && drafts.size === 0 && <p className="note">{t("operations.saved")}</p>}
      {sections.map((section) => (
        <fieldset key={section.name} disabled={!may.operate}>
          <legend>
            <strong className="code">{section.name}</strong>{" "}
            <small>{t(...says(section.name, section.description))}</small>
          </legend>
          <div className="fields">
            {section.fields.map((field) => (
              <FieldRow
                key={field.path}
                field={field}
                inForce={valueAt(answer.configuration, field.path)}
                shipped={valueAt(answer.defaults, field.path)}
                draft={drafts.get(field.path)}
                refusal={refused.get(field.path)}
                onWrite={(text) => write(field.path, text)}
              />
            ))}
          </div>
        </fieldset>
      ))}
    </form>
  );
}

/** What of the drafts is another value than the one in force, and whether one cannot be sent. */
function sorted(answer: Answer, fields: { path: string; schema: Schema }[], drafts: ReadonlyMap<string, string>) {
  const changed = new Map<string, Json>();
  let faulty = false;
  for (const { path, schema } of fields) {
    const draft = drafts.get(path);
    if (draft === undefined) continue;
    const now = typed(draft, schema);
    if ("fault" in now) faulty = true;
    else if (!same(now.value, valueAt(answer.configuration, path))) changed.set(path, now.value);
  }
  return { changed, faulty };
}
