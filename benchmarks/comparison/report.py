"""The simulation's findings as a table, a document and a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.comparison.simulating import Outcome
from shared.quality.intervals import Figure

_WIDTH, _HEIGHT, _EDGE = 640, 380, 56
_COLOURS = ("#1f5fa8", "#c2571a", "#3d8a4e", "#7a4ca0")
Curve = Sequence[tuple[float, Figure]]  # true change, share promoted


def as_text(title: str, outcomes: Sequence[Outcome]) -> str:
    """Return a table as text: what was compared, how often it was promoted, and what was wanted."""
    head = ("case", "n items", "comparisons", "promoted", "95 % interval", "wanted", "", "interval true in", "ms")
    rows = [head, *(_row(outcome) for outcome in outcomes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:], ""])


def _row(outcome: Outcome) -> tuple[str, ...]:
    share, case = outcome.share, outcome.case
    wanted = f"≤ {case.at_most:.0%}" if case.at_most is not None else f"≥ {case.at_least:.0%}"
    met = {True: "yes", False: "NO", None: ""}[outcome.met]
    per_compare = 1_000 * outcome.seconds / max(1, len(outcome.promoted))
    return (
        case.name, str(outcome.items), str(share.n), f"{share.value:.1%}", f"{share.low:.1%} to {share.high:.1%}",
        wanted, met, f"{outcome.coverage.value:.1%}", f"{per_compare:.0f}",
    )  # fmt: skip


def as_data(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON."""
    return {
        "case": asdict(outcome.case),
        "items": outcome.items,
        "promoted": outcome.share.as_json(),
        "coverage": outcome.coverage.as_json(),
        "not_met": outcome.failed,
        "met": outcome.met,
        "milliseconds": 1_000 * outcome.seconds / max(1, len(outcome.promoted)),
    }


def chart(curves: Mapping[str, Curve]) -> str:
    """Draw how often a new model is promoted against how much better or worse it truly is, as SVG."""
    changes = sorted({change for curve in curves.values() for change, _ in curve})
    low, high = changes[0], changes[-1]

    def x(change: float) -> float:
        return _EDGE + (change - low) / (high - low) * (_WIDTH - 2 * _EDGE)

    def y(share: float) -> float:
        return _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)

    marks = []
    for level, text in ((0.05, "5 %"), (0.9, "90 %")):
        marks.append(
            f'<line x1="{_EDGE}" x2="{_WIDTH - _EDGE}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="#b8b8b8" '
            f'stroke-dasharray="4 3"/><text x="{_WIDTH - _EDGE + 4}" y="{y(level) + 4:.1f}">{text}</text>'
        )
    below = _HEIGHT - _EDGE + 16
    marks += [f'<text x="{x(change):.1f}" y="{below}" text-anchor="middle">{change:+.1%}</text>' for change in changes]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        known = [(change, share) for change, share in curve if share.value is not None]
        points = " ".join(f"{x(change):.1f},{y(share.value or 0):.1f}" for change, share in known)
        marks.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for change, share in known:
            marks.append(
                f'<line x1="{x(change):.1f}" x2="{x(change):.1f}" y1="{y(share.low or 0):.1f}" '
                f'y2="{y(share.high or 0):.1f}" stroke="{colour}"/>'
            )
        marks.append(f'<text x="{_EDGE + 8}" y="{_EDGE + 16 + 15 * number}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/><rect x="{_EDGE}" y="{_EDGE}" '
        f'width="{_WIDTH - 2 * _EDGE}" height="{_HEIGHT - 2 * _EDGE}" fill="none" stroke="black"/>{"".join(marks)}'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 12}" text-anchor="middle">true change of the trimmed MAE (right: worse)'
        f'</text><text x="{_EDGE}" y="{_EDGE - 12}">share of new models promoted, with 95 % interval</text></svg>\n'
    )
