"""Are rows usable, keys unique, and do the three tables know each other's codes? Where not: which column would do."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from shared.erp.check.tables import CheckedTable
from shared.erp.day_forms import fitting_day_form
from shared.erp.findings import CheckReport, Finding, Severity
from shared.erp.joins.plan import JOINED, Match, join_plan
from shared.erp.profiles.model import Profile

_MANY, _SOME, _FEW = 0.5, 0.05, 0.005  # shares of rows
_LEAST_ROWS = 20  # before a share says anything
_WOULD_DO = 0.5  # the share of its values that another column must have in common to be named
_NO_DAY = "is not a date"
_NO_NUMBER = "is not a number"
_FILTERED = "left out by the filter"


def check_readable(table: CheckedTable, profile: Profile) -> Iterator[Finding]:
    """Yield what keeps rows, or many values of a column, from being used."""
    facts = table.facts
    if facts.rows_read == 0:
        remedy = "Check that it is the right table, and that the login may see its rows."
        yield Finding(severity=Severity.ERROR, field=table.name, message=f"{facts.origin} has no rows.", remedy=remedy)
        return
    unreadable = [
        _unreadable(table, profile, reason, count, count / facts.rows_read)
        for reason, count in facts.reasons.items()
        if _is_unreadable(reason) and count >= _FEW * facts.rows_read
    ]
    yield from unreadable
    if facts.rows_kept or not facts.reasons:
        return
    if not any(finding.severity is Severity.ERROR for finding in unreadable):
        yield _nothing_left(table)


def _is_unreadable(reason: str) -> bool:
    return reason.endswith((_NO_DAY, _NO_NUMBER)) or "unknown, so" in reason or reason.startswith("the unit of")


def _nothing_left(table: CheckedTable) -> Finding:
    """Return why no row is left: for the filters, where these alone leave none, else for the commonest reason."""
    facts = table.facts
    filtered = {reason: count for reason, count in facts.reasons.items() if reason.startswith(_FILTERED)}
    if sum(filtered.values()) == facts.rows_read:
        reason, count = max(filtered.items(), key=lambda entry: entry[1])
        message = f"{reason.capitalize()}: {count:,} of {facts.rows_read:,} rows, and none is left."
        remedy = "Compare the filter's values with those of the column."
        return Finding(severity=Severity.ERROR, field=f"{table.name}.filters", message=message, remedy=remedy)
    reason, count = max(facts.reasons.items(), key=lambda entry: entry[1])
    message = f"No row of {facts.origin} could be used; {count:,} times the reason is: {reason}."
    remedy = "Correct the column that the reason names, or the filter."
    return Finding(severity=Severity.ERROR, field=table.name, message=message, remedy=remedy)


def _unreadable(table: CheckedTable, profile: Profile, reason: str, count: int, share: float) -> Finding:
    samples = table.issues.samples.get(table.name, {}).get(reason, [])
    shown = f" such as {samples[0].rpartition(': ')[2]!r}" if samples else ""
    # Nearly every value unreadable is the profile's fault; a few are the source's.
    severity = Severity.ERROR if share >= _MANY else Severity.WARNING if share >= _SOME else Severity.HINT
    part = "filters" if reason.startswith("filter column") else "columns"
    field, remedy = f"{table.name}.{part}", "Correct the column, or the source."
    values = [sample.rpartition(": ")[2] for sample in samples]
    if reason.endswith(_NO_DAY):
        form = fitting_day_form(pl.Series(values, dtype=pl.String), least_share=0.5)
        field = "source.date_formats"
        remedy = f"Add {form!r} to source.date_formats." if form else "Add the dates' form to source.date_formats."
    elif reason.endswith(_NO_NUMBER):
        comma = not profile.source.decimal_comma and any("," in value for value in values)
        field = "source.decimal_comma" if comma else field
        remedy = "Set source.decimal_comma: true." if comma else "Is it the right column? Or add to source.null_tokens."
    elif reason.startswith("the unit of"):
        name = reason.removeprefix("the unit of ").split(" is ")[0]
        field = f"items.attributes.{name}"
        severity = Severity.WARNING if share >= _SOME else Severity.HINT
        remedy = f"Name its spellings in {field}.unit_spellings, or for empty cells a source_unit."
    return Finding(
        severity=severity,
        field=field,
        message=f"{table.name}: {reason} in {count:,} row(s) ({share:.1%}),{shown}.".replace(",.", "."),
        remedy=remedy,
    )


def check_keys(table: CheckedTable) -> Iterator[Finding]:
    """Yield what is wrong with the rows' keys: empty, repeated, or unknown among the items."""
    facts = table.facts
    read = facts.rows_read
    if read == 0:
        return
    empty = facts.reasons.get("item_code is empty", 0)
    if empty / read >= _SOME:
        message = f"{table.name}: item_code is empty in {empty:,} of {read:,} rows."
        yield _finding(table, "columns.item_code", message, "Name the column that holds the item's code.", empty / read)
    unknown = facts.reasons.get("item_code is unknown", 0)
    if unknown / read >= _SOME:
        message = f"{table.name}: the item code of {unknown:,} of {read:,} rows is in no row of the items."
        remedy = "Do both columns hold the same code? source.item_code_case merges upper and lower case."
        yield _finding(table, "columns.item_code", message, remedy, unknown / read)
    if table.name == "items":
        yield from _repeated(table, "item_code is repeated", "columns.item_code", _SOME)
    if table.name == "routings":
        yield from _repeated(table, "the step is repeated", "columns.routing_no", 0.2)


