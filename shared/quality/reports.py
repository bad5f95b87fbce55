"""A cycle's report: what is stored, and how it is shown as JSON, CSV, Markdown and a page of its own."""

import csv
import html
import io
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from shared.database.tables import QualityCycle
from shared.erp.snapshot import Snapshot
from shared.errors import InvalidInput
from shared.prediction.answers import SIGNATURE_SEPARATOR
from shared.quality.evaluate import Evaluation
from shared.quality.observations import OrderObservation, RoutingObservation
from shared.quality.sampling import Sample

MAX_ITEMS = 500  # the items with the greatest errors; the figures stand on all of them
MAX_CODES = 100

LABELS = {
    "mae": ("Mean absolute error, minutes an order and operation", False),
    "trim_mae": ("The same, trimmed", False),
    "rmse": ("Root mean square error, minutes", False),
    "mdape": ("Median absolute percentage error", True),
    "mae_per_piece": ("Mean absolute error, minutes a piece", False),
    "bias": ("Predicted over booked minutes", False),
    "interval_coverage": ("Orders inside their 80 % interval", True),
    "interval_score": ("Interval score, minutes", False),
    "cv": ("Spread of booked minutes a piece, sd over mean", False),
    "sample_count": ("Orders per item and operation", False),
    "process_match": ("Actual operations predicted", True),
    "exact_top1": ("Whole routing right at first", True),
    "exact_top3": ("Whole routing among three", True),
    "edit_distance": ("Normalised edit distance", False),
    "precedence_accuracy": ("Pairs of operations in the right order", True),
    "work_centre_accuracy": ("Work centre right", True),
    "in_house_accuracy": ("In-house or outsourced right", True),
    "outsourcing_success": ("Outsourced operations found", True),
}


def build(snapshot: Snapshot, version: str, mode: str, sample: Sample, evaluation: Evaluation) -> dict[str, Any]:
    """Return the stored report: sample, worst items, abstentions and failures, all bounded."""
    orders: dict[str, list[OrderObservation]] = defaultdict(list)
    for order in evaluation.orders:
        orders[order.item_code].append(order)
    items = [_item(routing, orders[routing.item_code]) for routing in evaluation.routings]
    items.sort(key=lambda item: (-(item["mae"] or 0.0), item["process_match"], item["item_code"]))
    return {
        "model_version": version,
        "mode": mode,
        "snapshot": {
            "id": snapshot.id,
            "fingerprint": snapshot.fingerprint,
            "data_as_of": snapshot.data_as_of.isoformat(),
        },
        "sample": {
            "strategy": sample.strategy,
            "seed": sample.seed,
            "requested": sample.requested,
            "population": sample.population,
            "strata": sample.strata,
            "item_codes": list(sample.item_codes),
            "chances": list(sample.chances),
        },
        "items": items[:MAX_ITEMS],
        "items_in_all": len(items),
        "abstained": list(evaluation.abstained[:MAX_CODES]),
        "incomparable": list(evaluation.incomparable[:MAX_CODES]),
        "failures": evaluation.failed,
    }


def _item(routing: RoutingObservation, orders: list[OrderObservation]) -> dict[str, Any]:
    errors = [abs(order.predicted_minutes - order.booked_minutes) for order in orders]
    return {
        "item_code": routing.item_code,
        "family": routing.family,
        "actual": SIGNATURE_SEPARATOR.join(routing.actual_codes),
        "predicted": SIGNATURE_SEPARATOR.join(routing.predicted_codes),
        "process_match": routing.matched.hits / routing.matched.total,
        "exact": routing.exact_first,
        "orders": len(orders),
        "orders_without_prediction": routing.unpredicted_orders,
        "mae": sum(errors) / len(errors) if errors else None,
    }


def render_report(row: QualityCycle, form: str) -> str:
    """Return the report as text in one of the forms of `FORMS`: json, csv, md or html.

    Raises:
        InvalidInput: there is no such form.
    """
    if form not in FORMS:
        raise InvalidInput(f"A report has no form {form!r}.", remedy=f"Ask for {', '.join(FORMS)}.")
    return FORMS[form](row)


