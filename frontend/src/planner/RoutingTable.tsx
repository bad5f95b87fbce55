import {
  closestCenter,
  DndContext,
  type DragEndEvent,
  KeyboardSensor,
  PointerSensor,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import {
  SortableContext,
  sortableKeyboardCoordinates,
  useSortable,
  verticalListSortingStrategy,
} from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import { type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Candidate, PredictedOperation } from "../api/client";
import { type Draft, type DraftOperation, type Edit, MINUTE_FIELDS, type MinuteField, minutesFrom } from "./draft";
import { minutes } from "./numbers";

const CONFIDENT = 0.8;
const FEW_SAMPLES = 3;

interface Props {
  draft: Draft;
  candidate: Candidate;
  onEdit: (edit: Edit) => void;
}

/** The working copy: every field can be typed into, rows are moved by dragging or with Alt and the arrow keys. */
export function RoutingTable({ draft, candidate, onEdit }: Props) {
  const { t } = useTranslation();
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const placeOf = (key: unknown) => draft.operations.findIndex((each) => each.key === key);
  const dropped = ({ active, over }: DragEndEvent) => {
    if (over && active.id !== over.id) onEdit({ kind: "move", from: placeOf(active.id), to: placeOf(over.id) });
  };
  const add = () => onEdit({ kind: "add", at: draft.operations.length, operation: newOperation(t("planner.newCode")) });
  return (
    <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={dropped}>
      <table className="routing">
        <thead>
          <tr>
            <th aria-label={t("planner.move")} />
            <th>{t("planner.column.sequence")}</th>
            <th>{t("planner.column.operation")}</th>
            <th>{t("planner.column.resource")}</th>
            {MINUTE_FIELDS.map((field) => (
              <th key={field} className="number">
                {t(`planner.column.${field}`)}
              </th>
            ))}
            <th>{t("planner.column.signs")}</th>
            <th aria-label={t("planner.remove")} />
          </tr>
        </thead>
        <SortableContext items={draft.operations.map((each) => each.key)} strategy={verticalListSortingStrategy}>
          <tbody>
            {draft.operations.map((operation, at) => (
              <Row
                key={operation.key}
                at={at}
                count={draft.operations.length}
                operation={operation}
                predicted={predictedOf(candidate, operation)}
                onEdit={onEdit}
              />
            ))}
          </tbody>
        </SortableContext>
      </table>
      <button type="button" onClick={add}>
        + {t("planner.add")}
      </button>
    </DndContext>
  );
}

interface RowProps {
  at: number;
  count: number;
  operation: DraftOperation;
  predicted: PredictedOperation | undefined;
  onEdit: (edit: Edit) => void;
}

function Row({ at, count, operation, predicted, onEdit }: RowProps) {
  const { t } = useTranslation();
  const sorting = useSortable({ id: operation.key });
  const keys = (event: KeyboardEvent) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const to = at + (event.key === "ArrowUp" ? -1 : 1);
    event.preventDefault();
    if (to >= 0 && to < count) onEdit({ kind: "move", from: at, to });
  };
  const set = (change: Partial<DraftOperation>) => onEdit({ kind: "set", at, change });
  const style = { transform: CSS.Translate.toString(sorting.transform), transition: sorting.transition ?? "" };
  return (
    <tr ref={sorting.setNodeRef} style={style} onKeyDown={keys}>
      <td>
        <button
          type="button"
          className="quiet handle"
          aria-label={t("planner.moveRow", { row: at + 1 })}
          {...sorting.attributes}
          {...sorting.listeners}
        >
          ⠿
        </button>
      </td>
      <td className="number">{(at + 1) * 10}</td>
      <td>
        <TextCell
          label={t("planner.column.operation")}
          value={operation.operation_code}
          onCommit={(text) => text && set({ operation_code: text, operation_name: null })}
        />
        <small>{operation.operation_name}</small>
      </td>
      <td>
        <TextCell
          label={t("planner.column.resource")}
          value={operation.resource_code ?? ""}
          onCommit={(text) => set({ resource_code: text || null })}
        />
      </td>
      {MINUTE_FIELDS.map((field) => (
        <td key={field} className="number">
          <MinutesCell
            field={field}
            value={operation[field]}
            predicted={predicted}
            onCommit={(value) => set({ [field]: value })}
          />
        </td>
      ))}
      <td>
        <Signs operation={operation} predicted={predicted} />
      </td>
      <td>
        <button
          type="button"
          className="quiet"
          aria-label={t("planner.removeRow", { row: at + 1 })}
          onClick={() => onEdit({ kind: "remove", at })}
        >
          ×
        </button>
      </td>
    </tr>
  );
}

