"""The one way to the registry database: engine, migrations, and the two kinds of transaction.

SQLite is set up for several processes: write-ahead log, full syncing, and write transactions that take the write lock
at their first statement (`BEGIN IMMEDIATE`), so that a compare-and-set waits for its turn and never meets
"database is locked" half-way. On other databases the same code runs with their ordinary transactions.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from shared.audit.recording import append, take_notes
from shared.errors import DatabaseUnavailable, SetupError

BUSY_TIMEOUT_SECONDS = 10.0
MIGRATIONS_DIR = Path(__file__).resolve().parent / "migrations"
_WRITES = "routing_writes"
_SEALING = "routing_sealing"
_AUDIT = "audit"  # what transactions that add to it take turns at
_REVISIONS = "alembic_version"  # the table that a set-up database has, whichever release made it


def make_engine(url: str) -> Engine:
    """Return an engine for `url`; a SQLite file's folder is made when missing.

    Raises:
        SetupError: the URL cannot be read or the folder cannot be made.
    """
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            parsed, json_serializer=_to_json, json_deserializer=orjson.loads, pool_size=8, max_overflow=40
        )
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise SetupError(
            f"The database cannot be used: {_first_line(error)}.",
            remedy="Check ROUTING_DATABASE_URL and ROUTING_DATA_DIR.",
        ) from error
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yield a session that sees one consistent state; objects read through it stay usable afterwards."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Yield a session whose transaction holds SQLite's write lock from the start; commits unless an error leaves it.

    Changes that were noted on the way (`shared.audit.recording.note`) become rows of the audit as its last step.
    """
    audited = False
    with Session(engine.execution_options(**{_WRITES: True}), expire_on_commit=False) as session, session.begin():
        yield session
        noted = take_notes(session)
        if noted:
            session.flush()  # takes every other lock first
            one_at_a_time(session, _AUDIT)
            append(session.connection(), noted, _sealing(engine).mac_of)
            audited = True
    if audited:
        _sealing(engine).seal()


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """How events are sealed that transactions of an engine add to the audit; neither call may raise."""

    mac_of: Callable[[str], str]  # the authentication code of an event's hash
    seal: Callable[[], object]  # called after the commit


_UNSEALED = Sealing(mac_of=lambda _hash: "", seal=lambda: None)


def seal_by(engine: Engine, sealing: Sealing) -> None:
    """Seal by `sealing` what `engine`'s transactions add to the audit from now on."""
    engine.update_execution_options(**{_SEALING: sealing})


def _sealing(engine: Engine) -> Sealing:
    sealing: Sealing = engine.get_execution_options().get(_SEALING, _UNSEALED)
    return sealing


def one_at_a_time(session: Session, name: str) -> None:
    """Let no two transactions that name the same thing run beside each other from here on; SQLite's never do."""
    _take_lock(session.connection(), name)


def _take_lock(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
    elif connection.dialect.name == "mssql":
        connection.execute(
            text("EXEC sp_getapplock @Resource = :name, @LockMode = 'Exclusive', @LockOwner = 'Transaction'"),
            {"name": name},
        )


def ping(engine: Engine) -> float:
    """Ask the database a trivial question and return the seconds that its answer took.

    Raises:
        SetupError: it did not answer.
    """
    started = time.perf_counter()
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        raise SetupError(
            f"The database does not answer: {_first_line(error)}.",
            remedy="Check ROUTING_DATABASE_URL, and that the file or server can be reached and written.",
        ) from error
    return time.perf_counter() - started


def database_trouble(error: SQLAlchemyError) -> DatabaseUnavailable | None:
    """Return what to tell a caller when `error` means that the database is away; None when it is a defect of ours.

    The text quotes neither the statement nor its values.
    """
    away = isinstance(error, OperationalError | InterfaceError | PoolTimeout) or type(error) is DatabaseError
    if not away:
        return None
    said = _first_line(error)
    if "no such table" in said or "no such column" in said:
        return DatabaseUnavailable(
            "The database is not set up for this release.", remedy="`manage.py up` makes it and brings it up to date."
        )
    if "locked" in said:
        return DatabaseUnavailable(
            "The database is held by another program.", remedy="Try again in a few seconds; end that program if not."
        )
    return DatabaseUnavailable(
        "The database does not answer.",
        remedy="Check ROUTING_DATABASE_URL and ROUTING_DATA_DIR, and that the file or server can be reached.",
    )


def migrate(url: str) -> None:
    """Bring the schema at `url` to the newest revision; safe to call from several processes at once.

    Raises:
        SetupError: the database cannot be opened, or was made by a newer release.
    """
    engine = make_engine(url)
    try:
        _upgrade(engine, only_new=False)
    finally:
        engine.dispose()


def set_up_when_new(engine: Engine) -> None:
    """Make the tables of a database that has none; one that any release has set up is left as it is.

    Safe to call from several processes at once, also beside a running instance.

    Raises:
        SetupError: the database cannot be opened or written.
    """
    try:
        is_new = not inspect(engine).has_table(_REVISIONS)
    except SQLAlchemyError as error:
        raise _not_up_to_date(error) from error
    if is_new:
        _upgrade(engine, only_new=True)


def _upgrade(engine: Engine, *, only_new: bool) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", MIGRATIONS_DIR.as_posix().replace("%", "%%"))
    try:
        # One transaction around everything: the second process waits for SQLite's write lock, then finds nothing to do.
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            _take_lock(connection, "migrations")
            if only_new and inspect(connection).has_table(_REVISIONS):  # another process was faster
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise SetupError(
            f"The database's schema is unknown to this release: {error}.",
            remedy="Run the release that made it, or a newer one, or start with another ROUTING_DATA_DIR.",
        ) from error
    except SQLAlchemyError as error:
        raise _not_up_to_date(error) from error


def _not_up_to_date(error: SQLAlchemyError) -> SetupError:
    return SetupError(
        f"The database could not be brought up to date: {_first_line(error)}.",
        remedy="Check that the file and its folder can be written and that no other program holds it.",
    )


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite` alone
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
        _switch_to_write_ahead_log(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _switch_to_write_ahead_log(cursor: DBAPICursor) -> None:
    """Turn the log on; SQLite answers "locked" at once here, without its busy time-out, while another process does."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class RawJson(str):
    """A text that is JSON already, such as a pydantic model's; a JSON column stores it as it is."""


def _to_json(value: object) -> str:
    if isinstance(value, RawJson):
        return value
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
