"""The three mappings: source rows of items, routings and work results to their canonical tables."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, AttributeKind, item_schema
from shared.erp.issues import IssueLog
from shared.erp.mapping import rows
from shared.erp.mapping.ordering import in_order
from shared.erp.mapping.reports import map_work_results
from shared.erp.mapping.rows import TableRows
from shared.erp.mapping.time_units import setup_factors
from shared.erp.profiles.mapped import mapped_columns
from shared.erp.profiles.model import AttributeMapping, Profile, RoutingsTable, SourceTable
from shared.erp.sources.source import Condition, Source, find_column
from shared.erp.units import factor

_MAPPERS = 2  # batches mapped at once, while another is read
ONLY_ROUTING = "1"  # the routing number of a source that keeps one routing an item


MapBatch = Callable[[TableRows], pl.DataFrame]


def read_items(source: Source, profile: Profile, issues: IssueLog, now: datetime) -> pl.DataFrame:
    """Return the canonical items sorted by code: one row a code, sizes in their canonical units.

    Raises:
        SourceError: the table or a column that the profile names is missing.
    """
    reading = TableReading(source, profile, "items", issues, now)
    return rows.drop_duplicates(
        reading.mapped(lambda batch: map_items(batch, profile)),
        ["item_code"],
        table="items",
        reason="item_code is repeated",
        issues=issues,
    )


def read_routings(
    source: Source, profile: Profile, issues: IssueLog, now: datetime, known_items: pl.Series
) -> pl.DataFrame:
    """Return the canonical routings sorted by item, routing and sequence; times in minutes, run time a piece."""
    reading = TableReading(source, profile, "routings", issues, now)
    known = known_items.sort()
    return rows.drop_duplicates(
        reading.mapped(lambda batch: map_routings(batch, profile, known)),
        ["item_code", "routing_no", "sequence"],
        table="routings",
        reason="the step is repeated",
        issues=issues,
    )


def read_work_results(
    source: Source, profile: Profile, issues: IssueLog, now: datetime, known_items: pl.Series
) -> pl.DataFrame:
    """Return the canonical work results sorted by every column; times in minutes, run time of the whole quantity."""
    reading = TableReading(source, profile, "work_results", issues, now)
    known = known_items.sort()
    results = reading.mapped(lambda batch: map_work_results(batch, profile, known, now))
    return in_order(results, list(WORK_RESULT_SCHEMA))


class TableReading:
    """One table on its way from the source to its canonical form, a batch at a time."""

    def __init__(self, source: Source, profile: Profile, table: str, issues: IssueLog, now: datetime) -> None:
        """Find out which columns the source has; `table` is the canonical table's name."""
        self._source = source
        self._profile = profile
        self._table = table
        self._issues = issues
        self._now = now
        self.mapping: SourceTable = getattr(profile, table)
        self.known = source.columns(self.mapping)

    def mapped(self, map_batch: MapBatch, *, where: Condition | None = None) -> pl.DataFrame:
        """Return all batches mapped, in the source's order.

        Raises:
            SourceError: the table or a column that the profile names is missing, or the data cannot be read.
        """
        wanted = self._wanted()
        done: list[pl.DataFrame] = []
        under_way: deque[tuple[Future[pl.DataFrame], IssueLog]] = deque()

        def finish_first() -> None:
            mapped, found = under_way.popleft()
            done.append(mapped.result())
            self._issues.include(found)

        first_row = 0
        with ThreadPoolExecutor(_MAPPERS, thread_name_prefix="mapping") as mappers:
            for batch in self._source.batches(self.mapping, wanted, where=where):
                found = IssueLog()  # batches end in any order, but are counted in theirs
                under_way.append((mappers.submit(self._map, map_batch, batch, first_row, found), found))
                first_row += batch.height
                if len(under_way) > _MAPPERS:
                    finish_first()
            while under_way:
                finish_first()
        if not done:
            nothing = pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
            done.append(self._map(map_batch, nothing, 0, self._issues))
        return pl.concat(done, rechunk=True)

    @property
    def _origin(self) -> str:
        return self.mapping.shown if self.mapping.sql is None else f"the query of {self._table}"

    def _wanted(self) -> list[str]:
        """Return the source columns that the mapping names; all of them must be there, rows or not."""
        named = {
            find_column(names, known=self.known, table=self._origin, field=f"{self._table}.{field}")
            for field, names, _ in mapped_columns(self.mapping)
        }
        return [column for column in self.known if column in named]

    def _map(self, map_batch: MapBatch, batch: pl.DataFrame, first_row: int, issues: IssueLog) -> pl.DataFrame:
        opened = TableRows(
            batch,
            known=self.known,
            table=self._table,
            origin=self._origin,
            source=self._profile.source,
            issues=issues,
            first_row=first_row,
        )
        opened.filter(self.mapping.filters, now=self._now)
        return map_batch(opened)


def map_items(source: TableRows, profile: Profile) -> pl.DataFrame:
    """Return the canonical items of one batch, with what tells which of several rows counts."""
    columns = {"item_code": source.item_codes(profile.items.columns.item_code)}
    for name, mapping in profile.items.attributes.items():
        columns[name] = _attribute(source, name, mapping)
    if profile.items.keep is not None:
        columns |= source.rank(profile.items.keep.highest)
    return source.keep(columns, mapped_item_schema(profile))


