"""A database behind ODBC as a source of tables."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import polars as pl

from shared.erp.odbc.session import Session
from shared.erp.odbc.sql import Origin, Statement, Statements, Table, checked_query
from shared.erp.odbc.types import Column, chosen, columns_of, dtype_of, plain_name, to_frame
from shared.erp.profiles.errors import nearest
from shared.erp.profiles.mapped import mapped_columns
from shared.erp.profiles.model import SourceRules, SourceTable
from shared.erp.sources.location import OdbcLocation
from shared.erp.sources.parts import in_schema, joined_schema, read_for, spelled
from shared.erp.sources.source import BATCH_ROWS, Condition, find_column
from shared.errors import SourceError

_NOT_THE_FACTORYS = ("sys", "information_schema", "pg_catalog", "pg_toast")


class OdbcSource:
    """The tables and views of one database, read in one read-only session."""

    def __init__(self, location: OdbcLocation, rules: SourceRules) -> None:
        """Connect.

        Raises:
            SetupError: the machine lacks the ODBC driver manager.
            SourceError: the connection string, driver or login is wrong.
            SourceUnavailable: the database does not answer in time.
        """
        self._session = Session(location, rules.odbc)
        self._rules = rules
        self._statements = Statements(self._session.dialect, self._session.quote)
        self._catalogue: tuple[Table, ...] | None = None
        self._columns: dict[Origin, list[Column]] = {}
        self._default_schema: str | None = None

    @property
    def name(self) -> str:
        """The connection, without its secrets."""
        return self._session.name

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of tables and views, with the schema where it is not the session's own."""
        return tuple(self._shown(table) for table in self._listed())

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the column names of a table or query."""
        schemas = [self._schema(part) for part in self._parts(origin)]
        return list(joined_schema(schemas, list(mapped_columns(origin))) if origin.tables else schemas[0])

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table or query; after a reading by key the next one sees what was written meanwhile."""
        if origin.tables:
            frames = self._joined(origin, columns, where)
        else:
            frames = self._read(self._parts(origin)[0], columns, where)
        yield from _in_batches(frames)
        if where is not None and where.operator != ">=":
            self._session.end_transaction()

    def _joined(self, origin: SourceTable, columns: Sequence[str], where: Condition | None) -> Iterator[pl.DataFrame]:
        """Yield the rows of one table after the other, all with the same columns.

        A table that lacks a required column is an error; another column that it lacks is empty.
        """
        mapped, parts = list(mapped_columns(origin)), self._parts(origin)
        joined = joined_schema([self._schema(part) for part in parts], mapped)
        schema = {name: joined[self._known(joined, name, origin.shown)] for name in columns}
        for part in parts:
            known = self._schema(part)
            for field, names, required in mapped:
                if required:
                    find_column(names, known=list(known), table=_named(part), field=field)
            there = {name: spelled(known, name, mapped) for name in columns}
            asked = None if where is None else spelled(known, where.column, mapped)
            if where is None or asked is not None:
                condition = None if where is None or asked is None else replace(where, column=asked)
                for frame in self._read(part, read_for(there, known), condition):
                    yield in_schema(frame, there, schema, decimal_comma=self._rules.decimal_comma)

    def _read(self, origin: Origin, columns: Sequence[str], where: Condition | None) -> Iterator[pl.DataFrame]:
        known = {column.name: column for column in self._described(origin)}
        wanted = [known[self._known(known, name, _named(origin))] for name in columns]
        condition = None if where is None else (where, known[self._known(known, where.column, _named(origin))])
        yield from self._frames(origin, wanted, condition)

    def _frames(
        self, origin: Origin, wanted: Sequence[Column], where: tuple[Condition, Column] | None
    ) -> Iterator[pl.DataFrame]:
        dialect = self._session.dialect
        unbound = None if where is None or dialect.binds else where
        columns = list(wanted) if unbound is None or unbound[1] in wanted else [*wanted, unbound[1]]
        for statement in self._statements.rows(origin, columns, where):
            for rows in self._session.rows(statement, f"Reading {_named(origin)} of"):
                frame = to_frame(columns, rows, as_text=dialect.as_text, decimal_comma=self._rules.decimal_comma)
                yield frame if unbound is None else chosen(frame, *unbound).select(frame.columns[: len(wanted)])

    def count(self, origin: SourceTable) -> int:
        """Return how many rows there are."""
        return sum(map(self._counted, self._parts(origin)))

    def _counted(self, origin: Origin) -> int:
        rows = self._session.rows(self._statements.count(origin), f"Counting {_named(origin)} of")
        return int(next(rows)[0][0])

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _known(known: Collection[str], name: str, table: str) -> str:
        if name not in known:
            raise SourceError(
                f"{table} has no column {name}{nearest(name, known)}.",
                remedy=f"Its columns are: {', '.join(known)}.",
                column=name,
            )
        return name

    def _schema(self, origin: Origin) -> dict[str, pl.DataType]:
        as_text = self._session.dialect.as_text
        return {column.name: dtype_of(column, as_text=as_text) for column in self._described(origin)}

    def _described(self, origin: Origin) -> list[Column]:
        if origin not in self._columns:
            columns = self._named_columns(origin) or self._typed_columns(origin)
            names = [column.name for column in columns]
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise SourceError(
                    f"{_named(origin)} has more than one column {', '.join(repeated)}.",
                    remedy="Give each a name of its own with AS.",
                )
            self._columns[origin] = columns
        return self._columns[origin]

    def _named_columns(self, origin: Origin) -> list[Column]:
        """Return a table's columns where the system is asked for them by a query."""
        asked = self._session.dialect.columns_query
        if asked is None or not isinstance(origin, Table):
            return []
        answer = self._session.rows(Statement(asked, (origin.name,)), f"Reading {_named(origin)} of")
        return [Column(name, str) for rows in answer for (name,) in rows]

    def _typed_columns(self, origin: Origin) -> list[Column]:
        described = self._session.described(self._statements.no_rows(origin), f"Reading {_named(origin)} of")
        return [self._session.dialect.declared(column) for column in columns_of(described)]

    def _parts(self, origin: SourceTable) -> list[Origin]:
        """Return the query, the table by the first of its names that there is, or all the tables listed."""
        if origin.sql is not None:
            return [checked_query(origin.sql, self._session.dialect)]
        if origin.tables is not None:
            return [self._table((name,)) for name in origin.tables]
        return [self._table(origin.table or ())]

    def _table(self, names: Sequence[str]) -> Table:
        """Return the table that the first of the names means, exactly or else in another case."""
        for name in names:
            for same in (str, str.casefold):
                alike = [table for table in self._candidates(name) if same(name) in map(same, _forms(table))]
                if alike:
                    return self._only(name, alike)
        raise SourceError(
            f"{self.name} has no table or view {' or '.join(names)}{nearest(names[0], self.tables)}.",
            remedy=f"It has: {', '.join(self.tables) or 'none that the login may see'}.",
            table=names[0],
        )

    def _candidates(self, name: str) -> Iterable[Table]:
        """Return the session's tables, and those of another database where the name begins with one."""
        own = self._listed()
        parts = name.split(".")
        if len(parts) != 3 or parts[0].casefold() in {(table.catalog or "").casefold() for table in own}:
            return own
        return (*own, *_tables(self._session.listed(catalog=parts[0]), self._session.dialect.readable))

    def _only(self, name: str, alike: Sequence[Table]) -> Table:
        preferred = [table for table in alike if table.schema == self._default_schema]
        if len(alike) == 1 or len(preferred) == 1:
            return (preferred or alike)[0]
        raise SourceError(
            f"The table {name} is ambiguous: {', '.join(sorted(_forms(table)[-1] for table in alike))}.",
            remedy="Name the schema too: schema.table.",
            table=name,
        )

    def _listed(self) -> tuple[Table, ...]:
        if self._catalogue is None:
            query = self._session.dialect.default_schema_query
            if query is not None:
                answer: Any = next(self._session.rows(Statement(query), "Asking"))
                self._default_schema = answer[0][0]
            self._catalogue = tuple(_tables(self._session.listed(), self._session.dialect.readable))
        return self._catalogue

    def _shown(self, table: Table) -> str:
        is_own = not table.schema or table.schema == self._default_schema
        return table.name if is_own else f"{table.schema}.{table.name}"


def _in_batches(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield small frames joined to batches, none of them empty."""
    parts: list[pl.DataFrame] = []
    for frame in frames:
        if sum(part.height for part in parts) + frame.height > BATCH_ROWS:
            yield pl.concat(parts)
            parts = []
        if frame.height:
            parts.append(frame)
    if parts:
        yield pl.concat(parts)


def _tables(listed: Iterable[Any], kinds: Sequence[str]) -> Iterator[Table]:
    for catalog, schema, name, kind, *_ in listed:
        said = str(kind).upper()
        is_readable = any(word in said for word in kinds) and "SYSTEM" not in said
        if name and is_readable and str(schema or "").casefold() not in _NOT_THE_FACTORYS:
            yield Table(plain_name(name), schema or None, catalog or None)


def _forms(table: Table) -> list[str]:
    """Return the names by which a profile may mean a table, the shortest first."""
    parts = [part for part in (table.catalog, table.schema, table.name) if part]
    return [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]


def _named(origin: Origin) -> str:
    return origin.name if isinstance(origin, Table) else "the profile's sql"