def _repeated(table: CheckedTable, reason: str, field: str, many: float) -> Iterator[Finding]:
    count, equal = (table.facts.reasons.get(said, 0) for said in (reason, f"{reason}, rows equal"))
    telling = _telling_apart(table) if count or equal else []
    if table.name == "routings" and telling:  # else rows that are equal were only exported twice
        count += equal
    share = count / table.facts.rows_read
    if share < _FEW or count < 2:
        return
    message = f"{table.name}: {reason} in {count:,} of {table.facts.rows_read:,} rows; the most complete row was kept."
    remedy = f"Rows of one key differ in {', '.join(telling)}: does a column belong to the key? " if telling else ""
    remedy += "Or filter, or group the rows in a query (sql)."
    severity = Severity.ERROR if share >= many else Severity.WARNING
    yield Finding(severity=severity, field=f"{table.name}.{field}", message=message, remedy=remedy)


def _telling_apart(table: CheckedTable) -> list[str]:
    """Return free columns that alone make the key unique in the sample, few-valued ones first."""
    read = table.facts.columns_read
    key = [read[f"columns.{name}"] for name in ("item_code", "routing_no", "sequence") if f"columns.{name}" in read]
    sample = table.sample.filter(pl.struct(key).is_duplicated())
    telling = []
    for name in table.free:
        apart = sample.select(pl.struct([*dict.fromkeys([*key, name])]).n_unique()).item() if sample.height else 0
        if sample.height and apart == sample.height:
            telling.append((sample[name].n_unique(), name))
    return [name for _, name in sorted(telling)[:3]]


def _finding(table: CheckedTable, field: str, message: str, remedy: str, share: float) -> Finding:
    severity = Severity.ERROR if share >= _MANY else Severity.WARNING
    return Finding(severity=severity, field=f"{table.name}.{field}", message=message, remedy=remedy)


def check_joins(tables: Mapping[str, CheckedTable], profile: Profile, report: CheckReport) -> list[Finding]:
    """Return what keeps work results from joining the plan; the report gets the shares and the coverage."""
    items, routings, results = (tables[name].frame for name in ("items", "routings", "work_results"))
    joined = join_plan(routings, results)
    matches = dict(joined.results["match"].cast(pl.String).value_counts().iter_rows())
    total = results.height
    shown = {match.value: matches.get(match.value, 0) for match in Match if matches.get(match.value, 0)}
    joining = sum(matches.get(match.value, 0) for match in JOINED)
    report.joins = {
        "routing_rows_of_known_items": _known_share(tables["routings"]),
        "work_result_rows_of_known_items": _known_share(tables["work_results"]),
        "work_results_joined": _share(joining, total),
        "work_results_by_match": shown,
    }
    report.coverage = _coverage(items, routings, results, joined.steps)
    unrouted = matches.get(Match.NO_ROUTING.value, 0)
    limited = report.rows_limit is not None
    comparable = total - unrouted if limited else total
    if comparable < _LEAST_ROWS or joining / comparable >= 1 - _SOME * 2:
        return []
    return list(_why_not(tables, profile, joining / comparable, unrouted / total, limited=limited))


def _why_not(
    tables: Mapping[str, CheckedTable], profile: Profile, joined: float, unrouted: float, *, limited: bool
) -> Iterator[Finding]:
    severity = Severity.ERROR if joined < 0.1 else Severity.WARNING if joined < 0.7 else Severity.HINT
    if unrouted > 1 - joined - unrouted and not limited:
        message = f"{unrouted:.1%} of the work results are of items without any planned step."
        remedy = "Do the routings of these items lie elsewhere, or does a filter leave them out?"
        yield Finding(severity=severity, field="routings", message=message, remedy=remedy)
        return
    message = f"Only {joined:.1%} of the work results name an operation that the item's routing has."
    better = _better_operation(tables, profile)
    remedy = (
        f"The values of {better} are those of the routings' operation_code: name it in "
        "work_results.columns.operation_code."
        if better
        else "Compare operation_code of the work results with that of the routings: is it the same kind of code?"
    )
    yield Finding(severity=severity, field="work_results.columns.operation_code", message=message, remedy=remedy)


def _better_operation(tables: Mapping[str, CheckedTable], profile: Profile) -> str | None:
    """Return the work results' column that holds the routings' operation codes, where the mapped one does not."""
    results = tables["work_results"]
    planned = set(tables["routings"].frame["operation_code"])
    best, share = None, _WOULD_DO
    for name in results.free:
        values = set(results.text(name, profile).drop_nulls())
        common = len(values & planned) / len(values) if values else 0.0
        if common > share:
            best, share = name, common
    return best


def _known_share(table: CheckedTable) -> float:
    return 1 - _share(table.facts.reasons.get("item_code is unknown", 0), table.facts.rows_read)


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _coverage(
    items: pl.DataFrame, routings: pl.DataFrame, results: pl.DataFrame, steps: pl.DataFrame
) -> dict[str, Any]:
    routed = routings.select("item_code").unique()
    done = routed.join(results.select("item_code").unique(), on="item_code", how="semi").height
    return {
        "items": items.height,
        "items_with_routing": _share(routed.height, items.height),
        "routed_items_with_results": _share(done, routed.height),
        "planned_steps_with_results": _share(int((steps["results"] > 0).sum()), steps.height),
        "first_report": str(results["reported_at"].min()) if results.height else None,
        "last_report": str(results["reported_at"].max()) if results.height else None,
    }
