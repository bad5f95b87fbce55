"""What goes wrong with real databases: wrong logins, missing drivers, writes, hangs, and servers that die."""

import contextlib
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

import shared.erp.odbc.source as odbc_module
from shared.erp.extract import extract
from shared.erp.odbc.errors import Scrubber, explained
from shared.erp.odbc.session import Caller
from shared.erp.odbc.sql import Statement
from shared.erp.profiles.model import parse_profile
from shared.erp.snapshot import open_snapshot
from shared.erp.sources.location import OdbcLocation
from shared.errors import SourceError, SourceUnavailable
from tests.erp.erp_support import DOCUMENT, NOW
from tests.erp.odbc_support import (
    located,
    needs_driver,
    opened,
    postgresql_database,
    postgresql_location,
    query,
    read,
    sqlite_location,
    table,
)  # fmt: skip
from tests.postgresql import DRIVER, PostgreSql, missing_for_postgresql, running_postgresql

PASSWORD = "correct horse; battery"


def location(text: str) -> OdbcLocation:
    return OdbcLocation(SecretStr(text))


@pytest.fixture
def own_server() -> Iterator[PostgreSql]:
    """A server that the test may kill."""
    missing = missing_for_postgresql()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    needs_driver(DRIVER)
    with running_postgresql() as server:
        yield server


# ------------------------------------------------------------------------------------------------------ connecting


def test_a_driver_that_is_not_installed_is_named_with_the_nearest_one_and_the_remedy() -> None:
    needs_driver(DRIVER)
    with pytest.raises(SourceError) as caught:
        opened(location("Driver={PostgreSQL Unicod};Server=127.0.0.1;Uid=u;Pwd=secret"))
    assert "'PostgreSQL Unicod' is not installed (did you mean 'PostgreSQL Unicode'?)" in str(caught.value)
    assert "odbc-postgresql" in str(caught.value)
    with pytest.raises(SourceError, match=r"msodbcsql18.*|.*tdsodbc"):
        opened(location("Driver={ODBC Driver 18 for SQL Server};Server=127.0.0.1"))


def test_a_data_source_that_is_not_there_is_named() -> None:
    needs_driver(DRIVER)
    with pytest.raises(SourceError, match="no ODBC data source 'factory'"):
        opened(location("DSN=factory;Uid=u;Pwd=secret"))


def test_a_library_that_is_not_there_or_is_none_is_no_reason_to_try_again(tmp_path: Path) -> None:
    needs_driver(DRIVER)
    (tmp_path / "psqlodbcw.so").write_text("no library")
    for library, blamed in (
        ("/nowhere/psqlodbcw.so", "not installed"),
        (tmp_path / "psqlodbcw.so", "Install the driver"),
    ):
        with pytest.raises(SourceError, match=blamed) as caught:
            opened(location(f"Driver={library};Server=127.0.0.1"))
        assert not isinstance(caught.value, SourceUnavailable)


@pytest.mark.parametrize("driver", ["SQLite3", "MDBTools"])
def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, driver: str) -> None:
    needs_driver(driver)
    attribute = "DBQ" if driver == "MDBTools" else "Database"
    with pytest.raises(SourceError, match=r"no file .*nosuch\.db"):
        opened(location(f"Driver={{{driver}}};{attribute}={tmp_path / 'nosuch.db'}"))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_login_is_an_error_that_shows_neither_user_nor_password(postgresql: PostgreSql) -> None:
    needs_driver(DRIVER)
    base = f"Driver={{{DRIVER}}};Server=127.0.0.1;Port={postgresql.port}"
    for attributes in (
        f"Database=postgres;Uid={postgresql.user};Pwd={{{PASSWORD}}}",
        "Database=postgres;Uid=stranger;Pwd=hunter2",
        f"Database=nosuch;Uid={postgresql.user};Pwd={postgresql.password}",
    ):
        with pytest.raises(SourceError) as caught:
            opened(location(f"{base};{attributes}"))
        assert not isinstance(caught.value, SourceUnavailable)
        said = f"{caught.value!s} {caught.value!r} {caught.value.facts}"
        for secret in (PASSWORD, "hunter2", "stranger", f'"{postgresql.user}"', postgresql.password):
            assert secret not in said
        assert caught.value.__cause__ is None  # the driver's own words may hold the connection string


