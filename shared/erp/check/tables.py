"""One table under check: its mapping, what the source holds, and the canonical rows that came of it."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import polars as pl

from shared.erp import parsing
from shared.erp.canonical import ROUTING_SCHEMA
from shared.erp.findings import Finding, Severity, TableFacts
from shared.erp.infer.names import looks_like
from shared.erp.issues import IssueLog
from shared.erp.profiles.mapped import mapped_columns
from shared.erp.profiles.model import Profile, RoutingsTable, SourceTable
from shared.erp.sources.source import find_column
from shared.errors import SourceError

_LOT_FILLED = 0.8  # the least share of rows in which a lot's quantity is stated


class CheckedTable:
    """A table that could be read."""

    def __init__(self, name: str, mapping: SourceTable, known: list[str], facts: TableFacts, issues: IssueLog) -> None:
        self.name = name
        self.mapping = mapping
        self.known = known
        self.facts = facts
        self.issues = issues
        self.sample = pl.DataFrame()  # raw rows with all the source's columns
        self.frame = pl.DataFrame()  # canonical
        self.lots: tuple[str, ...] = ()  # routings: columns that may say how many pieces a run time covers

    def column(self, names: Sequence[str]) -> str:
        """Return the source column that is read for a column's names."""
        return find_column(names, known=self.known, table=self.facts.origin, field=self.name)

    @cached_property
    def used(self) -> set[str]:
        """The source columns that the profile names."""
        return set(self.facts.columns_read.values())

    @property
    def free(self) -> list[str]:
        """The source columns that the profile does not name."""
        taken = self.used or {self.column(names) for _, names in named_columns(self.mapping)}
        return [name for name in self.known if name not in taken]

    def text(self, column: str, profile: Profile) -> pl.Series:
        """Return a raw column of the sample as trimmed text, null where empty."""
        return parsing.text(self.sample[column], null_tokens=profile.source.null_tokens)

    def numbers(self, column: str, profile: Profile) -> tuple[pl.Series, pl.Series]:
        """Return a raw column of the sample as numbers, and the mask of cells that are none."""
        rules = profile.source
        return parsing.number(self.sample[column], null_tokens=rules.null_tokens, decimal_comma=rules.decimal_comma)


def named_columns(mapping: SourceTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every field of a table's mapping that names a source column, with the column's names."""
    yield from ((field, names) for field, names, _ in mapped_columns(mapping))
    if mapping.changes is not None:
        yield "changes.changed_at", mapping.changes.changed_at
        yield from (("changes.key", (name,)) for name in mapping.changes.key)


def missing_columns(table: str, mapping: SourceTable, known: Sequence[str], origin: str) -> Iterator[Finding]:
    """Yield a finding for each mapped column that the source lacks."""
    for field, names in named_columns(mapping):
        try:
            find_column(names, known=known, table=origin, field=f"{table}.{field}")
        except SourceError as error:
            alike = [name for name in known if looks_like(field.rpartition(".")[2], name)]
            more = f" By its name it could be {', '.join(alike[:3])}." if alike else ""
            yield Finding(
                severity=Severity.ERROR,
                field=f"{table}.{field}",
                message=error.detail + more,
                remedy=f"Name one of its columns in {table}.{field}: {', '.join(known)}.",
            )


def lot_columns(table: CheckedTable) -> tuple[str, ...]:
    """Return the mapped lot quantity, or the free columns that could be one: whole positive numbers, named so."""
    mapping = table.mapping
    if isinstance(mapping, RoutingsTable) and mapping.lot_quantity is not None:
        return (table.column(mapping.lot_quantity),)
    found = []
    for name in table.free:
        if name not in ROUTING_SCHEMA and looks_like("lot_quantity", name) and table.sample.height:
            said = table.sample[name].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
            filled = said.drop_nulls()
            if filled.len() >= _LOT_FILLED * said.len() and (filled >= 1).all() and (filled > 1).any():
                found.append(name)
    return tuple(found)
