"""Items read by their codes from a real PostgreSQL: over a session that is kept, locked out, or ended from outside."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.erp.lookup import by_key
from shared.erp.lookup.item_lookup import ItemLookup
from shared.erp.sources.opening import open_source
from shared.settings import Settings
from tests.postgresql import DRIVER, PostgreSql
from tests.prediction.fresh_plant import FILES, NEW_RING, Plant
from tests.prediction.prediction_factories import make_factory, routing_row

pytest.importorskip("pyodbc", reason="needs the machine's ODBC library")


class Database:
    """The tiny factory's tables in a database of their own."""

    def __init__(self, server: PostgreSql, folder: Path) -> None:
        self.server = server.new_database()
        self.profile = Plant(folder / "files").profile
        self.session = self.server.connect()
        for name, table in FILES.items():
            columns = ", ".join(f'"{column}" text' for column in make_factory(1).frames[name].columns)
            self.session.execute(f"CREATE TABLE {table} ({columns})".encode())

    def add(self, name: str, values: dict[str, Any]) -> None:
        columns = ", ".join(f'"{column}"' for column in values)
        marks = ", ".join("%s" for _ in values)
        said = [None if value is None else str(value) for value in values.values()]
        self.session.execute(f"INSERT INTO {FILES[name]} ({columns}) VALUES ({marks})".encode(), said)

    def add_item(self, code: str) -> None:
        self.add("items", {"item_code": code, **NEW_RING})

    def sessions(self) -> list[tuple[int, str]]:
        """Return process and state of every other session in the database."""
        return self.session.execute(
            "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()

    def lookup(self, data_dir: Path, *, limit: float = 20.0, **options: Any) -> ItemLookup:
        settings = Settings(
            data_dir=data_dir, profile=str(self.profile), erp_connection=SecretStr(self.server.odbc),
            lookup_timeout_seconds=limit,
        )  # fmt: skip
        return ItemLookup(settings, missing_seconds=0.0, **options)


@pytest.fixture
def database(postgresql: PostgreSql, tmp_path: Path) -> Any:
    import pyodbc

    if DRIVER not in pyodbc.drivers():
        pytest.skip(f"needs the ODBC driver {DRIVER} (Debian: odbc-postgresql)")
    made = Database(postgresql, tmp_path)
    yield made
    made.session.close()


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every source that was opened."""
    opened: list[Any] = []

    def opening(*arguments: Any) -> Any:
        opened.append(open_source(*arguments))
        return opened[-1]

    monkeypatch.setattr(by_key, "open_source", opening)
    return opened


def test_a_kept_session_sees_what_is_entered_meanwhile_and_holds_nothing_open(
    database: Database, tmp_path: Path, openings: list[Any]
) -> None:
    lookup = database.lookup(tmp_path)
    assert not lookup.find(["NEW1"]).found
    database.add_item("NEW1")
    database.add("routings", routing_row("NEW1", 10, "SAW"))
    routing = lookup.find(["NEW1"]).found["NEW1"].routing
    assert routing is not None
    assert routing["operation_code"].to_list() == ["SAW"]
    database.add_item("new2  ")
    assert set(lookup.find(["NEW2", "NOBODY"]).found) == {"NEW2"}
    assert len(openings) == 1
    assert [state for _, state in database.sessions()] == ["idle"]
    lookup.close()


def test_a_session_that_the_server_ended_is_opened_again(
    database: Database, tmp_path: Path, openings: list[Any]
) -> None:
    database.add_item("NEW1")
    database.add_item("NEW2")
    lookup = database.lookup(tmp_path)
    assert lookup.find(["NEW1"]).found
    for process, _ in database.sessions():
        database.session.execute("SELECT pg_terminate_backend(%s)", [process])
    assert lookup.find(["NEW2"]).found
    assert len(openings) == 2
    assert lookup.status()["state"] == "closed"
    lookup.close()


def test_a_table_that_somebody_locks_is_given_up_and_read_again_later(database: Database, tmp_path: Path) -> None:
    database.add_item("NEW1")
    database.add_item("NEW2")
    lookup = database.lookup(tmp_path, limit=1.0, rest_seconds=0.0)
    assert lookup.find(["NEW1"]).found
    with database.session.transaction():
        database.session.execute(f"LOCK TABLE {FILES['items']} IN ACCESS EXCLUSIVE MODE".encode())
        why = lookup.find(["NEW2"]).not_asked["NEW2"]
    assert "the ERP did" in why
    assert lookup.status()["state"] == "open"
    _eventually(lambda: not lookup.find(["NOBODY"]).not_asked)
    assert lookup.find(["NEW2"]).found
    assert lookup.status()["state"] == "closed"
    lookup.close()


def _eventually(true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")
