"""What differs between database systems behind ODBC; everything that is not said here is the same for all.

Statements keep to what all of them understand. Two systems are asked to write their values as text themselves: SQLite,
whose driver forces whatever a cell holds into the type that its column was declared with, and PostgreSQL, whose
driver reads `infinity` as today.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.erp.odbc.types import Column
from shared.erp.sources.location import connection_attributes

FETCH_ROWS = 10_000  # rows that are under way at a time: bounds memory, and wide enough to be fast


class Dialect:
    """A system that nothing special is known of."""

    system = "database"
    as_text = False  # whether statements have every value written as text
    binds = True  # whether statements may hold values; else rows are chosen after they were read
    query_starts: tuple[str, ...] = ("SELECT", "WITH")  # of a query that stands where a table does; none: none may
    autocommit = True  # off: the driver begins a transaction with the first statement
    begin: str | None = None  # begins a transaction where the driver does not, and one is of use
    upper = "UPPER"
    catalogs = True  # whether a table's catalogue stands before its name
    readable: tuple[str, ...] = ("TABLE", "VIEW", "SYNONYM")  # words of the kinds of tables that can be read
    default_schema_query: str | None = None
    columns_query: str | None = None  # names a table's columns, where the driver's own description does so badly
    file_attribute: str | None = None  # of the connection string, where the database is a file

    def attributes(self, login_seconds: int) -> dict[str, str]:  # noqa: ARG002 - others need it
        """Return what the connection string says where its author does not say otherwise."""
        return {}

    def opening(self, statement_seconds: int) -> Sequence[str]:  # noqa: ARG002 - others need it
        """Return the statements that make a new session read-only and patient for so long."""
        return ()

    def declared(self, column: Column) -> Column:
        """Return what a column holds, from what the driver says."""
        return column

    def read(self, column: Column, quoted: str) -> str:  # noqa: ARG002 - others need it
        """Return the expression that reads a column, by its quoted name."""
        return quoted


class SqlServer(Dialect):
    """Microsoft SQL Server through Microsoft's drivers."""

    system = "SQL Server"
    query_starts = ("SELECT",)
    default_schema_query = "SELECT SCHEMA_NAME()"

    def opening(self, statement_seconds: int) -> Sequence[str]:
        """Wait for locks no longer than for anything else; quotes are for names, whatever the server's default is."""
        return ("SET QUOTED_IDENTIFIER ON", f"SET LOCK_TIMEOUT {statement_seconds * 1000}")


class FreeTds(SqlServer):
    """Microsoft SQL Server through FreeTDS."""

    def attributes(self, login_seconds: int) -> dict[str, str]:  # noqa: ARG002 - the driver has no such attribute
        """Speak the protocol that knows NVARCHAR, DATE and DATETIME2, and hand text out as UTF-8."""
        return {"TDS_Version": "7.4", "ClientCharset": "UTF-8"}


class PostgreSql(Dialect):
    """PostgreSQL through psqlODBC, which reads a whole result into memory unless it declares a cursor."""

    system = "PostgreSQL"
    as_text = True
    autocommit = False  # all statements of the one transaction see the same state of all tables
    default_schema_query = "SELECT current_schema()"

    def attributes(self, login_seconds: int) -> dict[str, str]:  # noqa: ARG002 - it honours the standard attribute
        """Fetch by a cursor; `ReadOnly` would forbid the statements that make the session read-only on the server."""
        return {"UseDeclareFetch": "1", "Fetch": str(FETCH_ROWS)}

    def opening(self, statement_seconds: int) -> Sequence[str]:
        """Make every transaction read-only and of one state of all tables."""
        return (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET statement_timeout = {statement_seconds * 1000}",
            "SET DateStyle = 'ISO, YMD'",
        )

    def read(self, column: Column, quoted: str) -> str:
        """Have the value written by PostgreSQL; a moment with a zone as the session's local time."""
        inner = f"CAST({quoted} AS timestamp)" if column.kind is datetime else quoted
        return f"CAST({inner} AS text)"


class Sqlite(Dialect):
    """SQLite through libsqliteodbc, which reads a whole result into memory unless it may step through it.

    It steps only while it believes that every statement commits by itself, so the transaction is begun by hand.
    """

    system = "SQLite"
    as_text = True
    begin = "BEGIN"
    columns_query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
    file_attribute = "database"

    def attributes(self, login_seconds: int) -> dict[str, str]:
        """Hand out rows as they are found, and never make a file that is missing."""
        return {"StepAPI": "1", "NoCreat": "1", "Timeout": str(login_seconds * 1000)}

    def opening(self, statement_seconds: int) -> Sequence[str]:  # noqa: ARG002 - the driver keeps no such limit
        """Refuse every write, and a file that is no database, which the driver's catalogue takes for an empty one."""
        return ("PRAGMA query_only = ON", "SELECT COUNT(*) FROM sqlite_master")

    def declared(self, column: Column) -> Column:
        """Any cell may hold anything, whatever its column was declared as."""
        return replace(column, kind=str, digits=0, scale=0)

    def read(self, column: Column, quoted: str) -> str:  # noqa: ARG002 - every column may hold floats
        """Write a float with as many digits as it takes to read the same float again, and no more."""
        return (
            f"CASE WHEN typeof({quoted}) <> 'real' THEN CAST({quoted} AS TEXT)"
            f" WHEN {quoted} = CAST({quoted} AS INTEGER) THEN CAST(CAST({quoted} AS INTEGER) AS TEXT)"
            f" WHEN CAST(CAST({quoted} AS TEXT) AS REAL) = {quoted} THEN CAST({quoted} AS TEXT)"
            f" ELSE printf('%!.17g', {quoted}) END"
        )


class Access(Dialect):
    """Microsoft Access through Microsoft's driver."""

    system = "Access"
    query_starts = ("SELECT",)
    upper = "UCASE"
    catalogs = False  # the driver takes the file's path for one
    file_attribute = "dbq"

    def attributes(self, login_seconds: int) -> dict[str, str]:  # noqa: ARG002 - a file needs no login
        """Open the file read-only."""
        return {"ReadOnly": "1"}


class MdbTools(Dialect):
    """Access files through MDBTools, which knows little more than SELECT columns FROM one table."""

    system = "Access"
    binds = False
    query_starts = ()
    readable = ("TABLE",)  # it lists saved queries, and cannot run them
    file_attribute = "dbq"


_BY_DRIVER: tuple[tuple[tuple[str, ...], type[Dialect]], ...] = (
    (("freetds", "tdsodbc"), FreeTds),
    (("sql server", "msodbcsql"), SqlServer),
    (("postgresql", "psqlodbc"), PostgreSql),
    (("sqlite",), Sqlite),
    (("mdbtools", "mdbodbc"), MdbTools),
    (("access",), Access),
)


def dialect_of(driver: str) -> Dialect:
    """Return the dialect of a driver, by its name or its library."""
    folded = driver.casefold()
    for marks, dialect in _BY_DRIVER:
        if any(mark in folded for mark in marks):
            return dialect()
    return Dialect()


def completed(connection: str, dialect: Dialect, login_seconds: int) -> str:
    """Return a connection string with what the dialect needs, where it does not say otherwise itself."""
    said = connection_attributes(connection)
    added = [
        f"{name}={value}" for name, value in dialect.attributes(login_seconds).items() if name.casefold() not in said
    ]
    return ";".join([connection.rstrip().rstrip(";"), *added])
