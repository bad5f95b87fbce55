import { useSortable } from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import type { KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import type { PredictedOperation } from "../api/client";
import { MinutesCell, TextCell } from "./cells";
import { type DraftOperation, type Edit, MINUTE_FIELDS } from "./draft";
import { centresListOf, type KnownOperations, OPERATION_LIST, withUsual } from "./KnownCodes";
import { OperationEvidence } from "./OperationEvidence";
import { Signs } from "./Signs";

const COLUMNS_IN_ALL = 12;

interface Props {
  at: number;
  operation: DraftOperation;
  predicted: PredictedOperation | undefined;
  known: KnownOperations;
  isShown: boolean;
  onShow: () => void;
  onEdit: (edit: Edit) => void;
  onAdd: (at: number) => void;
  onMove: (from: number, to: number, column: string) => void;
  onRemove: (at: number, column: string) => void;
  onItem: (code: string) => void;
}

/** One operation: its fields, what was predicted for it beneath them, and its evidence when asked for. */
export function OperationRow(props: Props) {
  const { at, operation, predicted, known, onEdit } = props;
  const { t } = useTranslation();
  const sorting = useSortable({ id: operation.key });
  const row = at + 1;
  const set = (change: Partial<DraftOperation>) => onEdit({ kind: "set", at, change });
  const style = { transform: CSS.Translate.toString(sorting.transform), transition: sorting.transition ?? "" };
  const isOfThisCentre = predicted?.resource_code === operation.resource_code;
  const name = operation.operation_name ?? known.get(operation.operation_code)?.operation_name;
  return (
    <>
      <tr ref={sorting.setNodeRef} style={style} onKeyDown={(event) => rowKeys(event, props)}>
        <td>
          <button
            type="button"
            className="quiet handle"
            data-column="handle"
            aria-label={t("planner.moveRow", { row })}
            {...sorting.attributes}
            {...sorting.listeners}
          >
            ⠿
          </button>
        </td>
        <td className="number">{row * 10}</td>
        <td>
          <span className="operation">
            <TextCell
              column="operation_code"
              label={`${t("planner.column.operation")} ${row}`}
              value={operation.operation_code}
              options={OPERATION_LIST}
              isRequired
              onCommit={(code) => set(withUsual(known, code, operation))}
            />
            <span className="name">{name}</span>
          </span>
          <Signs
            operation={operation}
            predicted={predicted}
            isKnown={known.size === 0 || known.has(operation.operation_code)}
          />
        </td>
        <td>
          <TextCell
            column="resource_code"
            label={`${t("planner.column.resource")} ${row}`}
            value={operation.resource_code ?? ""}
            options={centresListOf(known, operation.operation_code)}
            onCommit={(text) => set({ resource_code: text || null })}
          />
          <small>{isOfThisCentre ? predicted?.resource_name : null}</small>
        </td>
        <td>
          <input
            type="checkbox"
            data-column="inside"
            aria-label={`${t("planner.sign.outsourced")} ${row}`}
            checked={operation.inside === false}
            onChange={(event) => set({ inside: !event.target.checked })}
          />
        </td>
        {MINUTE_FIELDS.map((field) => (
          <td key={field} className="number">
            <MinutesCell
              column={field}
              label={`${t(`planner.column.${field}`)} ${row}`}
              value={operation[field]}
              predicted={field === "setup_minutes" || field === "run_minutes_per_unit" ? predicted?.[field] : undefined}
              onCommit={(value) => set({ [field]: value })}
            />
          </td>
        ))}
        <td>
          {predicted && (
            <button
              type="button"
              className="quiet"
              data-column="evidence"
              aria-expanded={props.isShown}
              onClick={props.onShow}
            >
              {t("planner.sign.samples", { count: predicted.samples })} {props.isShown ? "▾" : "▸"}
              <span className="sr"> {t("planner.evidenceOf", { row })}</span>
            </button>
          )}
        </td>
        <td>
          <button
            type="button"
            className="quiet"
            data-column="remove"
            aria-label={t("planner.removeRow", { row })}
            onClick={() => props.onRemove(at, "remove")}
          >
            ×
          </button>
        </td>
      </tr>
      {props.isShown && predicted && (
        <tr className="shown">
          <td colSpan={COLUMNS_IN_ALL}>
            <OperationEvidence operation={predicted} onItem={props.onItem} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Alt with the arrows moves the row, Insert adds one below, Alt+Delete removes it. */
function rowKeys(event: KeyboardEvent<HTMLElement>, { at, onAdd, onMove, onRemove }: Props): void {
  const column = (event.target as HTMLElement).dataset.column ?? "operation_code";
  if (event.key === "Insert") onAdd(at + 1);
  else if (!event.altKey) return;
  else if (event.key === "ArrowUp") onMove(at, at - 1, column);
  else if (event.key === "ArrowDown") onMove(at, at + 1, column);
  else if (event.key === "Delete") onRemove(at, column);
  else return;
  event.preventDefault();
}
