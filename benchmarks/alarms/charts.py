"""The chart: how many of the histories are caught within so many cycles, the test beside the oracle."""

from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _EDGE, _COLUMNS = 250, 190, 34, 3
_TEST, _ORACLE = "#1f5fa8", "#b8632b"


def power_chart(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Draw one panel a world: the share caught by the number of cycles since the rise, test and oracle."""
    panels = [_panel(place, name, *pair) for place, (name, pair) in enumerate(curves.items())]
    rows = -(-len(panels) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 24
    legend = (
        f'<text x="8" y="{height - 8}" fill="{_TEST}">the alarm</text>'
        f'<text x="90" y="{height - 8}" fill="{_ORACLE}">oracle CUSUM</text>'
        f'<text x="200" y="{height - 8}">share caught, by cycles of 50 items since errors rose by 20 %</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="10"><rect width="{width}" height="{height}" fill="white"/>{"".join(panels)}{legend}</svg>\n'
    )


def _panel(place: int, name: str, test: Sequence[float], oracle: Sequence[float]) -> str:
    left, top = place % _COLUMNS * _WIDTH, place // _COLUMNS * _HEIGHT
    side, tall = _WIDTH - _EDGE - 8, _HEIGHT - 2 * _EDGE + 8

    def line(values: Sequence[float], colour: str) -> str:
        points = " ".join(
            f"{left + _EDGE + side * cycle / (len(values) - 1):.1f},{top + 24 + tall * (1 - value):.1f}"
            for cycle, value in enumerate(values)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>'

    frame = f'<rect x="{left + _EDGE}" y="{top + 24}" width="{side}" height="{tall}" fill="none" stroke="#999"/>'
    ticks = "".join(
        f'<text x="{left + _EDGE - 4}" y="{top + 28 + tall * (1 - v):.1f}" text-anchor="end">{v:.1f}</text>'
        for v in (0.0, 0.5, 1.0)
    )
    ends = (
        f'<text x="{left + _EDGE}" y="{top + 36 + tall}">1</text>'
        f'<text x="{left + _EDGE + side}" y="{top + 36 + tall}" text-anchor="end">{len(test)}</text>'
    )
    title = f'<text x="{left + _EDGE}" y="{top + 16}">{name}</text>'
    return frame + ticks + ends + title + line(oracle, _ORACLE) + line(test, _TEST)