def test_no_server_is_unavailable() -> None:
    needs_driver(DRIVER)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnavailable, match="refused"):
            opened(location(f"Driver={{{DRIVER}}};Server=127.0.0.1;Port={closed.getsockname()[1]};Uid=u;Pwd=p"))


@pytest.mark.parametrize("driver", [DRIVER, "FreeTDS"])
def test_a_port_that_accepts_and_never_answers_is_given_up(driver: str) -> None:
    needs_driver(driver)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        attributes = f"Server=127.0.0.1;Port={silent.getsockname()[1]};Database=d;Uid=u;Pwd=p"
        with pytest.raises(SourceUnavailable):
            opened(location(f"Driver={{{driver}}};{attributes}"), timeout=1)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    needs_driver("SQLite3")
    (tmp_path / "erp.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(SourceError, match="not a database"):
        opened(location(f"Driver={{SQLite3}};Database={tmp_path / 'erp.db'}"))


# ---------------------------------------------------------------------------------------------------------- writes


@pytest.fixture(scope="module")
def writable(postgresql: PostgreSql) -> PostgreSql:
    return postgresql_database(
        postgresql,
        "CREATE TABLE t AS SELECT 1 AS a; CREATE SEQUENCE counter;"
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1';",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "SELECT 1 AS a; DELETE FROM t",
        "SELECT 1 AS a) AS q; DELETE FROM t; --",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "SELECT nextval('counter') AS a",
        "SELECT wipe() AS a",
        "SELECT * FROM t FOR UPDATE",
        "SELECT set_config('transaction_read_only', 'off', false) AS a, wipe() AS b",
    ],
)
def test_a_query_that_writes_fails_and_changes_nothing(writable: PostgreSql, sql: str) -> None:
    with opened(located(writable)) as erp, pytest.raises(SourceError) as caught:
        read(erp, query(sql))
    assert not isinstance(caught.value, SourceUnavailable)
    with writable.connect() as session:
        assert session.execute("SELECT count(*) FROM t").fetchone() == (1,)
        assert session.execute("SELECT is_called FROM counter").fetchone() == (False,)


def test_sqlite_refuses_writes_however_they_come(tmp_path: Path) -> None:
    place = sqlite_location(tmp_path / "erp.db", "CREATE TABLE t AS SELECT 1 AS a;")
    with opened(place) as erp:
        for sql in ("DELETE FROM t", "SELECT 1; DELETE FROM t", "SELECT 1) AS q; DELETE FROM t; --"):
            with pytest.raises(SourceError):
                read(erp, query(sql))
        session = erp._session
        with pytest.raises(SourceError, match="readonly"):
            session.execute(Statement("DELETE FROM t"), "Writing to")
    with sqlite3.connect(tmp_path / "erp.db") as database:
        assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)
    database.close()


# ----------------------------------------------------------------------------------------------------------- hangs


def test_a_statement_that_takes_too_long_is_cut(postgresql: PostgreSql) -> None:
    database = postgresql_database(postgresql)
    with opened(located(database), timeout=1) as erp, pytest.raises(SourceUnavailable, match="statement timeout"):
        read(erp, query("SELECT 1 AS a, pg_sleep(60)::text AS b"))
    with database.connect() as session:
        assert session.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'"
                               " AND pid <> pg_backend_pid()").fetchone() == (0,)  # fmt: skip


def test_a_fetch_that_takes_too_long_is_cut(postgresql: PostgreSql) -> None:
    slow_after_ten_thousand = (
        "SELECT i, CASE WHEN i > 15000 THEN pg_sleep(1)::text END AS x FROM generate_series(1, 30000) AS i"
    )
    with opened(postgresql_location(postgresql), timeout=1) as erp:
        batches = erp.batches(query(slow_after_ten_thousand), ["i", "x"])
        with pytest.raises(SourceUnavailable, match="statement timeout"):
            list(batches)


