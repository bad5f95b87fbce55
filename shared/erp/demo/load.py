"""Loading the demo factory into a database as the user's views: base tables, typed columns, an index by item code.

What the generator wrote as text becomes numbers, days and moments where every cell allows it; where dirt makes a column
text it stays text, as it would have to in an ERP. The target holds the whole factory or nothing new.
"""

import csv
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import TextIOWrapper
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from shared.erp.demo.generate import ITEMS, RESULTS, ROUTINGS
from shared.errors import Conflict, InvalidInput, SourceError, SourceUnavailable

BASE_TABLES = {ITEMS: "routing_demo_items", ROUTINGS: "routing_demo_steps", RESULTS: "routing_demo_results"}
_KEY = "ITEM_CD"
_TEXT = "varchar(255)"
_WHOLE = ("PROC_SEQ", "ROUT_ORDER", "RUN_TIME_QTY", "MFG_LT", "ORDER_QTY", "BAD_QTY")
_DECIMAL = (
    "INDIAMETER", "OUTTHICKNESS", "IN_SEALSIZE", "MID_SEALSIZE", "OUT_SEALSIZE", "QUEUE_TIME", "SETUP_TIME", "RUN_TIME",
    "ACT_SETUP_TIME", "ACT_RUN_TIME", "WAIT_TIME", "MOVE_TIME", "SUBCONTRACT_PRC", "MACH_WORKED_HOURS", "SETUP_HOURS",
)  # fmt: skip
_TYPES = (
    dict.fromkeys(_WHOLE, "integer")
    | dict.fromkeys(_DECIMAL, "numeric(18,4)")
    | dict.fromkeys(("VALID_FROM_DT", "VALID_TO_DT", "NC_WRITE_DATE", "NC_REVIEW_DT"), "date")
    | {"INSRT_DT": "timestamp", "IDX": "integer primary key"}
)
_BLOCK_BYTES = 1 << 20

Progress = Callable[[float, str], None]


def load_into_sqlite(folder: Path, file: Path, *, replace: bool = False, progress: Progress | None = None) -> None:
    """Load the demo factory in `folder` into a new SQLite file.

    Args:
        folder: where `generate_demo` wrote the views.
        file: the database; its folder must exist.
        replace: an earlier demo database at that place may be replaced.
        progress: called with the share done (0 to 1) and the view that is being loaded.

    Raises:
        Conflict: the file exists and `replace` is off, or it is no demo database.
        SourceError: the folder lacks a view.
    """
    tell = progress or (lambda _share, _step: None)
    headers = _headers(folder)
    if file.exists():
        _refuse_unless_own(file, replace=replace)
    temporary = file.with_name(f".{file.name}.loading")
    temporary.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(temporary)) as session:
            _fill_sqlite(session, folder, headers, tell)
        temporary.replace(file)
    except (sqlite3.Error, csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"The factory in {folder} cannot be loaded: {error}.", remedy="Generate it again.") from error
    finally:
        temporary.unlink(missing_ok=True)
    tell(1.0, "done")


def _fill_sqlite(session: sqlite3.Connection, folder: Path, headers: dict[str, list[str]], tell: Progress) -> None:
    session.execute("PRAGMA journal_mode = OFF")  # a load that breaks off leaves no database at all
    session.execute("PRAGMA synchronous = OFF")
    for view, columns in headers.items():
        session.execute(_table(view, columns))
        marks = ",".join("?" * len(columns))
        insert = f"INSERT INTO {BASE_TABLES[view]} VALUES ({marks})"  # noqa: S608 - no value is pasted in
        session.executemany(insert, _rows(folder, view, headers, tell))
        for statement in _index_and_view(view):
            session.execute(statement)
    session.commit()


def load_into_postgresql(
    folder: Path, conninfo: str, *, replace: bool = False, progress: Progress | None = None
) -> None:
    """Load the demo factory in `folder` into a PostgreSQL database, in one transaction.

    Args:
        folder: where `generate_demo` wrote the views.
        conninfo: libpq's connection string or URI; what it leaves out comes from the `PG*` variables.
        replace: an earlier demo factory in that database may be replaced.
        progress: called with the share done (0 to 1) and the view that is being loaded.

    Raises:
        Conflict: the views exist and `replace` is off, or they are not this command's.
        InvalidInput: the connection string cannot be read.
        SourceUnavailable: the server does not answer or refuses the login.
        SourceError: the folder lacks a view, or the server refuses a statement.
    """
    tell = progress or (lambda _share, _step: None)
    headers = _headers(folder)
    with _postgresql(conninfo) as session:
        _clear_postgresql(session, replace=replace)
        for view, columns in headers.items():
            session.execute(_table(view, columns).encode())
            names = ", ".join(map(_quoted, columns))
            copy = (
                f"COPY {BASE_TABLES[view]} ({names}) FROM STDIN"
                f" WITH (FORMAT csv, HEADER true, ENCODING 'UTF8', FORCE_NULL ({names}))"
            )
            with session.cursor().copy(copy.encode()) as target:
                for block in _blocks(folder, view, headers, tell):
                    target.write(block)
            for statement in _index_and_view(view):
                session.execute(statement.encode())
        session.execute(f"ANALYZE {', '.join(BASE_TABLES.values())}".encode())
    tell(1.0, "done")