def mapped_item_schema(profile: Profile) -> dict[str, pl.DataType]:
    """Return the schema of items before repeated ones are dropped."""
    return item_schema(profile.attributes) | (rows.RANK_SCHEMA if profile.items.keep is not None else {})


def _attribute(source: TableRows, name: str, mapping: AttributeMapping) -> pl.Series:
    names = mapping.column or (name,)
    if mapping.kind is AttributeKind.NUMERIC:
        return _measure(source, name, mapping)
    if mapping.kind is AttributeKind.DATE:
        return source.day(name, names, tokens=mapping.null_tokens)
    said = source.text(name, names, case=mapping.case, tokens=mapping.null_tokens)
    if mapping.values:
        meant = {spelling.strip().lower(): value for spelling, value in mapping.values.items()}
        folded = said.str.to_lowercase()
        said = folded.replace_strict(list(meant), list(meant.values()), default=said, return_dtype=pl.String)
    return said


def _measure(source: TableRows, name: str, mapping: AttributeMapping) -> pl.Series:
    values = source.number(name, mapping.column or (name,), tokens=mapping.null_tokens)
    if mapping.zero_is_unknown:
        values = values.set((values == 0).fill_null(value=False), None)
    if mapping.unit is not None:
        values = rows.in_canonical_unit(values, _unit_factors(source, name, mapping, values))
    low, high = mapping.minimum, mapping.maximum
    impossible = pl.repeat(False, values.len(), eager=True)
    if low is not None:
        impossible = impossible | (values < low)
    if high is not None:
        impossible = impossible | (values > high)
    impossible = impossible.fill_null(value=False)
    source.note(impossible, f"{name} is impossible", values)
    return values.set(impossible, None)


def _unit_factors(source: TableRows, name: str, mapping: AttributeMapping, values: pl.Series) -> pl.Series:
    """Return each row's factor to the canonical unit; null, and counted where there is a value, when unknown."""
    unit = mapping.unit or ""
    default = factor(mapping.source_unit, unit) if mapping.source_unit else None
    if mapping.unit_column is None:
        return pl.repeat(1.0 if default is None else default, values.len(), eager=True)
    spelled = source.text(f"{name} unit", mapping.unit_column)
    factors = rows.factors(spelled, lambda spelling: factor(spelling, unit, mapping.unit_spellings))
    if default is not None:
        factors = factors.set(spelled.is_null(), default)
    unknown = values.is_not_null() & factors.is_null()
    source.note(unknown & spelled.is_not_null(), f"the unit of {name} is unknown", spelled)
    source.note(unknown & spelled.is_null(), f"the unit of {name} is empty", values)
    return factors


def routing_schema(profile: Profile) -> dict[str, pl.DataType]:
    """Return the schema of `routings` with the columns that the profile takes along."""
    return {**ROUTING_SCHEMA, **{name: pl.String() for name in profile.routings.carry}}


def map_routings(source: TableRows, profile: Profile, known_items: pl.Series) -> pl.DataFrame:
    """Return the canonical routings of one batch; steps of items that are not known are left out."""
    mapping = profile.routings
    at = mapping.columns
    codes = source.item_codes(at.item_code)
    source.reject(~rows.are_known(codes, known_items), "item_code is unknown")
    sequence = source.sequence(at.sequence, required=True)
    operation = source.text("operation_code", at.operation_code)
    source.reject(operation.is_null(), "operation_code is empty")
    factors = source.minutes_factor(mapping.time_unit, mapping.time_unit_column)
    columns = {
        "item_code": codes,
        "routing_no": source.text("routing_no", at.routing_no).fill_null(ONLY_ROUTING),
        "sequence": sequence,
        "operation_code": operation,
        "operation_name": source.text("operation_name", at.operation_name),
        "resource_code": source.text("resource_code", at.resource_code),
        "resource_name": source.text("resource_name", at.resource_name),
        "inside": source.flag("inside", at.inside, yes=mapping.inside_values, no=mapping.outside_values),
        "setup_minutes": source.time("setup_minutes", at.setup_minutes, setup_factors(source, mapping, factors)),
        "run_minutes_per_unit": _run_per_unit(source, mapping, factors),
        "wait_minutes": source.time("wait_minutes", at.wait_minutes, factors),
        "move_minutes": source.time("move_minutes", at.move_minutes, factors),
        "queue_minutes": source.time("queue_minutes", at.queue_minutes, factors),
        "valid_from": source.day("valid_from", at.valid_from),
        "valid_to": source.day("valid_to", at.valid_to),
        "created_at": source.day("created_at", at.created_at),
        **{name: source.text(name, (name,)) for name in mapping.carry},
    }
    return source.keep(columns, routing_schema(profile))


def _run_per_unit(source: TableRows, mapping: RoutingsTable, factors: pl.Series) -> pl.Series:
    run = source.time("run_minutes_per_unit", mapping.columns.run_minutes_per_unit, factors)
    if mapping.lot_quantity is None:
        return run
    pieces = source.number("lot_quantity", mapping.lot_quantity)
    usable = (pieces > 0).fill_null(value=False)
    source.note(run.is_not_null() & ~usable, "lot_quantity is missing or not positive, so the run time is", pieces)
    return (run / pieces).set(~usable, None)
