import {
  closestCenter,
  DndContext,
  type DragEndEvent,
  KeyboardSensor,
  PointerSensor,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import { SortableContext, sortableKeyboardCoordinates, verticalListSortingStrategy } from "@dnd-kit/sortable";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Candidate } from "../api/client";
import { type Draft, type Edit, MINUTE_FIELDS, MOST_OPERATIONS, newOperation, predictedOf } from "./draft";
import { KnownCodes, useKnownOperations } from "./KnownCodes";
import { OperationRow } from "./OperationRow";

interface Props {
  draft: Draft;
  candidate: Candidate | undefined; // what the draft began as, or the best proposal beside it
  onEdit: (edit: Edit) => void;
  onItem: (code: string) => void;
}

/** The working copy: every field can be typed into; rows are added, removed and moved with the keyboard or by dragging. */
export function RoutingTable({ draft, candidate, onEdit, onItem }: Props) {
  const { t } = useTranslation();
  const known = useKnownOperations();
  const [shown, setShown] = useState<string | null>(null); // the row whose evidence is open
  const table = useRef<HTMLTableElement>(null);
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const placeOf = (key: unknown) => draft.operations.findIndex((each) => each.key === key);
  const dropped = ({ active, over }: DragEndEvent) => {
    if (over && active.id !== over.id) onEdit({ kind: "move", from: placeOf(active.id), to: placeOf(over.id) });
  };
  const focusOn = (row: number, column: string) =>
    // after the row is there
    requestAnimationFrame(() => {
      const cells = table.current?.querySelectorAll<HTMLElement>(`[data-column="${column}"]`);
      cells?.[Math.max(0, Math.min(row, cells.length - 1))]?.focus();
    });
  const add = (at: number) => {
    onEdit({ kind: "add", at, operation: newOperation(t("planner.newCode")) });
    focusOn(at, "operation_code");
  };
  const move = (from: number, to: number, column: string) => {
    if (to < 0 || to >= draft.operations.length) return;
    onEdit({ kind: "move", from, to });
    focusOn(to, column);
  };
  const remove = (at: number, column: string) => {
    onEdit({ kind: "remove", at });
    focusOn(at, column);
  };
  return (
    <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={dropped}>
      <KnownCodes known={known} draft={draft} />
      <table className="routing" ref={table}>
        <thead>
          <tr>
            <th aria-label={t("planner.move")} />
            <th className="number">{t("planner.column.sequence")}</th>
            <th>{t("planner.column.operation")}</th>
            <th>{t("planner.column.resource")}</th>
            <th title={t("planner.sign.outsourced")}>{t("planner.column.outside")}</th>
            {MINUTE_FIELDS.map((field) => (
              <th key={field} className="number">
                {t(`planner.column.${field}`)}
              </th>
            ))}
            <th>{t("planner.evidence")}</th>
            <th aria-label={t("planner.remove")} />
          </tr>
        </thead>
        <SortableContext items={draft.operations.map((each) => each.key)} strategy={verticalListSortingStrategy}>
          <tbody>
            {draft.operations.map((operation, at) => (
              <OperationRow
                key={operation.key}
                at={at}
                operation={operation}
                predicted={predictedOf(candidate, operation)}
                known={known}
                isShown={shown === operation.key}
                onShow={() => setShown(shown === operation.key ? null : operation.key)}
                onEdit={onEdit}
                onAdd={add}
                onMove={move}
                onRemove={remove}
                onItem={onItem}
              />
            ))}
          </tbody>
        </SortableContext>
      </table>
      <div className="row">
        <button
          type="button"
          disabled={draft.operations.length >= MOST_OPERATIONS}
          onClick={() => add(draft.operations.length)}
        >
          + {t("planner.add")}
        </button>
        <small>{t("planner.keysHint")}</small>
      </div>
    </DndContext>
  );
}
