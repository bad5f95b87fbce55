"""Two drawings as SVG: what share of items is how often right, and whether stated probabilities are true."""

from collections.abc import Sequence

from benchmarks.accuracy.confidence import Bin

_SIZE, _EDGE = 360, 48
_LINE = "#1f5fa8"
_FAINT = "#b8b8b8"


def risk_coverage(curve: Sequence[tuple[float, float]], wanted: float, share: float) -> str:
    """Draw the share right among the most probable items; the wanted corner is marked."""
    lowest = min([good for part, good in curve if part > 0.02] + [wanted])
    bottom = max(0.0, lowest - 0.05)
    points = " ".join(f"{_x(part):.1f},{_y(good, bottom):.1f}" for part, good in curve if good >= bottom)
    corner = (
        f'<line x1="{_x(share):.1f}" y1="{_y(1, bottom):.1f}" x2="{_x(share):.1f}" y2="{_y(wanted, bottom):.1f}" '
        f'stroke="{_FAINT}"/><line x1="{_x(0):.1f}" y1="{_y(wanted, bottom):.1f}" x2="{_x(share):.1f}" '
        f'y2="{_y(wanted, bottom):.1f}" stroke="{_FAINT}"/>'
    )
    line = f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="2"/>'
    return _frame("share of items, most probable first", "right", corner + line, bottom)


def reliability(bins: Sequence[Bin]) -> str:
    """Draw how often answers of about one stated probability are right, with 95 % intervals."""
    marks = [f'<line x1="{_x(0):.1f}" y1="{_y(0, 0):.1f}" x2="{_x(1):.1f}" y2="{_y(1, 0):.1f}" stroke="{_FAINT}"/>']
    for each in bins:
        low, high = each.right.bounds
        x = _x(each.stated)
        marks.append(
            f'<line x1="{x:.1f}" y1="{_y(low, 0):.1f}" x2="{x:.1f}" y2="{_y(high, 0):.1f}" stroke="{_LINE}"/>'
            f'<circle cx="{x:.1f}" cy="{_y(each.right.value, 0):.1f}" r="4" fill="{_LINE}"/>'
        )
    return _frame("stated probability", "right", "".join(marks), 0.0)


def _x(value: float) -> float:
    return _EDGE + value * (_SIZE - 2 * _EDGE)


def _y(value: float, bottom: float) -> float:
    return _SIZE - _EDGE - (value - bottom) / (1 - bottom) * (_SIZE - 2 * _EDGE)


def _frame(across: str, upward: str, inside: str, bottom: float) -> str:
    ticks = []
    for step in range(6):
        part = step / 5
        height = bottom + part * (1 - bottom)
        ticks.append(f'<text x="{_x(part):.1f}" y="{_SIZE - _EDGE + 16}" text-anchor="middle">{part:.1f}</text>')
        ticks.append(f'<text x="{_EDGE - 6}" y="{_y(height, bottom) + 4:.1f}" text-anchor="end">{height:.2f}</text>')
    side = _SIZE - 2 * _EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" font-family="sans-serif" '
        f'font-size="11"><rect width="{_SIZE}" height="{_SIZE}" fill="white"/><rect x="{_EDGE}" y="{_EDGE}" '
        f'width="{side}" height="{side}" fill="none" stroke="black"/>{"".join(ticks)}{inside}'
        f'<text x="{_SIZE / 2}" y="{_SIZE - 12}" text-anchor="middle">{across}</text>'
        f'<text x="14" y="{_SIZE / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {_SIZE / 2})">{upward}</text></svg>\n'
    )