def test_a_slow_statement_of_sqlite_is_left_behind(tmp_path: Path) -> None:
    """The driver knows no time-out."""
    place = sqlite_location(tmp_path / "erp.db", "CREATE TABLE t (a int);")
    slow = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000) SELECT max(i) AS a FROM n"
    )
    with opened(place, timeout=1) as erp, pytest.raises(SourceUnavailable, match="no answer within 1 s"):
        read(erp, query(slow), ["a"])


def test_a_call_that_does_not_return_is_given_up_and_so_is_every_later_one() -> None:
    caller, over = Caller(), threading.Event()
    assert caller.call(lambda: 7, 5) == 7
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda: 1 // 0, 5)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        caller.call(over.wait, 0.1)
    with pytest.raises(TimeoutError, match="earlier call"):
        caller.call(lambda: 7, 5)
    caller.end()
    over.set()


# ---------------------------------------------------------------------------------------------------------- deaths


def backend_of(server: PostgreSql) -> int:
    """Return the process of the one session that is reading."""
    with server.connect() as session:
        found = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()
    assert len(found) == 1
    return int(found[0][0])


@pytest.mark.parametrize("how", ["backend", "server", "administrator", "frozen"])
def test_a_server_that_dies_in_the_middle_is_unavailable(
    own_server: PostgreSql, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(odbc_module, "BATCH_ROWS", 10_000)
    before = threading.enumerate()
    with own_server.connect() as session:
        session.execute("CREATE TABLE t AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 100000) AS i")
    with opened(located(own_server), timeout=1) as erp:
        batches = erp.batches(table("t"), ["i", "x"])
        assert next(batches).height == 10_000
        backend = backend_of(own_server)
        if how == "administrator":
            with own_server.connect() as session:
                session.execute("SELECT pg_terminate_backend(%s)", (backend,))
        else:
            victim = own_server.process_id if how == "server" else backend
            os.kill(victim, signal.SIGSTOP if how == "frozen" else signal.SIGKILL)
        try:
            with pytest.raises(SourceUnavailable):
                list(batches)
            with pytest.raises(SourceUnavailable):
                erp.count(table("t"))
        finally:
            if how == "frozen":
                os.kill(backend, signal.SIGCONT)
    # psqlODBC may crash the process where the server ends in the middle of a fetch that nobody waits for any more.
    for thread in [one for one in threading.enumerate() if one.name == "odbc-session" and one not in before]:
        thread.join(30)


def test_a_server_killed_during_an_extraction_leaves_the_last_snapshot(own_server: PostgreSql, tmp_path: Path) -> None:
    with own_server.connect() as session:
        session.execute(TINY_TABLES)
    document = {**DOCUMENT, "source": {"odbc": {"attempts": 1, "login_timeout_seconds": 2}}}
    profile = parse_profile(document, source="tiny.yaml")
    first = extract(profile, located(own_server), tmp_path, now=NOW)
    with own_server.connect() as session:
        session.execute(
            "ALTER TABLE reports RENAME TO kept; CREATE VIEW reports AS SELECT kept.*, pg_sleep(0.01)::text AS slept"
            " FROM kept, generate_series(1, 100000)"
        )
    killer = threading.Thread(target=_kill_while_reading, args=(own_server, "reports"))
    killer.start()
    with pytest.raises(SourceUnavailable):
        extract(profile, located(own_server), tmp_path, now=NOW)
    killer.join()
    assert [path.name for path in tmp_path.iterdir()] == [first.id]
    assert open_snapshot(first.folder).rows == first.rows


TINY_TABLES = """
CREATE TABLE parts AS SELECT '007' AS code, 'ring' AS kind, 10 AS diameter, 'MM' AS diameter_unit;
CREATE TABLE steps AS SELECT '007' AS code, 10 AS seq, 'TURN' AS job, 'Y' AS "where", 5 AS setup, 2 AS run;
CREATE TABLE reports AS SELECT '007' AS code, 10 AS seq, 'TURN' AS job, date '2025-05-01' AS day, 4 AS pieces,
    0.1 AS setup_hours, 0.2 AS run_hours;
"""


def _kill_while_reading(server: PostgreSql, what: str) -> None:
    deadline = time.monotonic() + 30
    with server.connect() as session:
        while time.monotonic() < deadline:
            reading = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
                " AND wait_event = 'PgSleep'", ("%",),
            ).fetchone()  # fmt: skip
            if reading and reading[0]:
                break
            time.sleep(0.02)
    os.kill(server.process_id, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.process_id, 0)


