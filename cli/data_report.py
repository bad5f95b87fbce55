"""The data quality document as tables and sentences for a person, and its columns as a CSV file."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.output import say, show_table, shown

Document = Mapping[str, Any]

_COLOURS = {"error": "red", "warning": "yellow", "hint": "cyan"}
_GROUPS = {"operations": "operation", "work_centres": "work centre", "families": "family"}
_MONTHS = 12
_OPERATIONS = 10


def print_report(document: Document) -> None:
    """Print the findings first, then every table of figures."""
    rows = ", ".join(f"{table} {count:,}" for table, count in document["rows"].items())
    say(f"[bold]{shown(document['snapshot'])}[/] of {shown(document['profile'])}, data as of "
        f"{shown(document['data_as_of'][:16])} UTC: {shown(rows)}")  # fmt: skip
    _print_findings(document)
    show_table("Columns of the items, those that cost most first", _COLUMNS, _column_rows(document))
    _print_join(document["join"])
    coverage = [(name.replace("_", " "), _figure(name, value)) for name, value in document["coverage"].items()]
    show_table("Coverage", ("what", "figure"), coverage)
    _print_times(document["time_check"])
    _print_months(document["months"]["work_results"])
    issues = [
        (table, entry["reason"], f"{entry['count']:,}", "; ".join(entry["samples"][:2]))
        for table, entries in document["issues"].items()
        for entry in entries
    ]
    show_table("Rows and cells that could not be used", ("table", "reason", "count", "such as"), issues)
    _print_trend(document["trend"])
    if "history" in document:
        _print_history(document["history"])


def write_columns(document: Document, path: Path) -> int:
    """Write one line a column of every table, for a spreadsheet; return how many.

    Raises:
        OSError: the file cannot be written.
    """
    fields = ("table", "column", "kind", "unit", "weight", "known", "completeness", "distinct", "minimum", "median",
              "maximum", "unusable")  # fmt: skip
    lines = [
        {"table": "items", **entry, "column": entry["name"], "unusable": sum(entry["unusable"].values())}
        for entry in by_trouble(document)
    ] + [
        {"table": table, **entry, "column": entry["name"]}
        for table, entries in document["columns"].items()
        for entry in entries
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # with a mark, so that spreadsheets read it as UTF-8
        writer = csv.DictWriter(file, fields, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    return len(lines)


def by_trouble(document: Document) -> list[dict[str, Any]]:
    """Return the items' columns by what is missing, weighted as the columns are when items are compared."""
    return sorted(
        document["attributes"],
        key=lambda entry: (
            -entry["weight"] * (1 - entry["completeness"]),
            -sum(entry["unusable"].values()),
            entry["name"],
        ),
    )


def _print_findings(document: Document) -> None:
    for finding in document["findings"]:
        colour = _COLOURS[finding["severity"]]
        say(f"[{colour}]{finding['severity']:8}[/] {shown(finding['field'])}: {shown(finding['message'])}")
        say(f"         {shown(finding['remedy'])}")
    if not document["findings"]:
        say("Nothing stands out.")


_COLUMNS = ("column", "kind", "weight", "known", "since before", "distinct", "from", "middle", "to", "unusable")


def _column_rows(document: Document) -> Iterator[tuple[Any, ...]]:
    trend = {entry["figure"]: entry["change"] for side in ("worse", "better") for entry in document["trend"][side]}
    for entry in by_trouble(document):
        change = trend.get(f"completeness of {entry['name']}")
        spread = [f"{entry[name]:g}" if name in entry else "" for name in ("minimum", "median", "maximum")]
        yield (
            entry["name"],
            entry["kind"] if entry["unit"] is None else f"{entry['kind']} ({entry['unit']})",
            f"{entry['weight']:g}",
            _percent(entry["completeness"]),
            "" if change is None else f"{100 * change:+.1f}",
            f"{entry['distinct']:,}",
            *spread,
            f"{sum(entry['unusable'].values()):,}" if entry["unusable"] else "",
        )


def _print_join(join: Document) -> None:
    rows = [(entry["kind"], f"{entry['count']:,}", _percent(entry["share"])) for entry in join["kinds"]]
    missed = [
        (f"not joined: {entry['kind']}", f"{entry['count']:,}", _percent(entry["share"]))
        for entry in join["not_joined"]
    ]
    several = [("several steps fitted equally well", f"{join['ambiguous']:,}", "")]
    show_table("Work results joined to the plan", ("how", "work results", "share"), rows + missed + several)
    worst = [
        (word, entry["code"], f"{entry['count']:,}", _percent(entry["share"]))
        for name, word in _GROUPS.items()
        for entry in join["not_joined_by"].get(name, [])
    ]
    if worst:
        show_table("Most often not joined", ("of", "code", "work results", "of its own"), worst)
    steps = join["steps"]
    without = [(entry["kind"], f"{entry['count']:,}", _percent(entry["share"])) for entry in steps["without"]]
    told = [("with actuals", f"{steps['with_actuals']:,}", _percent(steps["with_actuals_share"]))]
    show_table("Planned steps", ("actuals", "steps", "share"), told + without)


def _print_times(check: Document) -> None:
    rows = [
        (entry["operation_code"], f"{entry['work_results']:,}", f"{entry['median']:.3g}",
         f"{entry['low']:.3g} to {entry['high']:.3g}", entry["warning"])
        for entry in check["operations"][:_OPERATIONS]
    ]  # fmt: skip
    median = check["booked_to_planned_median"]
    typical = "nothing to compare" if median is None else f"typically {median:.3g}"
    title = f"Booked over planned run time a piece ({typical}); the oddest operations"
    show_table(title, ("operation", "work results", "middle", "80 % between", "warning"), rows)


def _print_months(months: list[dict[str, Any]]) -> None:
    rows = [
        (entry["month"], f"{entry['work_results']:,}", f"{entry['items']:,}", _percent(entry["joined_share"]),
         _percent(entry["setup_known_share"]))
        for entry in months[-_MONTHS:]
    ]  # fmt: skip
    show_table("Work results by month", ("month", "work results", "items", "joined", "with setup time"), rows)


def _print_trend(trend: Document) -> None:
    if trend["against"] is None:
        return
    rows = [
        (words, entry["figure"], _value(entry["figure"], entry["before"]), _value(entry["figure"], entry["now"]))
        for side, words in (("worse", "worse"), ("better", "better"))
        for entry in trend[side]
    ]
    since = f"Since {trend['against']['snapshot_id']}"
    show_table(since if rows else f"{since}: nothing changed", ("", "figure", "before", "now"), rows)


def _print_history(history: list[dict[str, Any]]) -> None:
    names = ("work results that joined the plan", "routed items with actuals", "planned operations with actuals")
    rows = [
        (entry["snapshot_id"], entry["data_as_of"][:16], *(f"{count:,}" for count in entry["figures"]["rows"].values()),
         *(_percent(entry["figures"]["shares"][name]) for name in names), entry["figures"]["findings"])
        for entry in history
    ]  # fmt: skip
    columns = ("snapshot", "data as of", "items", "routings", "work results", "joined", "made", "covered", "findings")
    show_table("History", columns, rows)


def _figure(name: str, value: Any) -> str:
    if value is None:
        return ""
    return _percent(value) if name.endswith("share") else f"{value:,}" if isinstance(value, int) else str(value)


def _value(figure: str, value: float) -> str:
    return f"{value:,.0f}" if figure.startswith("rows of") else _percent(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
