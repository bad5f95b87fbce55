"""Tables whose rows name no item but belong to rows that do: lines of a plan, tickets of such a line."""

from collections.abc import Sequence

import polars as pl

from shared.erp.infer.columns import Column
from shared.erp.infer.names import looks_like, spelled
from shared.erp.infer.queries import Dialect
from shared.erp.infer.tables import Link, Roles, Table, header_of, links, times

_LONGEST_WAY = 3
_SURELY = 0.95  # the share of values that a key must have where its name is another
_VALIDITY = ("valid_from", "valid_to")


def joined_tables(roles: Roles, tables: Sequence[Table], dialect: Dialect) -> list[Table]:
    """Return each table that reaches the items through others, with the columns that these lend it."""
    linked = list(links(tables))
    to_items = {id(link.table): link for link in linked if link.target is roles.items and link.key == roles.item_key}
    found = []
    for table in tables:
        if table is roles.items or id(table) in to_items or header_of(table, tables, to_items, linked) is not None:
            continue
        way = _way(table, linked, set(to_items), ())
        if way:
            found.append(_joined(table, way, dialect))
    return found


def _way(table: Table, linked: Sequence[Link], ends: set[int], so_far: tuple[Link, ...]) -> tuple[Link, ...]:
    """Return the shortest chain of links from a table to one that names items; empty where there is none."""
    if so_far and id(table) in ends:
        return so_far
    if len(so_far) == _LONGEST_WAY:
        return ()
    seen = {id(link.table) for link in so_far}
    steps = [link for link in linked if link.table is table and id(link.target) not in seen and _is_sure(link)]
    ways = [way for link in steps if (way := _way(link.target, linked, ends, (*so_far, link)))]
    return min(ways, key=len, default=())


def _is_sure(link: Link) -> bool:
    """Return whether a row belongs to one row of the target, by the names or by codes that are no plain numbers."""
    if not link.target.columns[link.key].is_unique or link.table.columns[link.column].is_unique:
        return False
    same = spelled(link.column) == spelled(link.key)
    return same or (link.share >= _SURELY and not link.table.columns[link.column].is_whole)


def _joined(table: Table, way: tuple[Link, ...], dialect: Dialect) -> Table:
    frame = _frame(table, list(table.columns))
    columns = dict(table.columns)
    cells = {name: f"t.{dialect.quoted(name)}" for name in columns}
    alias, joins = "t", f"{dialect.table(table.name)} AS t"
    for number, link in enumerate(way, 1):
        lent = [name for name in link.target.columns if name not in columns and _lends(link.target, name)]
        before, alias = alias, f"j{number}"
        target, own, key = dialect.table(link.target.name), dialect.quoted(link.column), dialect.quoted(link.key)
        joins += f" LEFT JOIN {target} AS {alias} ON {before}.{own} = {alias}.{key}"
        other = _frame(link.target, list(dict.fromkeys([link.key, *lent]))).unique(link.key, keep="first")
        frame = frame.join(other, left_on=link.column, right_on=link.key, how="left", maintain_order="left")
        columns |= {name: link.target.columns[name].of(frame[name]) for name in lent if name in frame.columns}
        cells |= {name: f"{alias}.{dialect.quoted(name)}" for name in lent if name in frame.columns}
    return Table(table.name, columns, table.rows, cells={name: cells[name] for name in columns}, origin=joins)


def _frame(table: Table, names: list[str]) -> pl.DataFrame:
    return pl.DataFrame({name: table.columns[name].said for name in names})


def _lends(table: Table, name: str) -> bool:
    """Return whether a column may say something of the rows that belong to its own: codes and sequences, no times."""
    column: Column = table.columns[name]
    if column.is_day:
        return any(looks_like(role, name) for role in _VALIDITY)
    return column not in times(table) and not looks_like("setup_minutes", name)
