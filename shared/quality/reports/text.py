"""A cycle's report as JSON, CSV and Markdown."""

import csv
import io
import json

from shared.database.tables import QualityCycle
from shared.quality.reports.labels import (
    HEADS,
    LABELS,
    chief_of,
    every_figure,
    figures_in,
    head_of,
    interval,
    overall_of,
    unmeasured,
    value_of,
    verdict,
)


def as_json(row: QualityCycle) -> str:
    """Return the whole report as JSON text."""
    document = head_of(row) | {"metrics": row.metrics, "report": row.report}
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def as_csv(row: QualityCycle) -> str:
    """Return every figure as a line: scope, name, metric, value, n, low, high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["cycle_id", "scope", "name", "metric", "value", "n", "low", "high", "message"])
    for scope, name, metric, figure in every_figure(row):
        bounds = [figure.get(key) for key in ("value", "n", "low", "high", "message")]
        writer.writerow([row.id, scope, _safe(name), metric, *("" if b is None else b for b in bounds)])
    return out.getvalue()


def as_markdown(row: QualityCycle) -> str:
    """Return the report as a Markdown page."""
    head = {name: value for name, value in head_of(row).items() if name != "verdict" and value not in (None, "")}
    lines = [f"# Quality cycle {row.id}", "", _inline(verdict(row)), ""]
    lines += [f"- {HEADS.get(name, name.replace('_', ' '))}: {_inline(str(value))}" for name, value in head.items()]
    metrics = row.metrics or {}
    parts = {"Figures": overall_of(row)}
    parts |= {name.capitalize(): figures_in(metrics.get(name)) for name in ("completeness", "live", "decisions")}
    for title, figures in parts.items():
        if not figures:
            continue
        lines += ["", f"## {title}", ""]
        missing = unmeasured(figures)
        if missing:
            lines.append(missing)
            continue
        lines += ["| figure | value | 95 % interval | n |", "| --- | ---: | ---: | ---: |"]
        for metric, figure in figures.items():
            label, share = LABELS.get(metric, (metric, False))
            lines.append(f"| {label} | {value_of(figure, share)} | {interval(figure, share)} | {figure['n']} |")
    families = metrics.get("by_family", {})
    if families:
        lines += ["", "## Families", "", "| family | MAE, minutes | operations predicted | orders |"]
        lines += ["| --- | ---: | ---: | ---: |"]
        for name, group in families.items():
            match = value_of(group["process_match"], True)
            lines.append(f"| {_inline(name)} | {value_of(group['mae'], False)} | {match} | {group['mae']['n']} |")
    alerts = chief_of(row).get("alerts", [])
    lines += ["", *(f"- {alert['issue']}: {_inline(alert['message'])}" for alert in alerts)]
    return "\n".join(lines).rstrip() + "\n"


def _inline(words: str) -> str:
    """Keep a name or a reason from being read as Markdown of its own, or as HTML."""
    escaped = words.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())


def _safe(cell: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
