"""Source rows of reported work to canonical work results."""

from datetime import datetime
from typing import NamedTuple

import polars as pl

from shared.erp.canonical import WORK_RESULT_SCHEMA
from shared.erp.mapping.rows import TableRows, are_known, in_canonical_unit
from shared.erp.mapping.time_units import ReportPlaces, in_changed_units, setup_factors
from shared.erp.profiles.believable import Reports, broken_rules
from shared.erp.profiles.model import Profile, WorkResultsTable

REVERSED = "takes back what was booked on its order"


class _Figures(NamedTuple):
    """What a batch of reports says in numbers; those of reversals without their sign."""

    quantity: pl.Series
    bad_quantity: pl.Series
    setup: pl.Series  # in the source's unit, as is run
    run: pl.Series
    reversal: pl.Series  # whether the report takes back what was booked on its order


def map_work_results(source: TableRows, profile: Profile, known_items: pl.Series, now: datetime) -> pl.DataFrame:
    """Return the canonical work results of one batch; those of items that are not known are left out.

    A report that takes back what was booked on its order stays, with its figures below zero, under the same conditions
    as what it takes back: who learns or judges sums the reports of an order (`shared.prediction.minutes.reports`).
    """
    mapping = profile.work_results
    at = mapping.columns
    codes = source.item_codes(at.item_code)
    source.reject(~are_known(codes, known_items), "item_code is unknown")
    operation = source.text("operation_code", at.operation_code)
    source.reject(operation.is_null(), "operation_code is empty")
    reported = source.day("reported_at", at.reported_at, required=True)
    resource = source.text("resource_code", at.resource_code)
    order = source.text("order_no", at.order_no)
    figures = _figures(source, mapping, order)
    quantity, bad_quantity = _quantities(source, mapping, figures)
    setup, run = _work_times(source, mapping, figures, quantity, ReportPlaces(operation, resource, reported))
    reports = Reports(operation=operation, reported=reported, quantity=quantity, setup=setup, run=run)
    for broken, reason, values in broken_rules(mapping.believable, reports, profile.source.today(now)):
        source.reject(broken, reason, values)
    source.note(figures.reversal, REVERSED)

    def signed(values: pl.Series) -> pl.Series:
        return (0.0 - values).zip_with(figures.reversal, values) if figures.reversal.any() else values

    columns = {
        "item_code": codes,
        "routing_no": source.text("routing_no", at.routing_no),
        "sequence": source.sequence(at.sequence),
        "operation_code": operation,
        "resource_code": resource,
        "order_no": order,
        "reported_at": reported,
        "quantity": signed(quantity),
        "bad_quantity": signed(bad_quantity),
        "setup_minutes": signed(setup),
        "run_minutes": signed(run),
    }
    return source.keep(columns, WORK_RESULT_SCHEMA)


def _figures(source: TableRows, mapping: WorkResultsTable, order: pl.Series) -> _Figures:
    """Return the numbers of a batch; a row whose quantity or run time is missing is rejected.

    A reversal names its order, has no figure above zero and one below. Run time a piece has no sign of its own.
    """
    at = mapping.columns
    quantity = source.number("quantity", at.quantity, required=True)
    bad = source.number("bad_quantity", at.bad_quantity)
    setup = source.number("setup_minutes", at.setup_minutes)
    run = source.number("run_minutes", at.run_minutes, required=True)
    signs = [quantity, bad, setup] if mapping.run_time == "per_unit" else [quantity, bad, setup, run]
    reversal = order.is_not_null()
    below = pl.repeat(False, order.len(), eager=True)
    for values in signs:
        reversal = reversal & (values <= 0).fill_null(value=True)
        below = below | (values < 0).fill_null(value=False)
    reversal = reversal & below
    if reversal.any():
        quantity, bad, setup, run = (v.abs().zip_with(reversal, v) for v in (quantity, bad, setup, run))
    return _Figures(quantity, bad, setup, run, reversal)


def _quantities(source: TableRows, mapping: WorkResultsTable, figures: _Figures) -> tuple[pl.Series, pl.Series]:
    """Return how many pieces the run time is for, and the bad ones among them; a row without any piece is rejected.

    A reversal may take back minutes alone.
    """
    quantity, bad = figures.quantity, figures.bad_quantity
    source.note(bad < 0, "bad_quantity is negative", bad)
    bad = bad.set((bad < 0).fill_null(value=False), None)
    if mapping.quantity_counts == "good":
        quantity = (quantity + bad.fill_null(0.0)).zip_with((quantity >= 0).fill_null(value=False), quantity)
    source.reject((quantity <= 0) & ~figures.reversal, "quantity is not positive", quantity)
    return quantity, bad


def _work_times(
    source: TableRows, mapping: WorkResultsTable, figures: _Figures, quantity: pl.Series, places: ReportPlaces
) -> tuple[pl.Series, pl.Series]:
    """Return setup and total run minutes; a row whose times are negative, or of an unknown unit, is rejected."""
    factors = source.minutes_factor(mapping.time_unit, mapping.time_unit_column)
    of_setup = setup_factors(source, mapping, factors)
    if mapping.columns.setup_minutes is not None:
        of_setup = in_changed_units(source, mapping.unit_changes, "setup_minutes", of_setup, places)
    factors = in_changed_units(source, mapping.unit_changes, "run_minutes", factors, places)
    setup, run = in_canonical_unit(figures.setup, of_setup), in_canonical_unit(figures.run, factors)
    if mapping.run_time == "per_unit":
        run = run * quantity
    source.reject(run.is_null(), "run_minutes is in an unknown unit")
    source.reject(run < 0, "run_minutes is negative", run)
    source.reject(setup < 0, "setup_minutes is negative", setup)
    return setup, run
