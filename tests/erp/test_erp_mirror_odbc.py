"""The mirror before real databases: stamps of every type, one picture of all tables, and a question they refuse."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from shared.erp.issues import IssueLog
from shared.erp.mirror.source import Mirror, MirroredSource
from shared.erp.mirror.table import TableRead
from shared.erp.profiles.model import Profile
from shared.erp.sources.location import Location, OdbcLocation
from shared.erp.sources.opening import open_source
from tests.erp.erp_support import NOW
from tests.erp.mirror_support import changing_profile
from tests.postgresql import PostgreSql

ITEMS = 60
STAMPS = {
    "timestamp": "timestamp '2025-01-01 00:00:00.123456' + n * interval '1 day'",
    "timestamptz": "timestamptz '2025-01-01 00:00:00+09' + n * interval '1 day'",
    "date": "date '2025-01-01' + n",
    "bigint": "n * 1000",
    "varchar(20)": "to_char(timestamp '2025-01-01' + n * interval '1 day', 'YYYY-MM-DD HH24:MI:SS')",
    "char(8)": "to_char(date '2025-01-01' + n, 'YYYYMMDD')",
}


@contextmanager
def mirrored(folder: Path, profile: Profile, location: Location) -> Iterator[tuple[Mirror, MirroredSource]]:
    """Open a database and put its mirror before it."""
    mirror = Mirror(folder / "mirror")
    with (
        open_source(location, profile.source, IssueLog()) as source,
        mirror.over(source, profile, location, NOW) as rows,
    ):
        yield mirror, rows


def _matches(folder: Path, profile: Profile, location: Location) -> TableRead:
    """Read the items through the mirror, compare them with the database's, and tell what was read."""
    with mirrored(folder, profile, location) as (mirror, rows):
        found = pl.concat(rows.batches(profile.items, rows.columns(profile.items)))
    with open_source(location, profile.source, IssueLog()) as source:
        truth = pl.concat(source.batches(profile.items, source.columns(profile.items)))
    assert found.sort("code").equals(truth.sort("code"))
    return mirror.reads["items"]


def _filled(database: PostgreSql, stamp_type: str) -> OdbcLocation:
    with database.connect() as session:
        for table, columns in (("parts", "kind text, diameter numeric(9, 3)"), ("steps", "seq int, job text")):
            session.execute(f"CREATE TABLE {table} (code text PRIMARY KEY, {columns}, changed {stamp_type})")
        rows = f"SELECT 'P' || n, 'ring', n / 7.0, {STAMPS[stamp_type]} FROM generate_series(1, {ITEMS}) n"
        session.execute(f"INSERT INTO parts {rows}")
        session.execute("INSERT INTO steps (code, seq, job) VALUES ('P1', 10, 'TURN')")
    return OdbcLocation(SecretStr(database.odbc))


@pytest.mark.parametrize("stamp_type", STAMPS)
def test_changes_are_found_by_every_type_of_stamp(tmp_path: Path, postgresql: PostgreSql, stamp_type: str) -> None:
    """An insert, an update and a deletion in PostgreSQL."""
    database = postgresql.new_database()
    location, profile = _filled(database, stamp_type), changing_profile()
    assert _matches(tmp_path, profile, location) == TableRead(mode="full", rows=ITEMS, reason="first reading")
    again = 1 if stamp_type == "bigint" else 2  # those of the last day before the greatest stamp
    assert _matches(tmp_path, profile, location) == TableRead(mode="incremental", rows=again)
    new = f"(SELECT {STAMPS[stamp_type]} FROM (VALUES ({ITEMS + 9})) AS numbers(n))"
    with database.connect() as session:
        session.execute(f"INSERT INTO parts VALUES ('NEW', 'seal', 1, {new})")
        session.execute(f"UPDATE parts SET kind = 'seal', changed = {new} WHERE code = 'P3'")
        session.execute("DELETE FROM parts WHERE code = 'P5'")
    assert _matches(tmp_path, profile, location) == TableRead(mode="incremental", rows=again + 2, keys=ITEMS)


def test_stamps_of_another_type_make_the_reading_full(tmp_path: Path, postgresql: PostgreSql) -> None:
    """The column was a number and is a time now, so what was asked before cannot be."""
    database = postgresql.new_database()
    location, profile = _filled(database, "bigint"), changing_profile()
    _matches(tmp_path, profile, location)
    with database.connect() as session:
        session.execute("ALTER TABLE parts ALTER changed TYPE timestamp USING '2025-05-01'")
    assert _matches(tmp_path, profile, location).mode == "full"
    assert _matches(tmp_path, profile, location).mode == "incremental"


def test_all_tables_are_of_one_moment(tmp_path: Path, postgresql: PostgreSql) -> None:
    """What is written between the reading of two tables is read the next time."""
    database = postgresql.new_database()
    location, profile = _filled(database, "timestamp"), changing_profile(key="code")
    for expected in (["TURN"], ["MILL", "TURN"]):
        with mirrored(tmp_path, profile, location) as (_mirror, rows):
            list(rows.batches(profile.items, ["code"]))
            with database.connect() as session:
                session.execute("INSERT INTO steps VALUES ('P2', 10, 'MILL', '2025-05-01') ON CONFLICT DO NOTHING")
            steps = pl.concat(rows.batches(profile.routings, ["job"]))
        assert sorted(steps["job"]) == expected


def test_sqlite_says_its_stamps_as_text(tmp_path: Path) -> None:
    """Moments in SQLite are text that sorts by time."""
    pyodbc = pytest.importorskip("pyodbc")
    if "SQLite3" not in pyodbc.drivers():
        pytest.skip("needs the ODBC driver SQLite3 (apt install libsqliteodbc)")
    file = tmp_path / "erp.db"
    with closing(sqlite3.connect(file)) as session:
        session.execute("CREATE TABLE parts (code TEXT PRIMARY KEY, kind TEXT, diameter REAL, changed TIMESTAMP)")
        rows = [(f"P{number}", "ring", number / 7, f"2025-03-{number:02} 10:00:00") for number in range(1, 31)]
        session.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", rows)
        session.commit()
        location, profile = OdbcLocation(SecretStr(f"Driver=SQLite3;Database={file}")), changing_profile()
        assert _matches(tmp_path, profile, location).mode == "full"
        session.execute("UPDATE parts SET kind = 'seal', changed = '2025-04-02 00:00:00' WHERE code = 'P3'")
        session.execute("DELETE FROM parts WHERE code = 'P4'")
        session.commit()
        assert _matches(tmp_path, profile, location) == TableRead(mode="incremental", rows=3, keys=29)
