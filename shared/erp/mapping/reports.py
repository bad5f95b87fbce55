"""Source rows of reported work to canonical work results."""

from datetime import datetime

import polars as pl

from shared.erp.canonical import WORK_RESULT_SCHEMA
from shared.erp.mapping.rows import TableRows, are_known, in_canonical_unit
from shared.erp.mapping.time_units import ReportPlaces, in_changed_units, setup_factors
from shared.erp.profiles.believable import Reports, broken_rules
from shared.erp.profiles.model import Profile, WorkResultsTable


def map_work_results(source: TableRows, profile: Profile, known_items: pl.Series, now: datetime) -> pl.DataFrame:
    """Return the canonical work results of one batch; those of items that are not known are left out."""
    mapping = profile.work_results
    at = mapping.columns
    codes = source.item_codes(at.item_code)
    source.reject(~are_known(codes, known_items), "item_code is unknown")
    operation = source.text("operation_code", at.operation_code)
    source.reject(operation.is_null(), "operation_code is empty")
    reported = source.day("reported_at", at.reported_at, required=True)
    resource = source.text("resource_code", at.resource_code)
    quantity, bad_quantity = _quantities(source, mapping)
    setup, run = _work_times(source, mapping, quantity, ReportPlaces(operation, resource, reported))
    reports = Reports(operation=operation, reported=reported, quantity=quantity, setup=setup, run=run)
    for broken, reason, values in broken_rules(mapping.believable, reports, profile.source.today(now)):
        source.reject(broken, reason, values)
    columns = {
        "item_code": codes,
        "routing_no": source.text("routing_no", at.routing_no),
        "sequence": source.sequence(at.sequence),
        "operation_code": operation,
        "resource_code": resource,
        "order_no": source.text("order_no", at.order_no),
        "reported_at": reported,
        "quantity": quantity,
        "bad_quantity": bad_quantity,
        "setup_minutes": setup,
        "run_minutes": run,
    }
    return source.keep(columns, WORK_RESULT_SCHEMA)


def _quantities(source: TableRows, mapping: WorkResultsTable) -> tuple[pl.Series, pl.Series]:
    """Return how many pieces the run time is for, and the bad ones among them; a row without any piece is rejected."""
    at = mapping.columns
    quantity = source.number("quantity", at.quantity, required=True)
    bad = source.number("bad_quantity", at.bad_quantity)
    source.note(bad < 0, "bad_quantity is negative", bad)
    bad = bad.set((bad < 0).fill_null(value=False), None)
    if mapping.quantity_counts == "good":
        quantity = (quantity + bad.fill_null(0.0)).zip_with((quantity >= 0).fill_null(value=False), quantity)
    source.reject(quantity <= 0, "quantity is not positive", quantity)
    return quantity, bad


def _work_times(
    source: TableRows, mapping: WorkResultsTable, quantity: pl.Series, places: ReportPlaces
) -> tuple[pl.Series, pl.Series]:
    """Return setup and total run minutes; a row whose run time is missing or negative is rejected."""
    at = mapping.columns
    factors = source.minutes_factor(mapping.time_unit, mapping.time_unit_column)
    of_setup = setup_factors(source, mapping, factors)
    if at.setup_minutes is not None:
        of_setup = in_changed_units(source, mapping.unit_changes, "setup_minutes", of_setup, places)
    factors = in_changed_units(source, mapping.unit_changes, "run_minutes", factors, places)
    setup = in_canonical_unit(source.number("setup_minutes", at.setup_minutes), of_setup)
    run = in_canonical_unit(source.number("run_minutes", at.run_minutes, required=True), factors)
    if mapping.run_time == "per_unit":
        run = run * quantity
    source.reject(run.is_null(), "run_minutes is in an unknown unit")
    source.reject(run < 0, "run_minutes is negative", run)
    source.reject(setup < 0, "setup_minutes is negative", setup)
    return setup, run
