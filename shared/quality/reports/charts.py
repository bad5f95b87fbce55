"""Charts as SVG that needs nothing from anywhere: bars with intervals, points on log scales, lines over cycles."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, BAR_HEIGHT, LABEL_WIDTH, FIGURES_WIDTH = 760, 22, 250, 110
INK, FILL, MARK, FAINT = "#222", "#4a7ebb", "#b23b3b", "#ccc"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""  # shown where the pointer rests
    n: int | None = None  # what the value stands on


def bars(rows: Sequence[Bar], *, mark: float | None = None, unit: str = "") -> str:
    """Return bars from zero with their intervals as lines; `mark` is drawn as a line across."""
    ends = [row.value if row.high is None else row.high for row in rows] + ([] if mark is None else [mark])
    longest = max([*ends, 0.0]) or 1.0
    scale = (WIDTH - LABEL_WIDTH - FIGURES_WIDTH - 10) / longest
    parts = []
    for place, row in enumerate(rows):
        top = BAR_HEIGHT * place + 4
        parts.append(_text(0, top + 12, row.name[:34]))
        parts.append(
            f'<rect x="{LABEL_WIDTH}" y="{top}" width="{max(0.0, row.value) * scale:.1f}" height="15" fill="{FILL}">'
            f"<title>{html.escape(row.note)}</title></rect>"
        )
        if row.low is not None and row.high is not None:
            left, right = LABEL_WIDTH + max(0.0, row.low) * scale, LABEL_WIDTH + row.high * scale
            parts.append(_line(left, top + 7.5, right, top + 7.5, INK, 2))
        stands_on = "" if row.n is None else f" (n {row.n:,})"
        parts.append(_text(WIDTH - FIGURES_WIDTH, top + 12, f"{row.value:.3g}{unit}{stands_on}"))
    height = BAR_HEIGHT * len(rows) + 8
    if mark is not None:
        across = LABEL_WIDTH + mark * scale
        parts.append(_line(across, 0, across, height, MARK, 1))
    return _frame(parts, height)


def scatter(points: Sequence[tuple[float, float, bool]]) -> str:
    """Return (predicted, booked, inside its interval) minutes on two equal log scales; outside ones are marked."""
    shown = [(x, y, inside) for x, y, inside in points if x > 0 and y > 0]
    if not shown:
        return ""
    values = [value for x, y, _ in shown for value in (x, y)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    side, left, top = 420, 70, 10

    def at(value: float) -> float:
        return (math.log10(value) - low) / (high - low) * side

    parts = []
    for power in range(low, high + 1):
        place = (power - low) / (high - low) * side
        parts.append(_line(left + place, top, left + place, top + side, FAINT, 1))
        parts.append(_line(left, top + place, left + side, top + place, FAINT, 1))
        parts.append(_text(left + place - 8, top + side + 16, f"{10.0**power:g}"))
        parts.append(_text(left - 40, top + side - place + 4, f"{10.0**power:g}"))
    parts.append(_line(left, top + side, left + side, top, INK, 1))
    for x, y, inside in shown:
        colour = FILL if inside else MARK
        parts.append(
            f'<circle cx="{left + at(x):.1f}" cy="{top + side - at(y):.1f}" r="2" fill="{colour}" fill-opacity="0.5"/>'
        )
    parts.append(_text(left + side / 2 - 60, top + side + 34, "predicted minutes"))
    parts.append(_text(left + side + 12, top + 20, "booked minutes (up)"))
    parts.append(_text(left + side + 12, top + 40, "line: predicted = booked"))
    parts.append(_text(left + side + 12, top + 60, "red: outside its 80 % interval"))
    return _frame(parts, top + side + 44)


def history(points: Sequence[tuple[str, float, float | None, float | None]], *, mark: float | None = None) -> str:
    """Return (name, value, low, high) of cycles, oldest first, as a line with intervals."""
    if not points:
        return ""
    tops = [value if high is None else high for _, value, _, high in points] + ([] if mark is None else [mark])
    most = max(tops) or 1.0
    left, width, height = 60, WIDTH - 80, 160
    step = width / max(1, len(points) - 1)

    def up(value: float) -> float:
        return 10 + height * (1 - value / most)

    parts = [
        _line(left, up(0), left + width, up(0), FAINT, 1),
        _text(0, up(0), "0"),
        _text(0, up(most) + 8, f"{most:.3g}"),
    ]
    if mark is not None:
        parts.append(_line(left, up(mark), left + width, up(mark), MARK, 1))
    places = [left + step * place for place in range(len(points))]
    joined = " ".join(f"{x:.1f},{up(value):.1f}" for x, (_, value, _, _) in zip(places, points, strict=True))
    parts.append(f'<polyline points="{joined}" fill="none" stroke="{FILL}" stroke-width="2"/>')
    for x, (name, value, low, high) in zip(places, points, strict=True):
        if low is not None and high is not None:
            parts.append(_line(x, up(low), x, up(high), INK, 1))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{up(value):.1f}" r="3" fill="{FILL}">'
            f"<title>{html.escape(name)}: {value:.3g}</title></circle>"
        )
    parts.append(_text(left, height + 28, points[0][0]))
    if len(points) > 1:
        parts.append(_text(left + width - 130, height + 28, points[-1][0]))
    return _frame(parts, height + 36)


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{html.escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def _frame(parts: Sequence[str], height: float) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    return f'<svg {size} font-size="12" role="img">{"".join(parts)}</svg>'
