"""Every routing row that the model was made from, kept compressed: it is looked at one item at a time, by people."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA

_ROWS_TOGETHER = 32_768  # of one row group: an item's rows are in one or two of them


@dataclass(frozen=True, kw_only=True)
class RoutingHistory:
    """The routing rows, by item, as a Parquet file's bytes."""

    parquet: bytes
    rows: int

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "RoutingHistory":
        """Keep rows made by `choose_current`."""
        file = BytesIO()
        frame.write_parquet(file, row_group_size=_ROWS_TOGETHER)
        return cls(parquet=file.getvalue(), rows=frame.height)

    @classmethod
    def read(cls, parquet: bytes) -> "RoutingHistory":
        """Take the bytes of a file that `of` made; only its columns and how many rows it has are read now.

        Raises:
            ValueError: it is another table.
        """
        table = pl.scan_parquet(BytesIO(parquet))
        if not {*ROUTING_SCHEMA, "chosen"} <= set(table.collect_schema()):
            raise ValueError("The routings' table lacks columns of a routing.")
        return cls(parquet=parquet, rows=int(table.select(pl.len()).collect().item()))

    def of_item(self, item_code: str) -> list[dict[str, Any]]:
        """Return an item's rows; those of its current routing are `chosen`."""
        rows = pl.scan_parquet(BytesIO(self.parquet)).filter(pl.col("item_code") == item_code)
        return rows.collect().to_dicts()
