"""What a measurement found, as tables that a person reads and as data that a program reads."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.confidence import Share
from benchmarks.accuracy.scoring import Estimated


@dataclass(frozen=True, kw_only=True)
class Table:
    """A titled table of texts; the first column is read from the left, the others from the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A figure that was asked for: what is wanted, what was measured, and whether that is met (None: cannot tell)."""

    name: str
    wanted: str
    measured: str
    met: bool | None
    of_times: bool = False


@dataclass(kw_only=True)
class Report:
    """One study."""

    name: str
    title: str
    settings: dict[str, Any]
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, str] = field(default_factory=dict)  # file name -> SVG


def figure(value: float, digits: int = 3) -> str:
    """Return a number as people read it."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.{digits}f}" if abs(value) < 100 else f"{value:,.1f}"


def bounded(found: Estimated, digits: int = 3) -> str:
    """Return a figure with its interval."""
    return f"{figure(found.value, digits)} [{figure(found.low, digits)}, {figure(found.high, digits)}]"


def share(found: Share) -> str:
    """Return a share with its interval and n."""
    low, high = found.bounds
    return f"{figure(found.value)} [{figure(low)}, {figure(high)}] n={found.n:,}"


def as_text(report: Report) -> str:
    """Return the report for a terminal."""
    lines = [report.title, "=" * len(report.title), _settings(report), ""]
    for table in _all_tables(report):
        widths = [max(len(str(row[place])) for row in (table.columns, *table.rows)) for place in range(_width(table))]
        lines += [table.title, "-" * len(table.title)]
        for row in (table.columns, *table.rows):
            first = row[0].ljust(widths[0])
            lines.append("  ".join([first, *(t.rjust(w) for t, w in zip(row[1:], widths[1:], strict=True))]).rstrip())
        lines += [*table.notes, ""]
    return "\n".join(lines)


def as_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    lines = [f"## {report.title}", "", _settings(report), ""]
    for table in _all_tables(report):
        lines += [f"### {table.title}", "", "| " + " | ".join(table.columns) + " |"]
        lines.append("|" + "|".join(["---", *["---:"] * (_width(table) - 1)]) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        lines += ["", *table.notes, ""]
    return "\n".join(lines)


def write(reports: Sequence[Report], folder: Path) -> None:
    """Write `accuracy.md`, `accuracy.txt`, `accuracy.json` and every plot into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accuracy.md").write_text("\n".join(map(as_markdown, reports)), encoding="utf-8")
    (folder / "accuracy.txt").write_text("\n".join(map(as_text, reports)), encoding="utf-8")
    document = [
        {"name": r.name, "title": r.title, "settings": r.settings, "goals": [asdict(g) for g in r.goals], **r.data}
        for r in reports
    ]
    text = json.dumps(document, indent=1, ensure_ascii=False, default=_plain)
    (folder / "accuracy.json").write_text(text + "\n", encoding="utf-8")
    for report in reports:
        for name, drawing in report.plots.items():
            (folder / f"{report.name}-{name}").write_text(drawing, encoding="utf-8")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.item() if hasattr(value, "item") else str(value)


def _all_tables(report: Report) -> list[Table]:
    words = {True: "yes", False: "NO", None: "cannot tell"}
    goals = Table(
        title="Wanted and measured", columns=("what", "wanted", "measured", "met"),
        rows=[(goal.name, goal.wanted, goal.measured, words[goal.met]) for goal in report.goals],
    )  # fmt: skip
    return [*([goals] if report.goals else []), *report.tables]


def _width(table: Table) -> int:
    return len(table.columns)


def _settings(report: Report) -> str:
    return "; ".join(f"{name} {value}" for name, value in report.settings.items())
