"""A story as a chart: the error of each day's cycle, the evidence beside its limit, and what happened."""

from collections.abc import Sequence

from benchmarks.story.acting import Day
from benchmarks.story.telling import strongest

_WIDTH, _HEIGHT, _EDGE, _MIDDLE = 760, 460, 60, 300
_LINE, _BAD, _GOOD, _FAINT = "#1f5fa8", "#b3261e", "#3d8a4e", "#b8b8b8"


def chart(days: Sequence[Day], title: str) -> str:
    """Draw the error of each cycle with its interval, the evidence beside its limit, the alarm and the activation."""
    values = [day.figure("trim_mae") for day in days]
    top = 1.1 * max([value.get("high") or value["value"] or 0.0 for value in values] + [1.0])
    step = (_WIDTH - 2 * _EDGE) / max(1, len(days))

    def x(number: int) -> float:
        return _EDGE + (number + 0.5) * step

    def y(minutes: float) -> float:
        return _MIDDLE - minutes / top * (_MIDDLE - _EDGE)

    def strip(share: float) -> float:
        return _HEIGHT - _EDGE - min(share, 1.4) / 1.4 * (_HEIGHT - _EDGE - _MIDDLE - 30)

    limit = (
        f'<line x1="{_EDGE}" x2="{_WIDTH - _EDGE}" y1="{strip(1):.1f}" y2="{strip(1):.1f}" stroke="{_BAD}" '
        f'stroke-dasharray="4 3"/><text x="{_WIDTH - _EDGE + 4}" y="{strip(1) + 4:.1f}" fill="{_BAD}">limit</text>'
    )
    marks = [limit]
    broken = next((number for number, day in enumerate(days) if day.phase != "before"), None)
    if broken is not None:
        marks.append(_flag(x(broken) - step / 2, "change", _FAINT))
    for number, (day, value) in enumerate(zip(days, values, strict=True)):
        if value["value"] is not None:
            low, high = value.get("low") or value["value"], value.get("high") or value["value"]
            marks.append(
                f'<line x1="{x(number):.1f}" x2="{x(number):.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}" '
                f'stroke="{_LINE}"/><circle cx="{x(number):.1f}" cy="{y(value["value"]):.1f}" r="4" fill="{_LINE}"/>'
            )
        evidence = strongest(day)
        if evidence is not None:
            share = max(0.0, evidence["log_evidence"] / evidence["limit"])
            marks.append(
                f'<rect x="{x(number) - step / 4:.1f}" width="{step / 2:.1f}" y="{strip(share):.1f}" '
                f'height="{_HEIGHT - _EDGE - strip(share):.1f}" fill="{_BAD if day.alarms else _LINE}"/>'
            )
        if day.alarms:
            marks.append(_flag(x(number), "alarm", _BAD))
        if day.activated is not None:
            marks.append(_flag(x(number) + step / 2, "new model", _GOOD))
        if day.person:
            marks.append(_flag(x(number) - step / 2, "unit stated", _GOOD))
        marks.append(
            f'<text x="{x(number):.1f}" y="{_HEIGHT - _EDGE + 16}" text-anchor="middle">{day.day:%d.%m.}</text>'
        )
    ticks = "".join(
        f'<text x="{_EDGE - 6}" y="{y(top * part / 4) + 4:.1f}" text-anchor="end">{top * part / 4:.0f}</text>'
        for part in range(5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/><text x="{_EDGE}" y="18" '
        f'font-size="14">{title}</text><text x="{_EDGE}" y="{_EDGE - 22}">trimmed MAE of the cycle, minutes, with 95 % '
        f'interval</text><text x="{_EDGE}" y="{_MIDDLE + 22}">strongest evidence, as a share of its limit</text>'
        f"{ticks}{''.join(marks)}</svg>\n"
    )


def _flag(x: float, text: str, colour: str) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_EDGE - 8}" y2="{_HEIGHT - _EDGE}" stroke="{colour}"/>'
        f'<text x="{x + 3:.1f}" y="{_EDGE - 8}" fill="{colour}">{text}</text>'
    )
