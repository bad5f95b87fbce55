"""The canonical tables: the only form in which factory data travels beyond `shared/erp`.

`items` carries `item_code` and the attributes that the mapping profile declares; the other two tables have fixed
columns. Times are minutes, quantities are pieces, dates are naive days of the factory's own calendar.
"""

from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class AttributeKind(StrEnum):
    """How an item attribute is understood, compared and encoded."""

    CATEGORICAL = "categorical"  # a value is equal or it is not
    NUMERIC = "numeric"  # a size: nearness by ratio
    TEXT = "text"  # free text: nearness by shared pieces
    CODE = "code"  # a structured code: nearness by shared beginning
    DATE = "date"  # a day


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One declared attribute of an item."""

    name: str
    kind: AttributeKind
    weight: float = 1.0
    unit: str | None = None  # the canonical unit after conversion, such as "mm"
    zero_is_unknown: bool = False
    family: bool = False  # attributes that together name the item's family (for shrinkage and reports)
    drawing: bool = False  # the attribute that names the drawing (sisters share it)


ROUTING_SCHEMA: dict[str, pl.DataType] = {
    "item_code": pl.String(),
    "routing_no": pl.String(),
    "sequence": pl.Int32(),
    "operation_code": pl.String(),
    "operation_name": pl.String(),
    "resource_code": pl.String(),
    "resource_name": pl.String(),
    "inside": pl.Boolean(),
    "setup_minutes": pl.Float64(),
    "run_minutes_per_unit": pl.Float64(),
    "wait_minutes": pl.Float64(),
    "move_minutes": pl.Float64(),
    "queue_minutes": pl.Float64(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "created_at": pl.Date(),
}

WORK_RESULT_SCHEMA: dict[str, pl.DataType] = {
    "item_code": pl.String(),
    "routing_no": pl.String(),
    "sequence": pl.Int32(),
    "operation_code": pl.String(),
    "resource_code": pl.String(),
    "order_no": pl.String(),
    "reported_at": pl.Date(),
    "quantity": pl.Float64(),
    "bad_quantity": pl.Float64(),
    "setup_minutes": pl.Float64(),  # null where the source reports one undivided time (then in run_minutes)
    "run_minutes": pl.Float64(),  # total of the reported quantity
}

ATTRIBUTE_DTYPES: dict[AttributeKind, pl.DataType] = {
    AttributeKind.CATEGORICAL: pl.String(),
    AttributeKind.NUMERIC: pl.Float64(),
    AttributeKind.TEXT: pl.String(),
    AttributeKind.CODE: pl.String(),
    AttributeKind.DATE: pl.Date(),
}


def item_schema(attributes: tuple[Attribute, ...]) -> dict[str, pl.DataType]:
    """Return the schema of `items` for the declared attributes: `item_code`, then one column each."""
    return {"item_code": pl.String(), **{a.name: ATTRIBUTE_DTYPES[a.kind] for a in attributes}}
