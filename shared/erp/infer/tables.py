"""Which tables of a source are the items, the routings and the work results, and how they hang together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from shared.erp.infer.columns import Column
from shared.erp.infer.names import likeness, looks_like, spelled, table_likeness

_ALIKE = 0.98  # the share of items of which every row says the same
_CONTAINED = 0.6  # the share of a column's values that a key must have
_TRANSACTION = ("reported_at", "quantity", "order_no")


@dataclass
class Table:
    """One table or view of the source, looked at in its first rows."""

    name: str
    columns: dict[str, Column]
    rows: int
    keys: dict[str, frozenset[str]] = field(
        default_factory=dict
    )  # columns that could be its key, with all their values
    query: str | None = None  # what the rows come from, where it is no table of the source
    cells: dict[str, str] = field(default_factory=dict)  # where several tables are joined: what each column is there
    origin: str | None = None  # and what stands after FROM

    def picked(self, columns: Sequence[str]) -> str | None:
        """Return the query of some columns, or None where the rows come from one table of the source."""
        if self.origin is None:
            return self.query
        return f"SELECT {', '.join(self.cells[name] for name in dict.fromkeys(columns))} FROM {self.origin}"  # noqa: S608 - names are quoted

    @cached_property
    def sets(self) -> dict[str, frozenset[str]]:
        """The distinct values of each column, upper case."""
        return {name: frozenset(column.said.drop_nulls().str.to_uppercase()) for name, column in self.columns.items()}

    def like(self, role: str, columns: Sequence[Column] | None = None) -> list[Column]:
        """Return the columns whose names speak for a role, the strongest first."""
        among = list(self.columns.values()) if columns is None else list(columns)
        return sorted(
            (column for column in among if likeness(role, column.name)), key=lambda column: -likeness(role, column.name)
        )

    def best(self, role: str, columns: Sequence[Column] | None = None, *, strongly: bool = False) -> Column | None:
        """Return the column whose name speaks most for a role, if any does."""
        found = [column for column in self.like(role, columns) if column.filled > 0]
        if strongly:
            found = [column for column in found if looks_like(role, column.name)]
        return found[0] if found else None


@dataclass(frozen=True)
class Link:
    """A column of one table whose values are a key of another."""

    table: Table
    column: str
    target: Table
    key: str
    share: float


@dataclass
class Roles:
    """What plays which part."""

    items: Table
    item_key: str
    items_are_within: bool = False  # the items have no table: they are what another table's rows say of them
    routings: Table | None = None
    routings_item: str | None = None
    results: Table | None = None
    results_item: str | None = None
    parts: list[Table] = field(default_factory=list)  # the tables that the results are put together from
    header: Table | None = None  # where the results' item, quantity or day stands, by order
    header_link: Link | None = None


def contained(values: frozenset[str], key: frozenset[str]) -> float:
    """Return the share of the values that the key has."""
    return len(values & key) / len(values) if values else 0.0


def links(tables: Sequence[Table]) -> Iterator[Link]:
    """Yield the columns whose values are a key of another table, where the names do not speak against it."""
    for target in tables:
        for key, codes in target.keys.items():
            for table in tables:
                for name, values in table.sets.items():
                    column = table.columns[name]
                    if table is target or column.is_day or column.distinct < 2:
                        continue
                    share = contained(values, codes)
                    named = spelled(name) == spelled(key) or (
                        looks_like("item_code", name) and looks_like("item_code", key)
                    )
                    # Small whole numbers are contained in every numbered key: there the names must agree.
                    by_chance = column.is_whole and column.longest <= 4
                    if share >= _CONTAINED and (named or not by_chance):
                        yield Link(table, name, target, key, share)


def find_roles(tables: Sequence[Table]) -> Roles | None:
    """Return the tables' parts, or None where none looks like items and none names items in its rows."""
    linked = list(links(tables))
    candidates = [(_item_score(table, key, linked), table, key) for table in tables for key in table.keys]
    candidates = [entry for entry in candidates if entry[0] > 0]
    if candidates:
        _, items, key = max(candidates, key=lambda entry: (entry[0], -len(entry[2])))
        roles = Roles(items, key)
    else:
        found = _items_within(tables)
        if found is None:
            return None
        items, key = found
        linked = list(links([*tables, items]))
        roles = Roles(items, key, items_are_within=True)
    to_items = {
        id(link.table): link
        for link in sorted(linked, key=_by_name_and_share)
        if link.target is items and link.key == key
    }
    others = [table for table in tables if table is not items and table.rows]
    _find_results(roles, others, to_items, linked)
    _find_routings(roles, others, to_items)
    return roles


def _by_name_and_share(link: Link) -> tuple[int, float]:
    return likeness("item_code", link.column), link.share


def _item_score(table: Table, key: str, linked: Sequence[Link]) -> float:
    """Return how much a table, with this key, looks like the items: others refer to it, and it is no transaction."""
    referring = {id(link.table): link for link in linked if link.target is table and link.key == key}
    weight = sum(2.0 + 2.0 * _is_activity(link.table) for link in referring.values())
    named = likeness("item_code", key) + 2 * table_likeness("items", table.name)
    transaction = sum(1.5 for role in _TRANSACTION if table.best(role, strongly=True) is not None)
    other = 3.0 * any(looks_like(role, key) for role in ("order_no", "resource_code", "operation_code", "routing_no"))
    other += 3.0 * (bool(times(table)) and table.best("sequence", strongly=True) is not None)
    attributes = min(len(table.columns), 20) / 10 + 0.3 * min(sum(map(_describes, table.columns)), 6)
    if not referring and not named:
        return 0.0
    repeated = 0.0 if table.columns[key].is_unique else 3.0
    return weight + named + attributes - transaction - other - repeated


