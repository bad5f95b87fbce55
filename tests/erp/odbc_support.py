"""Databases behind real ODBC drivers, filled for a test."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from shared.erp.odbc.source import OdbcSource
from shared.erp.profiles.model import OdbcRules, SourceRules, SourceTable
from shared.erp.sources.location import OdbcLocation
from shared.erp.sources.source import Condition
from tests.postgresql import DRIVER, PostgreSql

SQLITE_DRIVER = "SQLite3"
MDBTOOLS_DRIVER = "MDBTools"


def needs_driver(name: str) -> None:
    """Skip the test where unixODBC or the driver is missing."""
    pyodbc = pytest.importorskip("pyodbc", reason="needs unixODBC (apt install unixodbc)", exc_type=ImportError)
    if name not in pyodbc.drivers():
        pytest.skip(f"needs the ODBC driver {name} (`manage.py doctor` names its package)")


def sqlite_location(path: Path, statements: str = "") -> OdbcLocation:
    """Return a SQLite file as a source, after running statements on it."""
    needs_driver(SQLITE_DRIVER)
    with sqlite3.connect(path) as database:
        database.executescript(statements)
    database.close()
    return OdbcLocation(SecretStr(f"Driver={{{SQLITE_DRIVER}}};Database={path}"))


def postgresql_location(server: PostgreSql, statements: str = "") -> OdbcLocation:
    """Return a new database of the server as a source, after running statements on it."""
    return located(postgresql_database(server, statements))


def located(database: PostgreSql) -> OdbcLocation:
    """Return a database as a source."""
    return OdbcLocation(SecretStr(database.odbc))


def postgresql_database(server: PostgreSql, statements: str = "") -> PostgreSql:
    """Return a new database of the server, after running statements on it."""
    needs_driver(DRIVER)
    database = server.new_database()
    if statements:
        with database.connect() as session:
            session.execute(statements.encode())
    return database


def opened(location: OdbcLocation, *, timeout: int = 30, **rules: Any) -> OdbcSource:
    """Open a source with short time-outs."""
    odbc = OdbcRules(login_timeout_seconds=min(timeout, 10), statement_timeout_seconds=timeout)
    return OdbcSource(location, SourceRules(odbc=odbc, **rules))


def table(*names: str) -> SourceTable:
    """Return a table of a profile by its names."""
    return SourceTable(table=names)


def query(sql: str) -> SourceTable:
    """Return a query of a profile."""
    return SourceTable(sql=sql)


def read(
    source: OdbcSource, origin: SourceTable, columns: Sequence[str] | None = None, where: Condition | None = None
) -> pl.DataFrame:
    """Return all rows of a table or query as one frame; an empty one without columns when there are none."""
    frames = list(source.batches(origin, columns or source.columns(origin), where=where))
    return pl.concat(frames) if frames else pl.DataFrame()


def where(column: str, operator: Any, values: Iterable[Any]) -> Condition:
    """Return a condition."""
    return Condition(column, operator, tuple(values))
