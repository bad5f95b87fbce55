"""Column by column: what is constant, spelled in several ways, zero where it means unknown, or not used at all."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from shared.erp.canonical import AttributeKind
from shared.erp.check.tables import CheckedTable, named_columns
from shared.erp.findings import Finding, Severity
from shared.erp.profiles.model import AttributeMapping, ItemsTable, Profile

_OFTEN_ZERO = 0.05
_OFTEN_A_WORD = 0.10  # of a column's cells
_LEAST_ROWS = 20
_MOST_VALUES = 5_000  # a column of more values is no list of categories
_SPELLINGS_SHOWN = 3


def unused_columns(table: CheckedTable) -> list[dict[str, Any]]:
    """Return the source columns that the profile does not name, fullest first; shares of the rows looked at."""
    rows = table.sample.height
    found = []
    for name in table.free:
        said = table.sample[name].cast(pl.String, strict=False).str.strip_chars()
        filled = said.filter(said.is_not_null() & (said != ""))
        share = round(filled.len() / rows, 4) if rows else 0.0
        found.append({"column": name, "filled": share, "distinct": filled.n_unique()})
    return sorted(found, key=lambda entry: (-entry["filled"], entry["column"]))


def check_columns(table: CheckedTable, profile: Profile) -> Iterator[Finding]:
    """Yield hints on single columns."""
    yield from _several_names(table)
    if not isinstance(table.mapping, ItemsTable) or table.frame.height < _LEAST_ROWS:
        return
    for name, mapping in table.mapping.attributes.items():
        field = f"items.attributes.{name}"
        distinct = table.frame[name].drop_nulls().n_unique()
        if distinct <= 1:
            what = "is empty in every row" if distinct == 0 else "has the same value in every row that has one"
            remedy = f"Leave {field} out, or check its column."
            yield Finding(severity=Severity.HINT, field=field, message=f"{name} {what}.", remedy=remedy)
        if mapping.kind is AttributeKind.NUMERIC:
            yield from _zeros(table, name, mapping, profile)
        elif mapping.kind is AttributeKind.CATEGORICAL and distinct <= _MOST_VALUES:
            yield from _spellings(table.frame[name], field)
            yield from _words_for_nothing(table, name, mapping, profile)


def _zeros(table: CheckedTable, name: str, mapping: AttributeMapping, profile: Profile) -> Iterator[Finding]:
    values = table.numbers(table.column(mapping.column or (name,)), profile)[0].drop_nulls()
    share = float((values == 0).mean() or 0.0) if values.len() else 0.0  # type: ignore[arg-type] # a share
    if share >= _OFTEN_ZERO and share < 1 and not mapping.zero_is_unknown:
        field = f"items.attributes.{name}.zero_is_unknown"
        message = f"{name} is 0 in {share:.1%} of the rows that have a value."
        remedy = f"If 0 means that nobody entered it, set {field}: true."
        yield Finding(severity=Severity.HINT, field=field, message=message, remedy=remedy)


def _words_for_nothing(
    table: CheckedTable, name: str, mapping: AttributeMapping, profile: Profile
) -> Iterator[Finding]:
    """Yield where a word that is read as nothing is so common that it may be a value: NONE may mean uncoated."""
    cells = table.sample[table.column(mapping.column or (name,))].cast(pl.String, strict=False).str.strip_chars()
    words = {token.lower() for token in profile.source.null_tokens if token.strip().isalpha()}
    for word, count in cells.filter(cells.str.to_lowercase().is_in(sorted(words))).value_counts(sort=True).rows():
        share = count / cells.len()
        if share >= _OFTEN_A_WORD:
            message = f"{name}: {count:,} cells ({share:.1%}) say {word!r}, which is read as nothing."
            remedy = f"If it is a value, list source.null_tokens without {word.lower()!r}."
            field = "source.null_tokens"
            yield Finding(severity=Severity.HINT, field=field, message=message, remedy=remedy)


def _spellings(values: pl.Series, field: str) -> Iterator[Finding]:
    distinct = values.drop_nulls().unique().sort()
    folded = distinct.str.to_lowercase().str.replace_all(r"\s+", "")
    groups = pl.DataFrame({"value": distinct, "folded": folded}).group_by("folded", maintain_order=True).agg("value")
    several = [group for group in groups["value"].to_list() if len(group) > 1]
    if several:
        shown = "; ".join(" = ".join(map(repr, group)) for group in several[:_SPELLINGS_SHOWN])
        message = f"{len(several)} value(s) are spelled in several ways that differ by case or blanks only: {shown}."
        remedy = f"Merge them with {field}.case: upper, or {field}.values."
        yield Finding(severity=Severity.HINT, field=field, message=message, remedy=remedy)


def _several_names(table: CheckedTable) -> Iterator[Finding]:
    """Yield where the source has more than one of a column's names: only the first is read."""
    folded = {name.casefold(): name for name in table.known}
    for field, names in named_columns(table.mapping):
        present = list(dict.fromkeys(folded[name.casefold()] for name in names if name.casefold() in folded))
        if len(present) > 1:
            message = f"The source has {' and '.join(present)}; only {table.column(names)} is read."
            remedy = f"Keep one of them in {table.name}.{field}."
            yield Finding(severity=Severity.HINT, field=f"{table.name}.{field}", message=message, remedy=remedy)