def candidate_columns(table: Table) -> str:
    """Return what the columns of a table might be by their names, where it speaks of steps or work; else nothing."""
    roles = (
        "item_code",
        "order_no",
        "sequence",
        "operation_code",
        "reported_at",
        "quantity",
        "setup_minutes",
        "run_minutes",
    )
    found = {role: column.name for role in roles if (column := table.best(role)) is not None}
    enough = len(found) >= 3 and ("run_minutes" in found or "sequence" in found)
    return ", ".join(f"{role} {name}" for role, name in found.items()) if enough else ""


def _describes(name: str) -> bool:
    """Return whether a column's name says what items are described by: sizes, kinds, texts, drawings."""
    is_key = spelled(name).endswith("_id")  # alone, `id` may be an inner diameter
    return not is_key and any(looks_like(role, name) for role in ("size", "family", "text", "drawing"))


def _is_activity(table: Table) -> bool:
    """Return whether a table speaks of operations or work."""
    return any(table.best(role, strongly=True) is not None for role in ("sequence", "operation_code", "resource_code"))


def _numeric(table: Table) -> list[Column]:
    return [column for column in table.columns.values() if column.is_number and not column.is_whole] + [
        column for column in table.columns.values() if column.is_number and column.is_whole
    ]


def times(table: Table) -> list[Column]:
    """Return the numeric columns that may be times by their names."""
    roles = ("run_minutes", "setup_minutes")
    return [
        column
        for column in _numeric(table)
        if any(likeness(role, column.name) for role in roles)
        and not any(looks_like(role, column.name) for role in ("quantity", "bad_quantity", "lot_quantity"))
    ]


def _find_results(roles: Roles, tables: Sequence[Table], to_items: dict[int, Link], linked: Sequence[Link]) -> None:
    """Note the table that looks most like reported work, and the header from which it takes what it lacks."""
    best = 0.0
    for table in tables:
        link = to_items.get(id(table))
        header = header_of(table, tables, to_items, linked)
        has_day = any(column.is_day for column in table.columns.values())
        score = 2.0 * table_likeness("work_results", table.name) - 2.0 * table_likeness("routings", table.name)
        score += 2.0 * (table.best("reported_at", strongly=True) is not None) + bool(times(table)) * 5.0 + has_day
        score += 2.0 * (table.best("quantity") is not None) + (table.best("order_no") is not None)
        score += 1.0 * (table.best("bad_quantity", strongly=True) is not None) + 3.0 * _is_activity(table)
        score -= 2.0 * (table.best("valid_to", strongly=True) is not None)
        repeated = link is not None and not table.columns[link.column].is_unique
        reachable = link is not None or header is not None
        has_work = has_day or (header is not None and any(column.is_day for column in header.target.columns.values()))
        if reachable and has_work and (repeated or header is not None) and score > max(best, 4.0):
            best = score
            roles.results, roles.results_item = table, None if link is None else link.column
            lacking = link is None or table.best("quantity") is None or not has_day
            roles.header_link = header if lacking else None
            roles.header = header.target if lacking and header is not None else None


def header_of(table: Table, tables: Sequence[Table], to_items: dict[int, Link], linked: Sequence[Link]) -> Link | None:
    """Return the link to the table of orders that this table's rows belong to, if there is one."""
    found = [
        link
        for link in linked
        if link.table is table
        and link.target in tables
        and id(link.target) in to_items
        and link.target.columns[link.key].is_unique
        and (looks_like("order_no", link.column) or looks_like("order_no", link.key))
    ]
    return max(found, key=lambda link: link.share, default=None)


def _find_routings(roles: Roles, tables: Sequence[Table], to_items: dict[int, Link]) -> None:
    """Note the table that looks most like planned steps."""
    best = 0.0
    for table in tables:
        link = to_items.get(id(table))
        if link is None or table is roles.results or table is roles.header:
            continue
        sequence = table.best("sequence")
        score = 2.0 * table_likeness("routings", table.name) - 1.0 * table_likeness("work_results", table.name)
        score += 2.0 * (table.best("sequence", strongly=True) is not None)
        score += 2.0 * (table.best("operation_code") is not None) + 1.0 * (table.best("resource_code") is not None)
        score += 1.0 * bool(times(table)) + 1.0 * (table.best("valid_to", strongly=True) is not None)
        score -= 4.0 * (table.best("reported_at", strongly=True) is not None and table.best("order_no") is not None)
        works = sequence is not None or table.best("operation_code") is not None
        if works and score > max(best, 3.0):
            best = score
            roles.routings, roles.routings_item = table, link.column


def _items_within(tables: Sequence[Table]) -> tuple[Table, str] | None:
    """Return the items that the rows of the largest table name, with the columns that an item always has alike."""
    named = [(table, column) for table in tables if (column := table.best("item_code", strongly=True)) is not None]
    named = [(table, column) for table, column in named if _is_activity(table) or times(table)]
    if not named:
        return None
    table, key = max(named, key=lambda entry: entry[0].rows)
    frame = pl.DataFrame({name: column.said for name, column in table.columns.items()}).drop_nulls(key.name)
    alike = frame.group_by(key.name, maintain_order=True).agg(pl.all().drop_nulls().n_unique())
    own = [name for name in alike.columns if name == key.name or alike[name].le(1).mean() >= _ALIKE]  # type: ignore[operator]
    first = frame.group_by(key.name, maintain_order=True).agg(pl.all().drop_nulls().first()).select(own)
    columns = {name: table.columns[name].of(first[name]) for name in own}
    return Table(table.name, columns, first.height, {key.name: table.sets[key.name]}), key.name