def as_json(row: QualityCycle) -> str:
    """Return the whole report as JSON text."""
    document = _head(row) | {"metrics": row.metrics, "report": row.report}
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def as_csv(row: QualityCycle) -> str:
    """Return every figure as a line: scope, name, metric, value, n, low, high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["cycle_id", "scope", "name", "metric", "value", "n", "low", "high", "message"])
    for scope, name, metric, figure in _figures(row):
        bounds = [figure.get(key) for key in ("value", "n", "low", "high", "message")]
        writer.writerow([row.id, scope, _safe(name), metric, *("" if b is None else b for b in bounds)])
    return out.getvalue()


def as_markdown(row: QualityCycle) -> str:
    """Return the report as a Markdown page."""
    lines = [f"# Quality cycle {row.id}", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in _head(row).items() if value not in (None, "")]
    lines += ["", "| figure | value | 95 % interval | n |", "| --- | ---: | ---: | ---: |"]
    for metric, figure in _overall(row).items():
        label, share = LABELS.get(metric, (metric, False))
        lines.append(f"| {label} | {_value(figure, share)} | {_interval(figure, share)} | {figure['n']} |")
    families = (row.metrics or {}).get("by_family", {})
    if families:
        lines += ["", "| family | MAE, minutes | operations predicted | orders |", "| --- | ---: | ---: | ---: |"]
        for name, group in families.items():
            match = _value(group["process_match"], True)
            shown = name.replace("|", "\\|")
            lines.append(f"| {shown} | {_value(group['mae'], False)} | {match} | {group['mae']['n']} |")
    alerts = _chief(row).get("alerts", [])
    lines += ["", *(f"- {alert['issue']}: {alert['message']}" for alert in alerts)]
    return "\n".join(lines).rstrip() + "\n"


def as_html(row: QualityCycle) -> str:
    """Return the report as one page that loads nothing from anywhere."""
    head = "".join(
        f"<dt>{html.escape(name.replace('_', ' '))}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in _head(row).items()
        if value not in (None, "")
    )
    rows = "".join(_html_row(metric, figure) for metric, figure in _overall(row).items())
    alerts = "".join(f"<li>{html.escape(alert['message'])}</li>" for alert in _chief(row).get("alerts", []))
    title = html.escape(f"Quality cycle {row.id}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><dl>{head}</dl><table><thead><tr><th>figure<th>value<th>95 % interval<th>n</tr></thead>"
        f"<tbody>{rows}</tbody></table>{_chart(row)}<ul>{alerts}</ul></html>\n"
    )


_STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}"
    "td,th{padding:.25rem .75rem;border-bottom:1px solid #ccc;text-align:right}td:first-child,th:first-child"
    "{text-align:left}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dd{margin:0}"
)


def _html_row(metric: str, figure: dict[str, Any]) -> str:
    label, share = LABELS.get(metric, (metric, False))
    cells = (label, _value(figure, share), _interval(figure, share), str(figure["n"]))
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _chart(row: QualityCycle) -> str:
    """A bar a family: its mean absolute error with the interval as a line."""
    families = (row.metrics or {}).get("by_family", {})
    bars = [(name, group["mae"]) for name, group in families.items() if group["mae"]["value"] is not None]
    bars = sorted(bars, key=lambda bar: -bar[1]["value"])[:20]
    if not bars:
        return ""
    longest = max(figure["high"] or figure["value"] for _, figure in bars) or 1.0
    parts = []
    for place, (name, figure) in enumerate(bars):
        top, scale = 24 * place + 4, 460 / longest
        low, high = (figure[key] if figure[key] is not None else figure["value"] for key in ("low", "high"))
        parts.append(
            f'<text x="0" y="{top + 13}">{html.escape(name[:28])}</text>'
            f'<rect x="220" y="{top}" width="{figure["value"] * scale:.1f}" height="16" fill="#4a7ebb"/>'
            f'<line x1="{220 + low * scale:.1f}" x2="{220 + high * scale:.1f}" y1="{top + 8}" y2="{top + 8}" '
            f'stroke="#222" stroke-width="2"/><text x="700" y="{top + 13}">{figure["value"]:.1f}</text>'
        )
    height = 24 * len(bars) + 8
    frame = f'viewBox="0 0 760 {height}" width="760" height="{height}" font-size="12" role="img"'
    return f"<h2>Mean absolute error by family, minutes</h2><svg {frame}>{''.join(parts)}</svg>"


def _head(row: QualityCycle) -> dict[str, Any]:
    chief = _chief(row)
    return {
        "cycle_id": row.id,
        "state": row.state,
        "reason": row.reason,
        "error": row.error,
        "model_version": row.model_version,
        "strategy": row.strategy,
        "seed": row.seed,
        "sample_size": row.sample_size,
        "evaluated": row.evaluated,
        "failed": row.failed,
        "compared_with": (row.report or {}).get("mode"),
        "message": chief.get("metadata", {}).get("message"),
        "created_at": row.created_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }


def _chief(row: QualityCycle) -> dict[str, Any]:
    quality: dict[str, Any] = (row.metrics or {}).get("quality", {})
    return quality


def _overall(row: QualityCycle) -> dict[str, dict[str, Any]]:
    overall: dict[str, dict[str, Any]] = (row.metrics or {}).get("overall", {})
    return overall


def _figures(row: QualityCycle) -> list[tuple[str, str, str, dict[str, Any]]]:
    found = [("overall", "", metric, figure) for metric, figure in _overall(row).items()]
    for scope, key in (("family", "by_family"), ("operation", "by_operation")):
        for name, group in (row.metrics or {}).get(key, {}).items():
            found += [(scope, name, metric, figure) for metric, figure in group.items()]
    return found


def _value(figure: dict[str, Any], share: bool) -> str:
    return "not measured" if figure["value"] is None else _number(figure["value"], share)


def _interval(figure: dict[str, Any], share: bool) -> str:
    if figure["low"] is None or figure["high"] is None:
        return "not known"
    return f"{_number(figure['low'], share)} to {_number(figure['high'], share)}"


def _number(value: float, share: bool) -> str:
    return f"{value:.1%}" if share else f"{value:.3g}"


def _safe(cell: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


FORMS: dict[str, Callable[[QualityCycle], str]] = {
    "json": as_json,
    "csv": as_csv,
    "md": as_markdown,
    "html": as_html,
}
