import { type MouseEvent, memo } from "react";
import { useTranslation } from "react-i18next";
import type { AttributeView } from "../knowledge";

export interface FoundItem {
  item_code: string;
  [attribute: string]: unknown;
}

interface Props {
  id: string;
  item: FoundItem;
  at: number; // its place among all that were found
  top: number; // pixels below the first row
  height: number;
  columns: AttributeView[];
  isHere: boolean;
  isSelected: boolean;
  isListed: boolean;
  numbers: Intl.NumberFormat;
  onClick: (event: MouseEvent, at: number) => void;
  onAdd: (item: FoundItem, isStaying?: boolean) => void;
}

/** One item that was found. A row that has not changed is not drawn again while the table is scrolled. */
export const FoundRow = memo(function FoundRow(props: Props) {
  const { t } = useTranslation();
  const { item, at } = props;
  return (
    <div
      role="row"
      id={props.id}
      aria-rowindex={at + 2}
      aria-selected={props.isSelected}
      className={`gridrow ${props.isHere ? "here" : ""}`}
      style={{ transform: `translateY(${props.top}px)`, height: props.height }}
      onClick={(event) => props.onClick(event, at)}
      onDoubleClick={() => props.onAdd(item)}
    >
      <span role="gridcell" className="code">
        {item.item_code}
      </span>
      {props.columns.map((column) => (
        <Cell key={column.name} value={item[column.name]} numbers={props.numbers} />
      ))}
      <span role="gridcell">
        {props.isListed ? (
          <span title={t("planner.inList")}>✓</span>
        ) : (
          <button
            type="button"
            className="quiet"
            tabIndex={-1}
            aria-label={t("planner.addOne", { code: item.item_code })}
            onClick={() => props.onAdd(item, true)}
          >
            +
          </button>
        )}
      </span>
    </div>
  );
});

function Cell({ value, numbers }: { value: unknown; numbers: Intl.NumberFormat }) {
  const isNumber = typeof value === "number";
  const text = isNumber ? numbers.format(value) : String(value ?? "");
  return (
    <span role="gridcell" className={isNumber ? "number" : ""} title={text}>
      {text}
    </span>
  );
}