# ------------------------------------------------------------------------------------------- what drivers say


@pytest.mark.parametrize(
    ("state", "words", "is_away", "remedy"),
    [
        ("08001", "[Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: Error code 0x2749 (10057)", True, "again"),
        ("08001", "[FreeTDS][SQL Server]SSL routines::certificate verify failed", False, "TrustServerCertificate"),
        ("08S01", "[Microsoft][ODBC Driver 17 for SQL Server]Communication link failure", True, "again"),
        ("08001", "[FreeTDS][SQL Server]Unable to connect to data source", True, "again"),
        ("08S01", "[FreeTDS][SQL Server]Read from the server failed", True, "again"),
        ("28000", "[ODBC Driver 18 for SQL Server][SQL Server]Login failed for user 'bi'. (18456)", False, "login"),
        ("42000", '[FreeTDS][SQL Server]Cannot open database "KsmErp" requested by the login. (4060)', False, "login"),
        ("42S02", "[FreeTDS][SQL Server]Invalid object name 'dbo.X'. (208)", False, "tables"),
        ("42S22", "[FreeTDS][SQL Server]Invalid column name 'X'. (207)", False, "columns"),
        ("42000", "[FreeTDS][SQL Server]The SELECT permission was denied on the object 'X' (229)", False, "SELECT"),
        ("42000", "[FreeTDS][SQL Server]Incorrect syntax near ')'. (102)", False, "query"),
        ("40001", "[FreeTDS][SQL Server]Transaction was deadlocked on lock resources (1205)", True, "again"),
        ("HYT00", "[Microsoft][ODBC Driver 18 for SQL Server]Login timeout expired", True, "again"),
        ("HYT00", "[Microsoft][ODBC Driver 18 for SQL Server]Query timeout expired", True, "again"),
        ("42000", "[FreeTDS][SQL Server]Lock request time out period exceeded. (1222)", True, "again"),
        ("IM002", "[Microsoft][ODBC Driver Manager] Data source name not found and no default driver", False, "driver"),
        ("01000", "[01000] [unixODBC][Driver Manager]Can't open lib 'X' : file not found (0)", False, "driver"),
        ("HY000", "[HY000] [SQLite]database is locked (5) (5) (SQLExecDirectW)", True, "again"),
        ("HY000", "[ODBC Microsoft Access Driver] Could not use '(unknown)'; file already in use.", True, "again"),
        ("57P03", "FATAL: the database system is starting up", True, "again"),
        ("53300", "FATAL: sorry, too many clients already", True, "again"),
        ("22012", "ERROR: division by zero", False, "docs/ODBC"),
    ],
)  # fmt: skip
def test_drivers_words_are_judged(state: str, words: str, is_away: bool, remedy: str) -> None:
    error = explained(
        Exception(state, words), doing="Reading", name="ODBC server=erp", scrubber=Scrubber("Uid=u;Pwd=p")
    )
    assert isinstance(error, SourceUnavailable) == is_away
    assert remedy in (error.remedy or "")
    assert "(SQL" not in error.detail


@pytest.mark.parametrize("password", ["s3cret", "{se;cr}}et}", "p@ss=word", "{ with blanks }"])
def test_what_a_driver_echoes_is_scrubbed(password: str) -> None:
    connection = f"Driver={{X}};Server=erp;UID=clerk;PWD={password};Database=d"
    words = (
        f"invalid connection string attribute: {connection}; login failed for user 'clerk' with {password.strip('{}')}"
    )
    error = explained(Exception("28000", words), doing="Connecting to", name="x", scrubber=Scrubber(connection))
    assert "clerk" not in str(error)
    for part in (password, password.strip("{}").replace("}}", "}")):
        assert part not in str(error)
    assert "Server=erp" in str(error)