def _headers(folder: Path) -> dict[str, list[str]]:
    """Return every view's columns."""
    headers = {}
    for view in BASE_TABLES:
        path = folder / f"{view}.csv"
        if not path.is_file():
            raise SourceError(
                f"{folder} lacks {path.name}.", remedy="Name a folder that `manage.py demo generate` wrote."
            )
        with path.open(encoding="utf-8", newline="") as file:
            headers[view] = next(csv.reader(file))
    return headers


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(view: str, columns: list[str]) -> str:
    declared = ", ".join(f"{_quoted(column)} {_TYPES.get(column, _TEXT)}" for column in columns)
    return f"CREATE TABLE {BASE_TABLES[view]} ({declared})"


def _index_and_view(view: str) -> tuple[str, str]:
    table = BASE_TABLES[view]
    return (
        f"CREATE INDEX {table}_by_item ON {table} ({_quoted(_KEY)})",
        f"CREATE VIEW {_quoted(view)} AS SELECT * FROM {table}",  # noqa: S608 - both names are this module's
    )


def _share_before(folder: Path, view: str, headers: dict[str, list[str]]) -> tuple[int, int]:
    """Return the bytes of the views before this one, and of all."""
    sizes = [(folder / f"{name}.csv").stat().st_size for name in headers]
    return sum(sizes[: list(headers).index(view)]), sum(sizes)


def _blocks(folder: Path, view: str, headers: dict[str, list[str]], tell: Progress) -> Iterator[bytes]:
    before, total = _share_before(folder, view, headers)
    with (folder / f"{view}.csv").open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
            tell((before + file.tell()) / (total + 1), view)


def _rows(folder: Path, view: str, headers: dict[str, list[str]], tell: Progress) -> Iterator[list[str | None]]:
    before, total = _share_before(folder, view, headers)
    with (folder / f"{view}.csv").open("rb") as raw, TextIOWrapper(raw, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file)):
            if number:
                yield [cell or None for cell in row]
            if number % 20_000 == 0:
                tell((before + raw.tell()) / (total + 1), view)


def _refuse_unless_own(file: Path, *, replace: bool) -> None:
    if not replace:
        raise Conflict(f"{file} exists already.", remedy="Name another file, or say --replace.")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as session:
            found = {name for (name,) in session.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        found = set()
    if not set(BASE_TABLES.values()) <= found:
        raise Conflict(
            f"{file} is no demo database, so it is not replaced.", remedy="Name another file, or remove that one."
        )


@contextmanager
def _postgresql(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Open a session whose changes all come into force at the end of the block, or none."""
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:  # its text may repeat a part of the password
        raise InvalidInput(
            "The connection string cannot be read.", remedy="Write it as libpq does: host=… port=… dbname=… user=…"
        ) from None
    try:
        with psycopg.connect(conninfo, connect_timeout=10) as session:
            yield session
    except psycopg.OperationalError as error:
        raise SourceUnavailable(
            f"PostgreSQL does not answer or refuses the login: {str(error).strip().splitlines()[0]}",
            remedy="Check host, port, database, user and PGPASSWORD.",
        ) from error
    except psycopg.Error as error:
        raise SourceError(
            f"PostgreSQL refuses to load the factory: {error.diag.message_primary or type(error).__name__}",
            remedy="The user needs the right to create tables in the database's first schema.",
        ) from error


def _clear_postgresql(session: psycopg.Connection[tuple[object, ...]], *, replace: bool) -> None:
    names = [*BASE_TABLES.values(), *BASE_TABLES]
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)"
    found = {str(name) for (name,) in session.execute(query, [names])}
    if not found:
        return
    if not replace:
        raise Conflict("The database has such views already.", remedy="Name another database, or say --replace.")
    if not set(BASE_TABLES.values()) <= found:
        raise Conflict(
            f"{', '.join(sorted(found))} is not the demo factory's, so it is not replaced.",
            remedy="Name another database.",
        )
    for view, table in BASE_TABLES.items():
        session.execute(f"DROP VIEW IF EXISTS {_quoted(view)}".encode())
        session.execute(f"DROP TABLE {table}".encode())
