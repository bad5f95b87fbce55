"""The queries of a proposed profile: what a table lacks, taken from another; or no rows where there is no table.

Names are quoted wherever a dialect could read them otherwise; nothing of the source's values stands in a query.
"""

import re
from dataclasses import dataclass

from shared.erp.infer.steps import Choice, Steps
from shared.erp.infer.tables import Link, Table
from shared.erp.sources.location import Location, OdbcLocation, connection_attributes

WORK_REQUIRED = ("item_code", "operation_code", "reported_at", "quantity", "run_minutes")


@dataclass(frozen=True)
class Dialect:
    """How names are written in the queries of one source."""

    location: Location

    def quoted(self, name: str) -> str:
        """Return a name fit for a query: plain where that is safe, else as the dialect quotes names."""
        if isinstance(self.location, OdbcLocation):
            return f"[{name}]" if self._is_access(self.location) else '"' + name.replace('"', '""') + '"'
        return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else '"' + name.replace('"', '""') + '"'

    def table(self, name: str) -> str:
        """Return a table's name fit for a query; in a database a dot parts it from its schema."""
        parts = name.split(".") if isinstance(self.location, OdbcLocation) else [name]
        return ".".join(self.quoted(part) for part in parts)

    def origin(self, table: Table, columns: list[str] | None = None) -> str:
        """Return what stands after FROM for a table of the source or of a query; an alias must follow."""
        query = table.picked(list(table.columns) if columns is None else columns)
        return self.table(table.name) if query is None else f"({query})"

    @staticmethod
    def _is_access(location: OdbcLocation) -> bool:
        driver = connection_attributes(location.connection.get_secret_value()).get("driver", "")
        return re.search(r"access|mdb", driver, re.IGNORECASE) is not None

    def no_rows(self, table: str, column: str, roles: tuple[str, ...]) -> str:
        """Return a query of a table's column under several names that has no rows."""
        names = ", ".join(f"{self.quoted(column)} AS {role}" for role in roles)
        return f"SELECT {names} FROM {self.table(table)} WHERE 1 = 0"  # noqa: S608 - names are quoted

    def grouped(self, table: str, key: str, others: list[str]) -> str:
        """Return a query of one row a key, with one value of each other column."""
        names = ", ".join([self.quoted(key), *(f"MIN({self.quoted(name)}) AS {self.quoted(name)}" for name in others)])
        return f"SELECT {names} FROM {self.table(table)} GROUP BY {self.quoted(key)}"  # noqa: S608 - names are quoted

    def distinct(self, columns: list[str], origin: str) -> str:
        """Return a query of the distinct values of some columns, already quoted, of a table or query."""
        return f"SELECT DISTINCT {', '.join(dict.fromkeys(columns))} FROM {origin}"  # noqa: S608 - names are quoted


@dataclass
class WorkQuery:
    """Reported work put together from its own table, the orders' and the plan's."""

    dialect: Dialect
    work: Steps
    lent: dict[str, Choice]  # columns of the table of orders
    link: Link | None  # to the table of orders
    routing: Steps | None  # whose operation stands at the reported sequence, where the report does not name it
    one_piece: bool = False  # no quantity is known

    def columns(self) -> dict[str, Choice]:
        """Return the query's columns by role."""
        own = {choice.column for choice in self.work.chosen.values()}
        columns = dict(self.work.chosen)
        for role, choice in self.lent.items():
            columns[role] = Choice(f"order_{choice.column}" if choice.column in own else choice.column, choice.why)
        if self.routing is not None:
            columns["operation_code"] = Choice(
                "operation_code", "the one that the plan has at this sequence of the item"
            )
        if self.one_piece:
            why = "no column of pieces was found: each report counts as one piece; look twice"
            columns["quantity"] = Choice("quantity", why)
        return columns

    def sql(self) -> str:
        """Return the query."""
        quoted = self.dialect.quoted
        chosen = list(dict.fromkeys(f"r.{quoted(choice.column)}" for choice in self.work.chosen.values()))
        if self.work.time_unit_column is not None:
            chosen.append(f"r.{quoted(self.work.time_unit_column)}")
        named = self.columns()
        for role, choice in self.lent.items():
            alias = "" if named[role].column == choice.column else f" AS {quoted(named[role].column)}"
            chosen.append(f"o.{quoted(choice.column)}{alias}")
        joins = ""
        if self.lent and self.link is not None:
            target = self.dialect.table(self.link.target.name)
            joins += f" LEFT JOIN {target} AS o ON r.{quoted(self.link.column)} = o.{quoted(self.link.key)}"
        if self.routing is not None:
            chosen.append("s.operation_code")
            joins += self._plan_join(self.routing)
        if self.one_piece:
            chosen.append("1 AS quantity")
        if not self.lent and self.routing is None and not self.one_piece and self.work.table.origin is not None:
            return self.work.table.picked(self.work.used) or ""
        table = self.dialect.origin(self.work.table, self.work.used)
        return f"SELECT {', '.join(dict.fromkeys(chosen))} FROM {table} AS r{joins}"  # noqa: S608 - names are quoted

    def _plan_join(self, routing: Steps) -> str:
        quoted = self.dialect.quoted
        roles = ("item_code", "sequence", "operation_code")
        item, sequence, operation = (quoted(routing.chosen[role].column) for role in roles)
        own = self.work.chosen.get("item_code")
        code = f"r.{quoted(own.column)}" if own is not None else f"o.{quoted(self.lent['item_code'].column)}"
        if own is not None and self.work.table.columns[own.column].is_padded:
            code = f"TRIM({code})"
        step = f"r.{quoted(self.work.chosen['sequence'].column)}"
        plan = (
            f"SELECT {item} AS item, {sequence} AS seq, MIN({operation}) AS operation_code "  # noqa: S608 - likewise
            f"FROM {self.dialect.origin(routing.table, routing.used)} AS p GROUP BY {item}, {sequence}"
        )
        return f" LEFT JOIN ({plan}) AS s ON {code} = s.item AND {step} = s.seq"
