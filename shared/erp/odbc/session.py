"""One read-only ODBC session, every call of which ends in time."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog

from shared.erp.odbc.dialects import FETCH_ROWS, Dialect, completed, dialect_of
from shared.erp.odbc.drivers import driver_in, driver_remedy, is_installed
from shared.erp.odbc.errors import Scrubber, explained
from shared.erp.odbc.sql import Statement
from shared.erp.profiles.errors import nearest
from shared.erp.profiles.model import OdbcRules
from shared.erp.sources.location import OdbcLocation, connection_attributes
from shared.errors import SetupError, SourceError, SourceUnavailable

log = structlog.get_logger()

_Result = TypeVar("_Result")
_GRACE_SECONDS = 2.0  # after the driver's own time-out, or the server's, should have struck
_CLOSE_SECONDS = 5.0
_READ_ONLY = 1  # SQL_MODE_READ_ONLY
# What pyodbc raises, beside its own errors, at a value that Python cannot hold, such as a day in the year 20000.
_UNREADABLE_VALUES = (ValueError, ArithmeticError, UnicodeError, TypeError, SystemError, MemoryError)


class Caller:
    """A thread that makes blocking calls, so that one that does not return in time can be left behind.

    Such a call is not cancelled: SQLCancel from another thread frees what psqlODBC is still reading into.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]] | None] = queue.SimpleQueue()
        self.is_stuck = False
        threading.Thread(target=self._work, name="odbc-session", daemon=True).start()

    def call(self, act: Callable[[], _Result], seconds: float) -> _Result:
        """Return what `act` returns, or raise what it raises.

        Args:
            act: the blocking call.
            seconds: how long it may take.

        Raises:
            TimeoutError: it took longer; then, and for every later call.
        """
        if self.is_stuck:
            raise TimeoutError("an earlier call has not returned")
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tasks.put((act, answer))
        try:
            result, error = answer.get(timeout=seconds)
        except queue.Empty:
            self.is_stuck = True
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return] # it is what `act` returned

    def end(self) -> None:
        """Let the thread end after what it is doing."""
        self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            act, answer = task
            try:
                answer.put((act(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
                answer.put((None, error))
            del task, act, answer  # else a cursor would live on until the next call


def driver_manager() -> Any:
    """Return pyodbc.

    Raises:
        SetupError: the machine lacks the ODBC driver manager.
    """
    try:
        import pyodbc
    except ImportError as error:
        raise SetupError(
            f"The ODBC driver manager cannot be loaded: {error}.",
            remedy="Debian/Ubuntu: `apt install unixodbc`; Windows has one. `manage.py doctor` names the drivers.",
        ) from error
    # A pool would keep sessions open after their end, with whatever settings they had.
    pyodbc.pooling = False
    return pyodbc


class Session:
    """A connection that only reads; for one thread at a time."""

    def __init__(self, location: OdbcLocation, rules: OdbcRules) -> None:
        """Connect.

        Raises:
            SetupError: the machine lacks the ODBC driver manager.
            SourceError: the connection string, driver or login is wrong.
            SourceUnavailable: the database does not answer in time.
        """
        self.name = location.shown
        self._rules = rules
        self._pyodbc = driver_manager()
        connection = location.connection.get_secret_value()
        self._scrubber = Scrubber(connection)
        driver = self._driver_of(connection)
        self.dialect: Dialect = dialect_of(driver)
        self._check_file(connection)
        self._caller = Caller()
        self._in_transaction = False
        self._connection: Any = None
        try:
            self._connection = self._connected(connection)
            self.quote = str(self._called(lambda: self._connection.getinfo(self._pyodbc.SQL_IDENTIFIER_QUOTE_CHAR)))
            self._prepare()
        except BaseException:
            self.close()
            raise
        log.info("odbc.connected", source=self.name, system=self.dialect.system)

    def _driver_of(self, connection: str) -> str:
        """Return the driver's name; SourceError when the connection string names one that is not installed."""
        driver = driver_in(connection)
        if driver:
            installed = self._pyodbc.drivers()
            if not is_installed(driver, installed):
                raise SourceError(
                    f"The ODBC driver {driver!r} is not installed{nearest(driver, installed)}.",
                    remedy=driver_remedy(driver, installed),
                )
            return driver
        sources = {name.casefold(): (name, driver) for name, driver in self._pyodbc.dataSources().items()}
        dsn = connection_attributes(connection).get("dsn", "").strip("{}")
        if dsn and dsn.casefold() not in sources:
            known = [name for name, _ in sources.values()]
            raise SourceError(
                f"There is no ODBC data source {dsn!r}{nearest(dsn, known)}.",
                remedy=f"Known are: {', '.join(known) or 'none'}. Or name the driver: Driver={{...}};Server=...",
            )
        return sources[dsn.casefold()][1] if dsn else ""

    def _check_file(self, connection: str) -> None:
        """Raise SourceError where the database is a file and the file is missing; drivers say it badly."""
        named = connection_attributes(connection).get(self.dialect.file_attribute or "", "").strip("{}")
        if named and not named.startswith(("file:", ":")) and not Path(named).is_file():
            raise SourceError(f"There is no file {named}.", remedy="Check the path in the connection string.")

    def _connected(self, connection: str) -> Any:
        seconds = self._rules.login_timeout_seconds
        text = completed(connection, self.dialect, seconds)
        return self._called(
            lambda: self._pyodbc.connect(text, timeout=seconds, autocommit=self.dialect.autocommit),
            seconds=seconds,
            doing="Connecting to",
        )

    def _prepare(self) -> None:
        seconds = self._rules.statement_timeout_seconds

        def prepare() -> None:
            connection = self._connection
            # Drivers need not know these attributes; the dialect's statements and the caller's clock do the same.
            with contextlib.suppress(self._pyodbc.Error):
                connection.set_attr(self._pyodbc.SQL_ATTR_ACCESS_MODE, _READ_ONLY)
            with contextlib.suppress(self._pyodbc.Error):
                connection.timeout = seconds
            for statement in self.dialect.opening(seconds):
                connection.execute(statement).close()
            if not connection.autocommit:
                connection.commit()  # what was set holds from the next transaction on

        self._called(prepare, seconds=self._rules.login_timeout_seconds, doing="Preparing the session with")

    def rows(self, statement: Statement, doing: str) -> Iterator[list[Any]]:
        """Run a statement and yield its rows, some thousands at a time; no empty list."""
        cursor = self.execute(statement, doing)
        try:
            more = True
            while more:
                rows = self._called(lambda: cursor.fetchmany(FETCH_ROWS), doing=doing)
                more = len(rows) == FETCH_ROWS  # MDBTools never returns from a fetch after the last row
                if rows:
                    yield rows
        finally:
            self._release(cursor)

    def described(self, statement: Statement, doing: str) -> Sequence[Any]:
        """Return the description of a statement's columns; its rows are not fetched."""
        cursor = self.execute(statement, doing)
        try:
            return cursor.description or ()
        finally:
            self._release(cursor)

    def listed(self, **pattern: str) -> list[Any]:
        """Return the catalogue's rows of tables and views: catalog, schema, name, type and remark of each."""

        def fetch() -> list[Any]:
            with self._connection.cursor() as cursor:
                return list(cursor.tables(**pattern).fetchall())

        self._begin()
        return self._called(fetch, doing="Listing the tables of")

    def execute(self, statement: Statement, doing: str) -> Any:
        """Run a statement and return its cursor.

        Raises:
            SourceError: the statement is wrong, or forbidden.
            SourceUnavailable: the database went away, or did not answer in time.
        """
        self._begin()
        cursor = self._called(lambda: self._connection.cursor(), doing=doing)
        try:
            self._called(lambda: cursor.execute(statement.text, *statement.values), doing=doing)
        except BaseException:
            self._release(cursor)
            raise
        return cursor

    def end_transaction(self) -> None:
        """Let the next statement see what others have written meanwhile, and hold up nobody until then."""
        if self._in_transaction:
            self._in_transaction = False
            self._called(self._roll_back, doing="Ending the reading of")

    def close(self) -> None:
        """End the session; one that hangs is left to itself."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._caller.is_stuck:
            with contextlib.suppress(TimeoutError, self._pyodbc.Error):
                self._caller.call(connection.close, _CLOSE_SECONDS)
        self._caller.end()

    def _begin(self) -> None:
        if self._connection is None:
            raise SourceError(f"{self.name} was closed.", remedy="Open it again.")
        if not self._in_transaction and self.dialect.begin is not None:
            begin = self.dialect.begin
            self._called(lambda: self._connection.execute(begin).close(), doing="Reading")
        self._in_transaction = True

    def _roll_back(self) -> None:
        if not self._connection.autocommit:
            self._connection.rollback()
        elif self.dialect.begin is not None:
            self._connection.execute("ROLLBACK").close()

    def _release(self, cursor: Any) -> None:
        if self._connection is not None and not self._caller.is_stuck:
            with contextlib.suppress(TimeoutError, self._pyodbc.Error):
                self._caller.call(cursor.close, _CLOSE_SECONDS)

    def _called(
        self,
        act: Callable[[], _Result],
        *,
        doing: str = "Asking",
        seconds: int | None = None,
    ) -> _Result:
        limit = self._rules.statement_timeout_seconds if seconds is None else seconds
        try:
            return self._caller.call(act, limit + _GRACE_SECONDS)
        except self._pyodbc.Error as error:
            raise explained(error, doing=doing, name=self.name, scrubber=self._scrubber) from None
        except TimeoutError:
            raise SourceUnavailable(
                f"{doing} {self.name} was given up: no answer within {limit} s.",
                remedy="Try again, or raise the time-outs in the profile's source.odbc.",
            ) from None
        except _UNREADABLE_VALUES as error:
            said = self._scrubber.clean(str(error))
            raise SourceError(
                f"{doing} {self.name} failed: a value cannot be read ({said}).",
                remedy="Leave the value out, or CAST it to text, in a view or in the profile's sql.",
            ) from None
