"""The statements that a source sends: one SELECT each, names quoted, values bound; nothing is ever pasted in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.erp.odbc.dialects import Dialect
from shared.erp.odbc.types import Column, fitted
from shared.erp.sources.source import Condition
from shared.errors import SourceError

MOST_VALUES = 200  # bound values of a statement: every driver and system takes so many
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_CLOSING = {"[": "]"}
# Comments, and whatever is in quotes; a quote that is never closed fits none of them.
_OPAQUE = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]""", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """Text with a `?` for each value."""

    text: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table or view as the catalogue names it."""

    name: str
    schema: str | None = None
    catalog: str | None = None


@dataclass(frozen=True)
class Query:
    """A SELECT of the profile's author."""

    sql: str


Origin = Table | Query


class Statements:
    """Builds the statements of one session."""

    def __init__(self, dialect: Dialect, quote: str) -> None:
        """Take the system's peculiarities and the driver's quote, a blank where it has none."""
        self._dialect = dialect
        self._quote = quote.strip()

    def no_rows(self, origin: Origin) -> Statement:
        """Return the statement whose answer tells the columns of a table or query."""
        return Statement(f"SELECT * FROM {self._from(origin)} WHERE 1 = 0")  # noqa: S608 - names are quoted

    def count(self, origin: Origin) -> Statement:
        """Return the statement that counts rows."""
        return Statement(f"SELECT COUNT(*) FROM {self._from(origin)}")  # noqa: S608

    def rows(
        self, origin: Origin, columns: Sequence[Column], where: tuple[Condition, Column] | None = None
    ) -> Iterator[Statement]:
        """Yield the statements that together give the rows wanted, each row once.

        Args:
            origin: the table or query.
            columns: those wanted, in order.
            where: the condition and the column that it is about; every row when left out.
        """
        listed = ", ".join(self._read(column) for column in columns)
        text = f"SELECT {listed} FROM {self._from(origin)}"  # noqa: S608
        if where is None or not self._dialect.binds:
            yield Statement(text)
            return
        for condition, values in self._conditions(*where):
            yield Statement(f"{text} WHERE {condition}", values)

    def name(self, name: str) -> str:
        """Return a name in the driver's quotes.

        Raises:
            SourceError: the name cannot be quoted.
        """
        if not name or "\0" in name:
            raise SourceError("A name of the source is empty or holds a NUL.", remedy="Rename it in a view.")
        if not self._quote:
            if not _PLAIN_NAME.fullmatch(name):
                raise SourceError(
                    f"The driver cannot quote the name {name!r}.", remedy="Rename it in a view, or use another driver."
                )
            return name
        closing = _CLOSING.get(self._quote, self._quote)
        return f"{self._quote}{name.replace(closing, closing * 2)}{closing}"

    def _from(self, origin: Origin) -> str:
        if isinstance(origin, Query):
            return f"(\n{origin.sql}\n) AS q"
        catalog = origin.catalog if self._dialect.catalogs else None
        parts = (catalog, origin.schema, origin.name)
        return ".".join(self.name(part) for part in parts if part)

    def _read(self, column: Column) -> str:
        quoted = self.name(column.name)
        expression = self._dialect.read(column, quoted)
        return quoted if expression == quoted else f"{expression} AS {quoted}"

    def _conditions(self, condition: Condition, column: Column) -> Iterator[tuple[str, tuple[Any, ...]]]:
        quoted = self.name(column.name)
        at_least = condition.operator == ">="
        values = [fitted(value, column, at_least=at_least) for value in condition.values]
        known = list(dict.fromkeys(value for value in values if value is not None))
        if not known:
            return
        if at_least:
            yield f"{quoted} >= ?", (known[0],)
            return
        value = "?"
        if condition.operator == "code" and column.kind is str:
            upper = self._dialect.upper
            quoted, value = f"{upper}(LTRIM(RTRIM({quoted})))", f"{upper}(?)"
            known = [str(said).strip() for said in known]
        for chunk in _chunks(known):
            several = f"IN ({', '.join([value] * len(chunk))})"
            yield f"{quoted} {several if len(chunk) > 1 else f'= {value}'}", chunk


def _chunks(values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the values in parts; those that a database may hold to be the same stay in one, lest rows come twice."""
    alike: dict[Any, list[Any]] = {}
    for value in values:
        alike.setdefault(value.strip().casefold() if isinstance(value, str) else value, []).append(value)
    chunk: list[Any] = []
    for group in alike.values():
        if chunk and len(chunk) + len(group) > MOST_VALUES:
            yield tuple(chunk)
            chunk = []
        chunk.extend(group)
    yield tuple(chunk)


def checked_query(sql: str, dialect: Dialect) -> Query:
    """Return a profile's query as one that may stand inside another.

    Raises:
        SourceError: it is not one SELECT.
    """
    bare = _OPAQUE.sub(_blanked, sql).rstrip("; \t\r\n")  # every sign keeps its place
    first = bare.lstrip("( \t\r\n")[:6].upper()
    wrong = None
    if not dialect.query_starts:
        wrong = "this driver knows no queries; have Access make a table of it, and name the table"
    elif not first.startswith(dialect.query_starts):
        wrong = f"it has to begin with {' or '.join(dialect.query_starts)}, since it becomes a part of another query"
    elif ";" in bare:
        wrong = "it holds more than one statement"
    elif any("\\'" in found[0] for found in _OPAQUE.finditer(sql) if found[0].startswith("'")):
        wrong = "a backslash before a quote means different things in different databases"
    elif re.search(r"['\"`]|/\*", bare) or _is_unbalanced(bare):
        wrong = "a quote, comment or parenthesis is not closed"
    if wrong:
        raise SourceError(f"The profile's sql cannot be run: {wrong}.", remedy="docs/ODBC.md says what it may hold.")
    return Query(sql[: len(bare)])


def _blanked(found: re.Match[str]) -> str:
    return (" " if found[0].startswith(("--", "/*")) else "_") * len(found[0])


def _is_unbalanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return True
    return depth != 0
