"""The same demo factory read from files, from SQLite and from PostgreSQL, through the real ODBC drivers."""

from pathlib import Path

import pyodbc
import pytest
from pydantic import SecretStr

from shared.erp.demo.generate import generate_demo
from shared.erp.demo.load import load_into_postgresql, load_into_sqlite
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation, Location, OdbcLocation
from tests.erp.erp_support import NOW
from tests.postgresql import DRIVER, PostgreSql

ITEMS = 600
SQLITE_DRIVER = "SQLite3"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factory")
    generate_demo(folder, items=ITEMS, seed=8)
    return folder


def _needs(driver: str) -> None:
    if driver not in pyodbc.drivers():
        pytest.skip(f"needs the ODBC driver {driver}")


def _read(location: Location, folder: Path) -> Snapshot:
    return extract(load_profile("demo"), location, folder, now=NOW.replace(year=2027))


def _assert_same(read: Snapshot, from_files: Snapshot) -> None:
    for table in ("items", "routings", "work_results"):
        assert getattr(read, table)().equals(getattr(from_files, table)()), table
    assert read.fingerprint == from_files.fingerprint
    assert read.issues == from_files.issues


def test_sqlite_gives_the_tables_that_the_files_give(source: Path, tmp_path: Path) -> None:
    _needs(SQLITE_DRIVER)
    load_into_sqlite(source, tmp_path / "factory.db")
    connection = SecretStr(f"Driver={SQLITE_DRIVER};Database={tmp_path / 'factory.db'}")
    _assert_same(_read(OdbcLocation(connection), tmp_path / "odbc"), _read(FolderLocation(source), tmp_path / "files"))


def test_postgresql_gives_the_tables_that_the_files_give(source: Path, tmp_path: Path, postgresql: PostgreSql) -> None:
    _needs(DRIVER)
    database = postgresql.new_database()
    load_into_postgresql(source, database.conninfo)
    connection = SecretStr(database.odbc)
    _assert_same(_read(OdbcLocation(connection), tmp_path / "odbc"), _read(FolderLocation(source), tmp_path / "files"))
