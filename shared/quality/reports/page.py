"""A cycle's report as one HTML page that loads nothing from anywhere and runs no script."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.database.tables import QualityCycle
from shared.prediction.answers import SIGNATURE_SEPARATOR
from shared.quality.reports.charts import Bar, bars, history, scatter
from shared.quality.reports.labels import (
    HEADS,
    LABELS,
    STREAMS,
    basis,
    chief_of,
    figures_in,
    head_of,
    interval,
    overall_of,
    unmeasured,
    value_of,
    verdict,
)

MOST_BARS = 25
WORST_ITEMS = 25

_STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0}.verdict{font-size:1.15rem;border-left:.3rem solid #4a7ebb;"
    "padding:.3rem .8rem}.note{color:#555}"
    "td,th{padding:.25rem .75rem;border-bottom:1px solid #ccc;text-align:right}td:first-child,th:first-child"
    "{text-align:left}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dd{margin:0}"
    ".worst td:nth-child(n+6),.worst th:nth-child(n+6){text-align:left}.worst td:first-child{white-space:nowrap}"
    "svg{max-width:100%;height:auto}"
)


def as_html(row: QualityCycle, earlier: Sequence[QualityCycle] = ()) -> str:
    """Return the page of `row`; `earlier` are cycles to be shown as its history, in any order."""
    metrics = row.metrics or {}
    title = html.escape(f"Quality cycle of {row.created_at:%Y-%m-%d %H:%M} UTC")
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="verdict">{html.escape(verdict(row))}</p>',
        _notes(row),
        _alerts(row),
        _table("Figures", overall_of(row)),
        _groups("family", metrics.get("by_family", {})),
        _groups("operation", metrics.get("by_operation", {})),
        _scatter(row),
        _history(row, earlier),
        _evidence(metrics.get("evidence") or {}),
        _table("How complete the actuals are", figures_in(metrics.get("completeness"))),
        _table("Predictions given to planners, and what was booked", figures_in(metrics.get("live"))),
        _table("Planners' decisions since the last cycle", figures_in(metrics.get("decisions"))),
        _worst(row),
        _head(row),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _head(row: QualityCycle) -> str:
    rows = "".join(
        f"<dt>{html.escape(HEADS.get(name, name.replace('_', ' ')))}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in head_of(row).items()
        if name not in {"verdict", "items", "activation"} and value not in (None, "")
    )
    return f"<h2>The cycle</h2><dl>{rows}</dl>"


def _notes(row: QualityCycle) -> str:
    """What the figures stand on, whether the items have changed, and what became of an activation."""
    head = head_of(row)
    notes = [note for note in (basis(row), head["items"], head["activation"]) if note]
    return "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)


def _alerts(row: QualityCycle) -> str:
    told = [html.escape(alert["message"]) for alert in chief_of(row).get("alerts", [])]
    return "<ul>" + "".join(f"<li>{message}</li>" for message in told) + "</ul>" if told else ""


def _table(title: str, figures: Mapping[str, dict[str, Any]]) -> str:
    if not figures:
        return ""
    missing = unmeasured(figures)
    if missing:
        return f'<h2>{html.escape(title)}</h2><p class="note">{html.escape(missing)}</p>'
    rows = []
    for metric, figure in figures.items():
        label, share = LABELS.get(metric, (metric, False))
        value = figure.get("message") or value_of(figure, share)
        rows.append((label, value if figure["value"] is None else value_of(figure, share), interval(figure, share)))
    cells = zip(rows, figures.values(), strict=True)
    return f"<h2>{html.escape(title)}</h2>" + _rows(
        ("figure", "value", "95 % interval", "n"), ((*row, str(figure["n"])) for row, figure in cells)
    )


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _groups(kind: str, groups: Mapping[str, dict[str, Any]]) -> str:
    """Error, operations predicted and interval coverage of the groups with most orders."""
    most = sorted(groups, key=lambda name: (-groups[name]["mae"]["n"], name))[:MOST_BARS]
    plural = {"family": "families", "operation": "operations"}[kind]
    shown = "" if len(most) == len(groups) else f" (the {len(most)} of {len(groups)} {plural} with most orders)"
    parts = []
    for metric, title, mark in (
        ("mae", f"Mean absolute error by {kind}, minutes", None),
        ("interval_coverage", f"Orders inside their 80 % interval by {kind}, share", 0.8),
    ):
        chosen = [
            (name, groups[name][metric]) for name in most if groups[name].get(metric, {}).get("value") is not None
        ]
        chosen.sort(key=lambda pair: -pair[1]["value"])
        if chosen:
            drawn = [
                Bar(name=name, value=f["value"], low=f["low"], high=f["high"], note=name, n=f["n"])
                for name, f in chosen
            ]
            parts.append(f"<h2>{html.escape(title + shown)}</h2>{bars(drawn, mark=mark)}")
    return "".join(parts)


def _scatter(row: QualityCycle) -> str:
    report = row.report or {}
    points = [(predicted, booked, low <= booked <= high) for predicted, booked, low, high in report.get("orders", ())]
    drawn = scatter(points)
    if not drawn:
        return ""
    note = f"{len(points)} of {report['orders_in_all']} orders and operations"
    return f'<h2>Predicted against booked minutes</h2><p class="note">{html.escape(note)}</p>{drawn}'


def _history(row: QualityCycle, earlier: Sequence[QualityCycle]) -> str:
    cycles = sorted({one.id: one for one in [*earlier, row]}.values(), key=lambda one: (one.created_at, one.id))
    parts = []
    for metric, title in (
        ("trim_mae", "Trimmed mean absolute error of the last cycles, minutes"),
        ("process_match", "Actual operations predicted in the last cycles, share"),
    ):
        points = [
            (f"{one.created_at:%Y-%m-%d %H:%M}", f["value"], f["low"], f["high"])
            for one in cycles
            if (f := overall_of(one).get(metric)) and f["value"] is not None
        ]
        if len(points) > 1:
            parts.append(f"<h2>{html.escape(title)}</h2>{history(points)}")
    return "".join(parts)


def _evidence(evidence: Mapping[str, Any]) -> str:
    """How near each stream of the alarm's test is to its limit."""
    streams = [one for one in evidence.get("streams", ()) if one.get("limit")]
    if not streams:
        return ""
    streams = [one for one in streams if one.get("items")]
    if not streams:
        nothing = "No order that the model cannot have seen has been compared yet, so there is nothing to test."
        return f'<h2>Evidence</h2><p class="note">{nothing}</p>'
    streams = sorted(streams, key=lambda one: -one["log_evidence"] / one["limit"])[:MOST_BARS]
    drawn = [
        Bar(
            name=": ".join(part for part in (one.get("family"), STREAMS.get(one["test"], one["test"])) if part),
            value=one["log_evidence"] / one["limit"],
            note=f"{one.get('items')} items" + (f", {one['needed']} more needed" if one.get("needed") else ""),
        )
        for one in streams
    ]
    note = "Evidence of a change since the model was activated, as a share of what an alarm needs (the line)."
    return f'<h2>Evidence</h2><p class="note">{note}</p>{bars(drawn, mark=1.0)}'


def _worst(row: QualityCycle) -> str:
    items = [item for item in (row.report or {}).get("items", ()) if item["mae"] is not None][:WORST_ITEMS]
    if not items:
        return ""
    rows = (
        (
            item["item_code"], item["family"], f"{item['mae']:.3g}", f"{item['process_match']:.0%}",
            str(item["orders"]), _spaced(item["actual"]),
            "the same" if item["predicted"] == item["actual"] else _spaced(item["predicted"]),
        )
        for item in items
    )  # fmt: skip
    heads = ("item", "family", "MAE, minutes", "operations predicted", "orders", "actual routing", "predicted routing")
    return f'<h2>Items with the greatest errors</h2><div class="worst">{_rows(heads, rows)}</div>'


def _spaced(signature: str) -> str:
    """Return a routing with places to break its line at."""
    return signature.replace(SIGNATURE_SEPARATOR, f" {SIGNATURE_SEPARATOR} ")
