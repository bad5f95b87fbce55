"""A tiny factory whose ERP goes on after the model was made: CSV files or a SQLite database that tests add rows to."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pydantic import SecretStr

from shared.settings import Settings
from tests.prediction.prediction_factories import Factory, make_factory

DRIVER = "SQLite3"
FILES = {"items": "parts", "routings": "steps", "work_results": "reports"}
PROFILE: dict[str, Any] = {
    "name": "tiny",
    "source": {"item_code_case": "upper"},
    "items": {
        "table": "parts",
        "columns": {"item_code": "item_code"},
        "attributes": {
            "PART": {"kind": "categorical", "weight": 2.0, "family": True},
            "MATERIAL": {"kind": "code"},
            "SIZE": {"kind": "numeric", "unit": "mm", "zero_is_unknown": True},
            "NOTE": {"kind": "text", "weight": 0.5},
            "DRAWING": {"kind": "code", "weight": 0.1, "drawing": True},
            "RELEASED": {"kind": "date", "weight": 0.1},
        },
    },
    "routings": {
        "table": "steps",
        "columns": {
            name: name
            for name in (
                "item_code", "routing_no", "sequence", "operation_code", "operation_name", "resource_code",
                "resource_name", "inside", "setup_minutes", "run_minutes_per_unit", "wait_minutes", "move_minutes",
                "queue_minutes", "valid_from", "valid_to", "created_at",
            )
        },
        "time_unit": "minutes",
        "inside_values": ["true", "1"],
        "outside_values": ["false", "0"],
    },
    "work_results": {
        "table": "reports",
        "columns": {
            name: name
            for name in (
                "item_code", "sequence", "operation_code", "order_no", "reported_at", "quantity", "setup_minutes",
                "run_minutes",
            )
        },
        "time_unit": "minutes",
    },
}  # fmt: skip
NEW_RING = {"PART": "ring", "MATERIAL": "SUS316", "SIZE": 62.0, "NOTE": "ring for pump 3", "DRAWING": "R-9001"}
LONG_AGO = timedelta(days=400)


class Plant:
    """The ERP of one factory and the settings that read it."""

    def __init__(self, folder: Path, *, database: bool = False) -> None:
        self.folder = folder / "erp"
        self.folder.mkdir(parents=True)
        self.database = self.folder / "erp.db" if database else None
        self.profile = folder / "tiny.yaml"
        self.profile.write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
        self.write(make_factory())

    def write(self, factory: Factory) -> None:
        """Put a factory's tables into the ERP."""
        for name, table in FILES.items():
            frame = factory.frames[name].with_columns(pl.col(pl.Date).cast(pl.String), pl.col(pl.Boolean).cast(pl.Int8))
            if self.database is None:
                frame.write_csv(self.folder / f"{table}.csv")
                continue
            with sqlite3.connect(self.database) as connection:
                kinds = (
                    f'"{column}" {"TEXT" if kind == pl.String else "REAL"}' for column, kind in frame.schema.items()
                )
                connection.execute(f"CREATE TABLE {table} ({', '.join(kinds)})")
                self._insert(connection, table, frame.columns, frame.rows())
            connection.close()

    def add_item(self, code: str, **values: Any) -> None:
        """Enter an item, a ring unless said otherwise."""
        self._add("items", {"item_code": code, **NEW_RING, **values})

    def add_steps(self, *rows: dict[str, Any]) -> None:
        """Enter steps made by `routing_row`."""
        for row in rows:
            self._add("routings", {**row, "inside": int(row["inside"])})

    def settings(self, data_dir: Path, **values: Any) -> Settings:
        """Return settings that read this ERP."""
        if self.database is None:
            place: dict[str, Any] = {"source": str(self.folder)}
        else:
            place = {"erp_connection": SecretStr(f"Driver={DRIVER};Database={self.database}")}
        return Settings(data_dir=data_dir, profile=str(self.profile), **place, **values)

    def _add(self, name: str, values: dict[str, Any]) -> None:
        table, frame = FILES[name], make_factory(1).frames[name]
        row = ["" if values.get(column) is None else str(values[column]) for column in frame.columns]
        if self.database is None:
            with (self.folder / f"{table}.csv").open("a", encoding="utf-8") as file:
                file.write(",".join(row) + "\n")
            return
        with sqlite3.connect(self.database) as connection:
            self._insert(connection, table, frame.columns, [row])
        connection.close()

    def _insert(
        self, connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def require_sqlite_driver() -> None:
    """Skip where the machine has no ODBC driver for SQLite."""
    pyodbc = pytest.importorskip("pyodbc", reason="needs the machine's ODBC library")
    if DRIVER not in pyodbc.drivers():
        pytest.skip(f"needs the ODBC driver {DRIVER} (Debian: libsqliteodbc)")


def before_the_files() -> datetime:
    """Return a moment at which a model may have been made so that every file of the test counts as newer."""
    return datetime.now(UTC) - LONG_AGO
