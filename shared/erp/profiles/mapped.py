"""Which source columns a table's mapping names, field by field: what is read, and what must be there."""

from collections.abc import Iterator
from typing import NamedTuple

from shared.erp.profiles.model import ItemsTable, RoutingsTable, SourceTable, WorkResultsTable


class MappedColumn(NamedTuple):
    """One field of a table's mapping that names a source column."""

    field: str  # where it stands in the profile, below the table: "columns.item_code", "filters.0"
    names: tuple[str, ...]  # the column and its aliases, of which the first that the source has is read
    required: bool  # whether no row counts without a value in it


def mapped_columns(mapping: SourceTable) -> Iterator[MappedColumn]:
    """Yield the fields that the mapping of rows needs, in the profile's order; a column may come more than once."""
    if isinstance(mapping, (ItemsTable, RoutingsTable, WorkResultsTable)):
        for field, known in type(mapping.columns).model_fields.items():
            names = getattr(mapping.columns, field)
            if names is not None:
                yield MappedColumn(f"columns.{field}", names, known.is_required())
    if isinstance(mapping, ItemsTable):
        if mapping.keep is not None:
            yield MappedColumn("keep.highest", mapping.keep.highest, required=False)
        for name, attribute in mapping.attributes.items():
            yield MappedColumn(f"attributes.{name}", attribute.column or (name,), required=False)
            if attribute.unit_column is not None:
                yield MappedColumn(f"attributes.{name}.unit_column", attribute.unit_column, required=False)
    for field in ("time_unit_column", "lot_quantity"):
        names = getattr(mapping, field, None)
        if names is not None:
            yield MappedColumn(field, names, required=False)
    if isinstance(mapping, RoutingsTable):
        yield from (MappedColumn(f"carry.{name}", (name,), required=False) for name in mapping.carry)
    for place, condition in enumerate(mapping.filters):
        yield from (MappedColumn(f"filters.{place}", names, required=False) for names in condition.columns)