/** A field that commits on Enter or when it is left, and goes back on Escape. */
function TextCell(props: { label: string; value: string; onCommit: (text: string) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const leave = () => {
    if (typed !== null && typed.trim() !== props.value) props.onCommit(typed.trim());
    setTyped(null);
  };
  return (
    <input
      aria-label={props.label}
      value={typed ?? props.value}
      maxLength={100}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={leave}
      onKeyDown={(event) => {
        if (event.key === "Enter") leave();
        if (event.key === "Escape") setTyped(null);
      }}
    />
  );
}

interface MinutesCellProps {
  field: MinuteField;
  value: number;
  predicted: PredictedOperation | undefined;
  onCommit: (value: number) => void;
}

function MinutesCell({ field, value, predicted, onCommit }: MinutesCellProps) {
  const { t, i18n } = useTranslation();
  const [typed, setTyped] = useState<string | null>(null);
  const isWrong = typed !== null && minutesFrom(typed) === null;
  const leave = () => {
    const given = typed === null ? null : minutesFrom(typed);
    if (given !== null && given !== value) onCommit(given);
    setTyped(null);
  };
  const range = field === "setup_minutes" || field === "run_minutes_per_unit" ? predicted?.[field] : undefined;
  return (
    <>
      <input
        inputMode="decimal"
        aria-label={t(`planner.column.${field}`)}
        aria-invalid={isWrong}
        title={isWrong ? t("planner.wrongMinutes") : undefined}
        value={typed ?? String(Number(value.toPrecision(6)))}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={leave}
        onKeyDown={(event) => {
          if (event.key === "Enter") leave();
          if (event.key === "Escape") setTyped(null);
        }}
      />
      {range && (
        <small title={t("planner.rangeWhy")}>
          {minutes(range.low, i18n.language)} – {minutes(range.high, i18n.language)}
          {range.planned !== null && range.planned !== undefined && (
            <> · {t("planner.planned", { minutes: minutes(range.planned, i18n.language) })}</>
          )}
        </small>
      )}
    </>
  );
}

function Signs({ operation, predicted }: { operation: DraftOperation; predicted: PredictedOperation | undefined }) {
  const { t } = useTranslation();
  return (
    <span className="signs">
      {operation.inside === false && <span className="badge">{t("planner.sign.outsourced")}</span>}
      {predicted && predicted.confidence >= CONFIDENT && (
        <span className="badge good">{t("planner.sign.confident")}</span>
      )}
      {predicted && predicted.samples < FEW_SAMPLES && (
        <span className="badge warn" title={t("planner.sign.samples", { count: predicted.samples })}>
          {t("planner.sign.few")}
        </span>
      )}
      {!predicted && <span className="badge">{t("planner.sign.added")}</span>}
    </span>
  );
}

/** Return what was predicted for a row: its key begins with the predicted sequence. */
function predictedOf(candidate: Candidate, operation: DraftOperation): PredictedOperation | undefined {
  const index = Number(operation.key.split("-")[1]);
  const found = operation.key.startsWith("new") ? undefined : candidate.operations[index];
  return found?.operation_code === operation.operation_code ? found : undefined;
}

function newOperation(code: string): DraftOperation {
  return {
    key: `new-${crypto.randomUUID()}`,
    operation_code: code,
    operation_name: null,
    resource_code: null,
    inside: true,
    setup_minutes: 0,
    run_minutes_per_unit: 0,
    wait_minutes: 0,
    move_minutes: 0,
    queue_minutes: 0,
  };
}
