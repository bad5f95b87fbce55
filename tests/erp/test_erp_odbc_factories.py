"""One factory, three sources: files, SQLite and PostgreSQL give the same canonical tables."""

import copy
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from shared.erp.extract import extract
from shared.erp.profiles.model import parse_profile
from shared.erp.snapshot import TABLES, Snapshot
from shared.erp.sources.location import FolderLocation, Location, OdbcLocation
from tests.erp.erp_support import DOCUMENT, NOW
from tests.erp.odbc_support import SQLITE_DRIVER, located, needs_driver, postgresql_database
from tests.postgresql import PostgreSql

# What each table's columns are in a database: what they are in SQLite, and in PostgreSQL.
TYPES = {
    "parts": {
        "code": ("VARCHAR(20)", "varchar(20)"),
        "kind": ("NVARCHAR(20)", "char(12)"),
        "diameter": ("NUMERIC(18,6)", "numeric"),
        "diameter_unit": ("CHAR(6)", "char(6)"),
        "standard": ("BOOLEAN", "text"),
    },
    "steps": {
        "code": ("VARCHAR(20)", "varchar(20)"),
        "seq": ("INTEGER", "smallint"),
        "job": ("TEXT", "text"),
        "where": ("NVARCHAR(10)", "varchar(10)"),
        "setup": ("REAL", "double precision"),
        "run": ("DECIMAL(20,10)", "numeric(20,10)"),
        "valid_to": ("DATE", "date"),
    },
    "reports": {
        "code": ("VARCHAR(20)", "char(20)"),
        "seq": ("INTEGER", "numeric(5,0)"),
        "job": ("TEXT", "text"),
        "day": ("TIMESTAMP", "timestamp"),
        "pieces": ("INTEGER", "bigint"),
        "setup_hours": ("FLOAT", "real"),
        "run_hours": ("NUMERIC(10,4)", "numeric(10,4)"),
    },
}
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "parts": [
        ("007", "링 ", "10.500", "MM", "1"),
        ("8", "  seal", "0.1", "inch  ", "0"),
        ("9", "씰 'a' \"b\"", "0", "", None),
        ("한글-1", "a,b;c", "12345678.123456", "mm", "1"),
        ("", "nothing", "1", "mm", "1"),
    ],
    "steps": [
        ("007", 10, "TURN", "사내", 5.25, "0.3333333333", "2099-12-31"),
        ("007", 20, "COAT", "외주", None, "3", None),
        ("8", 10, "TURN", "사내  ", 0.1, "1e-7", "2025-01-01"),
        ("한글-1", 10, "선삭", "?", 7, "2.5", "2030-06-30"),
        ("nobody", 10, "TURN", "사내", 1, "1", None),
    ],
    "reports": [
        ("007", 10, "TURN", "2025-05-01", 4, 0.5, "0.2"),
        ("8", 10, "TURN", "2025-05-02 13:45:00", 2, 0.25, "1"),
        ("8", 10, "TURN", "2025-05-02 13:45:00", 2, 0.25, "1"),
        ("한글-1", 10, "선삭", "2025-05-03 00:00:01", 1000000, None, "99999.1234"),
        ("한글-1", 10, "선삭", None, 1, None, "1"),
        ("007", 20, "COAT", "2025-05-04", 0, None, "1"),
    ],
}


def profile_document() -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["items"]["attributes"]["standard"] = {"kind": "categorical", "values": {"true": "1", "false": "0"}}
    document["routings"]["columns"]["valid_to"] = "valid_to"
    document["routings"]["filters"] = [{"column": "valid_to", "at_least": "today"}]
    return document


def in_files(folder: Path) -> Location:
    for name, columns in TYPES.items():
        frame = pl.DataFrame(
            [[None if cell is None else str(cell) for cell in row] for row in ROWS[name]],
            schema=dict.fromkeys(columns, pl.String), orient="row",
        )  # fmt: skip
        frame.write_csv(folder / f"{name}.csv")
    return FolderLocation(folder)


def columns_of(name: str, system: int) -> str:
    return ", ".join(f'"{column}" {types[system]}' for column, types in TYPES[name].items())


def in_sqlite(folder: Path) -> Location:
    needs_driver(SQLITE_DRIVER)
    path = folder / "erp.db"
    with sqlite3.connect(path) as database:
        for name, columns in TYPES.items():
            database.execute(f"CREATE TABLE {name} ({columns_of(name, 0)})")
            database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", ROWS[name])
    database.close()
    return OdbcLocation(SecretStr(f"Driver={{{SQLITE_DRIVER}}};Database={path}"))


def in_postgresql(server: PostgreSql) -> Location:
    database = postgresql_database(server)
    with database.connect() as session, session.cursor() as cursor:
        for name, columns in TYPES.items():
            cursor.execute(f"CREATE TABLE {name} ({columns_of(name, 1)})".encode())
            cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(columns))})".encode(), ROWS[name])
    return located(database)


def taken(location: Location, into: Path) -> Snapshot:
    return extract(parse_profile(profile_document(), source="tiny.yaml"), location, into, now=NOW)


@pytest.mark.parametrize("system", ["sqlite", "postgresql"])
def test_a_database_gives_the_tables_that_files_give(
    request: pytest.FixtureRequest, tmp_path: Path, system: str
) -> None:
    files = taken(in_files(tmp_path), tmp_path / "of-files")
    location = in_sqlite(tmp_path) if system == "sqlite" else in_postgresql(request.getfixturevalue("postgresql"))
    database = taken(location, tmp_path / "of-database")
    for name in TABLES:
        theirs, ours = (getattr(snapshot, name)() for snapshot in (files, database))
        assert theirs.to_dicts() == ours.to_dicts()
        assert theirs.schema == ours.schema
    assert database.fingerprint == files.fingerprint
    assert database.rows == {"items": 4, "routings": 3, "work_results": 4}
    assert {table: sum(reasons.values()) for table, reasons in database.issues.items()} == {
        table: sum(reasons.values()) for table, reasons in files.issues.items()
    }


def test_a_query_over_typed_columns_gives_the_same_as_the_table(postgresql: PostgreSql, tmp_path: Path) -> None:
    location = in_postgresql(postgresql)
    document = profile_document()
    document["work_results"]["sql"] = (
        f"SELECT r.* FROM {document['work_results'].pop('table')} r JOIN parts USING (code)"
    )
    profile = parse_profile(document, source="tiny.yaml")
    queried = extract(profile, location, tmp_path / "queried", now=NOW)
    assert queried.work_results().equals(taken(location, tmp_path / "read").work_results())
