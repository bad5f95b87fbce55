"""Sentences for what a person should look at in a data quality document, the worst first, each with what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from shared.erp.findings import Finding, Severity
from shared.erp.joins.plan import Match

Document = Mapping[str, Any]

_EMPTY_SHARE = 0.02  # a column with less than this is as good as empty
_HEAVY = 0.5  # weight from which a missing attribute is felt
_ZERO_SHARE = 0.05  # zeros among a size's values that ask whether they mean unknown
_LOST_ROWS = 0.01  # of a table, left out for one reason
_NOT_JOINED = 0.02  # of the work results
_OTHERWISE = 0.2  # of the work results, joined by a looser rule
_APART = 0.001  # of the compared results, a unit's factor away from the others
_SILENT_DAYS = 45  # without any report before the snapshot
_FALL = 0.10  # of a month's share below the usual month's
_FEWEST = 30  # rows of a month before it is compared
_ORDER = list(Severity)


def findings_of(document: Document) -> list[dict[str, Any]]:
    """Return the findings as JSON values: `severity`, `field` (the profile's), `message`, `remedy`."""
    found = [
        *_empty_tables(document),
        *_attributes(document),
        *_units(document),
        *_rows(document),
        *_join(document),
        *_times(document),
        *_months(document),
    ]
    found.sort(key=lambda finding: _ORDER.index(finding.severity))
    return [asdict(finding) | {"severity": finding.severity.value} for finding in found]


def _empty_tables(document: Document) -> Iterator[Finding]:
    told = {
        "routings": (Severity.ERROR, "nothing can be learnt and nothing predicted"),
        "work_results": (Severity.WARNING, "times rest on the plan alone"),
    }
    for table, (severity, meaning) in told.items():
        if not document["rows"][table]:
            yield Finding(
                severity=severity,
                field=table,
                message=f"The snapshot holds no {table.replace('_', ' ')}: {meaning}.",
                remedy="`manage.py profiles check` says where the rows went.",
            )


def _attributes(document: Document) -> Iterator[Finding]:
    if not document["rows"]["items"]:
        return
    for entry in document["attributes"]:
        field, name = f"items.attributes.{entry['name']}", entry["name"]
        if entry["completeness"] < _EMPTY_SHARE:
            yield Finding(
                severity=Severity.WARNING if entry["weight"] >= _HEAVY else Severity.HINT,
                field=field,
                message=f"{name} is known for {_percent(entry['completeness'])} of the items: it says next to nothing.",
                remedy="Check that it reads the right column, and its null_tokens and unit; or leave it out.",
            )
        elif entry["distinct"] == 1 and entry["known"] > 1:
            yield Finding(
                severity=Severity.HINT,
                field=field,
                message=f"{name} has the same value wherever it is known.",
                remedy="Leave it out, or check that it reads the right column.",
            )
        if entry.get("spelled_differently"):
            yield Finding(
                severity=Severity.HINT,
                field=field,
                message=f"{entry['spelled_differently']} values of {name} differ from another by case or blanks alone.",
                remedy=f"Merge them with {field}.case or {field}.values.",
            )
        if entry.get("zero_share", 0) > _ZERO_SHARE:
            yield Finding(
                severity=Severity.WARNING,
                field=field,
                message=f"{name} is 0 in {_percent(entry['zero_share'])} of the items that have it.",
                remedy=f"Set {field}.zero_is_unknown: true where nobody entered it.",
            )


def _units(document: Document) -> Iterator[Finding]:
    for entry in document["unit_conflicts"]:
        shown = f" ({'; '.join(entry['samples'][:2])})" if entry["samples"] else ""
        yield Finding(
            severity=Severity.WARNING,
            field=entry["table"],
            message=f"{entry['count']:,} times: {entry['reason'].removesuffix(', so the times are')}{shown}.",
            remedy="Correct it at the source; name spellings in unit_spellings, or the usual unit in source_unit.",
        )


def _rows(document: Document) -> Iterator[Finding]:
    for table, entries in document["issues"].items():
        for entry in entries:
            kept = document["rows"].get(table, 0)
            if kept and entry["count"] > _LOST_ROWS * kept and "unit" not in entry["reason"].split():
                yield Finding(
                    severity=Severity.HINT if entry["reason"].startswith("left out by") else Severity.WARNING,
                    field=table,
                    message=f"{table}: {entry['count']:,} times {entry['reason']}"
                    f" ({_percent(entry['count'] / kept)} of the rows kept).",
                    remedy="Look at the samples; correct them at the source, or the profile's mapping of that column.",
                )
    equal = document["duplicates"]["equal_work_results"]
    if equal > _LOST_ROWS * max(document["rows"]["work_results"], 1):
        yield Finding(
            severity=Severity.WARNING,
            field="work_results",
            message=f"{equal:,} work results equal another one in every column.",
            remedy="Map order_no, which tells them apart; where the source repeats rows, read it with DISTINCT.",
        )


def _join(document: Document) -> Iterator[Finding]:
    join = document["join"]
    shares = {entry["kind"]: entry["share"] for entry in join["kinds"]}
    foreign = shares.get(Match.OTHER_ROUTING, 0.0) + shares.get(Match.OTHER_ROUTING_RENUMBERED, 0.0)
    if foreign > _OTHERWISE:
        yield Finding(
            severity=Severity.HINT,
            field="work_results.columns.routing_no",
            message=f"{_percent(foreign)} of the work results name a routing that their item does not have,"
            " or that lacks their operation.",
            remedy="Check that both tables spell routing_no alike ('01' is not '1'), and that old routings are read.",
        )
    if shares.get(Match.RENUMBERED, 0.0) > _OTHERWISE:
        yield Finding(
            severity=Severity.HINT,
            field="work_results.columns.sequence",
            message=f"{_percent(shares[Match.RENUMBERED])} of the work results were reported at another sequence than"
            " their operation has in the plan.",
            remedy="They join by operation. Check that both tables map the same sequence column.",
        )
    if not join["work_results"] or 1 - join["joined_share"] <= _NOT_JOINED:
        return
    reasons = "; ".join(f"{entry['kind']}: {entry['count']:,}" for entry in join["not_joined"])
    worst = ", ".join(entry["code"] for entry in join["not_joined_by"]["operations"][:3])
    yield Finding(
        severity=Severity.WARNING,
        field="work_results",
        message=f"{_percent(1 - join['joined_share'])} of the work results belong to no planned step ({reasons}); "
        f"most are of {worst}.",
        remedy="Check that both tables map the same operation column; else the plan lacks what is really done.",
    )


def _times(document: Document) -> Iterator[Finding]:
    check = document["time_check"]
    operations = [entry["warning"] for entry in check["operations"] if entry["warning"]]
    told = [check["warning"]] if check["warning"] else operations[:5]
    for warning in told:
        yield Finding(
            severity=Severity.ERROR if check["warning"] else Severity.WARNING,
            field="work_results.time_unit",
            message=f"{warning[0].upper()}{warning[1:]}.",
            remedy="Correct time_unit (or time_unit_column) of routings or work_results.",
        )
    for entry in check["apart"]:
        if entry["share"] > _APART:
            yield Finding(
                severity=Severity.HINT,
                field="work_results.time_unit",
                message=f"{entry['count']:,} work results are about {entry['factor']:g} times as long as others"
                f" of their operation: {entry['units']} may have been mixed up when they were typed.",
                remedy="Correct them at the source, or limit them with work_results.believable.",
            )


def _months(document: Document) -> Iterator[Finding]:
    months = [entry for entry in document["months"]["work_results"] if entry["month"] != "earlier"]
    if not months:
        return
    missing = _gaps([entry["month"] for entry in months])
    if missing:
        yield Finding(
            severity=Severity.WARNING,
            field="work_results",
            message=f"No work was reported in {', '.join(missing[:6])}{' and others' if len(missing) > 6 else ''}.",
            remedy="Check the source's table for those months; evidence from before is older than it looks.",
        )
    silent = (
        date.fromisoformat(document["data_as_of"][:10]) - date.fromisoformat(document["coverage"]["last_report"])
    ).days
    if silent > _SILENT_DAYS:
        yield Finding(
            severity=Severity.WARNING,
            field="work_results",
            message=f"The newest report is {silent} days older than the snapshot.",
            remedy="Check that the source is the living one, and the filters on its dates.",
        )
    yield from _fallen(months)


def _fallen(months: list[dict[str, Any]]) -> Iterator[Finding]:
    """Tell a share that fell in the newest month with enough rows, against the middle of those before."""
    enough = [entry for entry in months if entry["work_results"] >= _FEWEST]
    shares = {"joined_share": "joined the plan", "setup_known_share": "have a setup time"}
    for name, words in shares.items():
        before = sorted(entry[name] for entry in enough[:-1])
        if before and before[len(before) // 2] - enough[-1][name] > _FALL:
            yield Finding(
                severity=Severity.WARNING,
                field="work_results",
                message=f"In {enough[-1]['month']} only {_percent(enough[-1][name])} of the work results {words};"
                f" {_percent(before[len(before) // 2])} is usual.",
                remedy="Ask what changed at the source in that month.",
            )


def _gaps(months: list[str]) -> list[str]:
    """Return the months without rows between the first and the last."""
    numbers = [int(month[:4]) * 12 + int(month[5:]) - 1 for month in months]
    absent = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in absent]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
