"""The demo factory in a database: typed views with every cell of the files, whole or not at all."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.demo import app
from shared.erp.demo.generate import ITEMS, RESULTS, ROUTINGS, generate_demo
from shared.erp.demo.load import load_into_postgresql, load_into_sqlite
from shared.errors import Conflict, InvalidInput, SourceError, SourceUnavailable
from tests.postgresql import PostgreSql

VIEWS = (ITEMS, ROUTINGS, RESULTS)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factory")
    generate_demo(folder, items=250, seed=8)
    return folder


@pytest.fixture
def damaged(source: Path, tmp_path: Path) -> Path:
    """The factory with a last report that has a cell too many."""
    folder = Path(shutil.copytree(source, tmp_path / "damaged"))
    with (folder / f"{RESULTS}.csv").open("a", encoding="utf-8") as file:
        file.write("1000000" + "," * 20 + "\n")
    return folder


@pytest.fixture
def database(postgresql: PostgreSql) -> PostgreSql:
    return postgresql.new_database()


def _cells(folder: Path, view: str) -> Iterator[dict[str, str | None]]:
    with (folder / f"{view}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: cell or None for name, cell in row.items()}


def _means(value: object, cell: str | None) -> bool:
    """Return whether a database's value is what the file's cell says: text to the letter, numbers by value."""
    if value is None or cell is None:
        return value is cell
    return float(cell) == float(value) if isinstance(value, int | float | Decimal) else str(value) == cell


def _assert_holds(rows: list[dict[str, object]], folder: Path, view: str) -> None:
    written = list(_cells(folder, view))
    assert len(rows) == len(written)
    for row, cells in zip(rows, written, strict=True):
        assert list(row) == list(cells)
        assert not [name for name, value in row.items() if not _means(value, cells[name])]


def _in_sqlite(file: Path, view: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(file)) as session:
        session.row_factory = sqlite3.Row
        return [dict(row) for row in session.execute(f'SELECT * FROM "{view}"')]


def _in_postgresql(database: PostgreSql, view: str) -> list[dict[str, object]]:
    with database.connect() as session:
        found = session.execute(f'SELECT * FROM "{view}"')
        names = [column.name for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found]


@pytest.mark.parametrize("view", VIEWS)
def test_sqlite_holds_every_cell(source: Path, tmp_path: Path, view: str) -> None:
    load_into_sqlite(source, tmp_path / "factory.db")
    _assert_holds(_in_sqlite(tmp_path / "factory.db", view), source, view)


@pytest.mark.parametrize("view", VIEWS)
def test_postgresql_holds_every_cell(source: Path, database: PostgreSql, view: str) -> None:
    load_into_postgresql(source, database.conninfo)
    _assert_holds(_in_postgresql(database, view), source, view)


def test_columns_have_types_where_the_dirt_allows_it(source: Path, tmp_path: Path, database: PostgreSql) -> None:
    load_into_sqlite(source, tmp_path / "factory.db")
    load_into_postgresql(source, database.conninfo)
    with closing(sqlite3.connect(tmp_path / "factory.db")) as session:
        lite = {
            (view, name): kind
            for view in VIEWS
            for _, name, kind, *_ in session.execute(f'PRAGMA table_info("{view}")')
        }
    with database.connect() as session:
        query = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = ANY(%s)"
        real = {(view, name): kind for view, name, kind in session.execute(query, [list(VIEWS)])}
    assert set(lite) == set(real)
    expected = {
        (ITEMS, "OUTDIAMETER"): ("varchar(255)", "character varying"),  # some say "about"
        (ITEMS, "INDIAMETER"): ("numeric(18,4)", "numeric"),
        (ROUTINGS, "PROC_SEQ"): ("INTEGER", "integer"),
        (ROUTINGS, "RUN_TIME"): ("numeric(18,4)", "numeric"),
        (ROUTINGS, "INSRT_DT"): ("timestamp", "timestamp without time zone"),
        (ROUTINGS, "VALID_TO_DT"): ("date", "date"),
        (RESULTS, "IDX"): ("INTEGER", "integer"),
        (RESULTS, "REPORT_DT"): ("varchar(255)", "character varying"),  # some name a day that there never was
        (RESULTS, "MACH_WORKED_HOURS"): ("numeric(18,4)", "numeric"),
    }
    for column, (in_sqlite, in_postgresql) in expected.items():
        assert (lite[column].lower(), real[column]) == (in_sqlite.lower(), in_postgresql), column


def test_a_look_up_by_item_code_reads_an_index(source: Path, tmp_path: Path) -> None:
    load_into_sqlite(source, tmp_path / "factory.db")
    with closing(sqlite3.connect(tmp_path / "factory.db")) as session:
        for view in VIEWS:
            [(*_, plan)] = session.execute(f'EXPLAIN QUERY PLAN SELECT * FROM "{view}" WHERE "ITEM_CD" = ?', ["A"])
            assert "USING INDEX" in plan


def test_an_existing_target_is_replaced_only_on_demand(source: Path, tmp_path: Path, database: PostgreSql) -> None:
    file = tmp_path / "factory.db"
    for replace in (False, True):
        load_into_sqlite(source, file, replace=replace)
        load_into_postgresql(source, database.conninfo, replace=replace)
        with pytest.raises(Conflict, match="exists"):
            load_into_sqlite(source, file)
        with pytest.raises(Conflict, match="already"):
            load_into_postgresql(source, database.conninfo)
    assert len(_in_sqlite(file, RESULTS)) == len(_in_postgresql(database, RESULTS)) > 0


def test_what_is_not_a_demo_factory_is_never_replaced(source: Path, tmp_path: Path, database: PostgreSql) -> None:
    file = tmp_path / "mine.db"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE mine (a)")
    with database.connect() as server:
        server.execute(f'CREATE TABLE "{ITEMS}" (a integer)')
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, and longer than a database's first bytes, which say what it is " * 3)
    for target in (file, notes):
        with pytest.raises(Conflict, match="no demo database"):
            load_into_sqlite(source, target, replace=True)
    with pytest.raises(Conflict, match=ITEMS):
        load_into_postgresql(source, database.conninfo, replace=True)
    with closing(sqlite3.connect(file)) as session:
        assert session.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    assert notes.read_text().startswith("not a database")


def test_a_load_that_fails_leaves_what_was_there(
    source: Path, damaged: Path, tmp_path: Path, database: PostgreSql
) -> None:
    file = tmp_path / "factory.db"
    load_into_sqlite(source, file)
    load_into_postgresql(source, database.conninfo)
    before = (file.read_bytes(), _in_postgresql(database, RESULTS))
    with pytest.raises(SourceError):
        load_into_sqlite(damaged, file, replace=True)
    with pytest.raises(SourceError):
        load_into_postgresql(damaged, database.conninfo, replace=True)
    assert (file.read_bytes(), _in_postgresql(database, RESULTS)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "factory.db"]


def test_a_failed_load_leaves_nothing(damaged: Path, tmp_path: Path, database: PostgreSql) -> None:
    with pytest.raises(SourceError):
        load_into_sqlite(damaged, tmp_path / "factory.db")
    with pytest.raises(SourceError):
        load_into_postgresql(damaged, database.conninfo)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]
    with database.connect() as session:
        assert session.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'routing_demo%'").fetchone() == (0,)


def test_a_folder_without_the_views_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=ITEMS):
        load_into_sqlite(tmp_path, tmp_path / "factory.db")


def test_no_error_shows_the_password(source: Path, database: PostgreSql) -> None:
    wrong = database.conninfo.replace(database.password, "hunter2")
    for conninfo, kind in ((wrong, SourceUnavailable), ("host=127.0.0.1 hunter2", InvalidInput)):
        with pytest.raises(kind) as raised:
            load_into_postgresql(source, conninfo)
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_progress_rises_to_one(source: Path, tmp_path: Path, database: PostgreSql, into: str) -> None:
    told: list[float] = []

    def tell(share: float, _view: str) -> None:
        told.append(share)

    if into == "sqlite":
        load_into_sqlite(source, tmp_path / "factory.db", progress=tell)
    else:
        load_into_postgresql(source, database.conninfo, progress=tell)
    assert told == sorted(told)
    assert (len(told) > 3, told[-1]) == (True, 1.0)


def test_the_command_loads_into_one_target(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "factory.db"
    runner = CliRunner()
    for targets in ([], ["--sqlite", str(file), "--postgresql", "dbname=x"]):
        assert runner.invoke(app, ["load", str(source), *targets]).exit_code == InvalidInput.exit_code
    assert not file.exists()
    done = runner.invoke(app, ["load", str(source), "--sqlite", str(file), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["views"]) == (0, list(VIEWS))
    assert runner.invoke(app, ["load", str(source), "--sqlite", str(file)]).exit_code == Conflict.exit_code
    assert runner.invoke(app, ["load", str(source), "--sqlite", str(file), "--replace"]).exit_code == 0
    assert len(_in_sqlite(file, ITEMS)) == len(list(_cells(source, ITEMS)))
