"""A database in memory that counts what is read of it, and a factory in it whose rows say when they changed."""

import copy
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import polars as pl

from shared.erp.profiles.model import Profile, SourceTable, parse_profile
from shared.erp.sources.source import Condition
from shared.errors import SourceError, SourceUnavailable
from tests.erp.erp_support import DOCUMENT

START = datetime(2025, 5, 1, 8, 0)  # noqa: DTZ001 - a database's own time has no zone
KEYS = {"items": ["code"], "routings": ["code", "seq"], "work_results": ["report"]}
ITEM = {"code": pl.String, "kind": pl.String, "diameter": pl.Float64, "diameter_unit": pl.String}
STEP = {
    "code": pl.String,
    "seq": pl.Int64,
    "job": pl.String,
    "where": pl.String,
    "setup": pl.Float64,
    "run": pl.Float64,
}
REPORT = {
    "report": pl.Int64,
    "code": pl.String,
    "seq": pl.Int64,
    "job": pl.String,
    "day": pl.String,
    "pieces": pl.Int64,
    "setup_hours": pl.Float64,
    "run_hours": pl.Float64,
}
BATCH = 5  # rows a batch: every table comes in several


def changing_profile(**changes: Any) -> Profile:
    """Return the tiny profile, each table with a key and the column `changed`; `changes` adds to these."""
    document = copy.deepcopy(DOCUMENT)
    for table, key in KEYS.items():
        document[table]["changes"] = {"changed_at": "changed", "key": key, **changes}
    return parse_profile(document, source="tiny.yaml")


class CountingSource:
    """Tables in memory as a `Source`; `read` counts the cells and rows handed out."""

    name = "memory"

    def __init__(self, stamp_type: pl.DataType | None = None) -> None:
        """Make empty tables; `stamp_type` is the type of the column `changed`."""
        stamp = {"changed": stamp_type or pl.Datetime("us")}
        self.frames = {
            "parts": pl.DataFrame(schema={**ITEM, **stamp}),
            "steps": pl.DataFrame(schema={**STEP, **stamp}),
            "reports": pl.DataFrame(schema={**REPORT, **stamp}),
        }
        self.numbers = itertools.count(100)  # of keys that no row ever had
        self.rows_read = 0
        self.questions: list[str] = []  # one for each call of `batches`: all, keys or changes
        self.breaks_after: int | None = None  # rows after which the connection is lost

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables' names."""
        return tuple(self.frames)

    def columns(self, origin: SourceTable) -> list[str]:
        """Return a table's columns."""
        return self._frame(origin).columns

    def schema(self, origin: SourceTable) -> pl.Schema:
        """Return a table's columns and types."""
        return self._frame(origin).schema

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield rows, unsorted as a database may."""
        frame = self._frame(origin)
        if where is not None:
            assert where.operator == ">="
            try:
                frame = frame.filter(pl.col(where.column) >= pl.lit(where.values[0]))
            except pl.exceptions.PolarsError as error:
                raise SourceError(f"The question cannot be asked: {error}", remedy="Compare like with like.") from error
        self.questions.append("changes" if where else "keys" if len(columns) < frame.width - 1 else "all")
        for batch in frame.select(columns).iter_slices(BATCH):
            if self.breaks_after is not None and self.rows_read >= self.breaks_after:
                raise SourceUnavailable("The connection was lost.", remedy="Try again.")
            self.rows_read += batch.height
            yield batch

    def count(self, origin: SourceTable) -> int:
        """Return how many rows a table has."""
        return self._frame(origin).height

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Insert rows, each in the place of one with the same key."""
        key = dict(zip(self.frames, KEYS.values(), strict=True))[table]
        new = pl.DataFrame(rows, schema=self.frames[table].schema)
        self.frames[table] = pl.concat([new, self.frames[table].join(new, on=key, how="anti", nulls_equal=True)])

    def remove(self, table: str, where: pl.Expr) -> None:
        """Delete rows."""
        self.frames[table] = self.frames[table].filter(~where)

    def _frame(self, origin: SourceTable) -> pl.DataFrame:
        assert origin.table is not None
        return self.frames[origin.table[0]]


def part(number: int, stamp: object, *, kind: str = "ring") -> dict[str, Any]:
    """Return an item's row."""
    return {"code": f"P{number:04}", "kind": kind, "diameter": 10.0 + number, "diameter_unit": "MM", "changed": stamp}


def step(number: int, sequence: int, stamp: object, *, job: str = "TURN") -> dict[str, Any]:
    """Return a planned step of an item."""
    return {
        "code": f"P{number:04}", "seq": sequence, "job": job, "where": "Y", "setup": 5.0, "run": 1.5, "changed": stamp
    }  # fmt: skip


def report(number: int, item: int, stamp: object, *, hours: float = 0.5) -> dict[str, Any]:
    """Return reported work on an item."""
    return {
        "report": number, "code": f"P{item:04}", "seq": 10, "job": "TURN", "day": "2025-05-02", "pieces": 4,
        "setup_hours": 0.1, "run_hours": hours, "changed": stamp,
    }  # fmt: skip


def filled(items: int = 40) -> CountingSource:
    """Return a factory whose rows changed an hour apart, days ago."""
    source = CountingSource()
    stamps = [START + timedelta(hours=number) for number in range(items)]
    source.put("parts", [part(number, stamp) for number, stamp in enumerate(stamps)])
    source.put("steps", [step(number, seq, stamp) for number, stamp in enumerate(stamps) for seq in (10, 20)])
    source.put("reports", [report(number, number, stamp) for number, stamp in enumerate(stamps)])
    return source
