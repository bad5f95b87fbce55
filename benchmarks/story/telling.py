"""A story in numbers: a table of its days, what each step led to, and a chart."""

from collections.abc import Sequence
from typing import Any

from benchmarks.story.acting import Day
from shared.database.tables import TrainingJob

_WIDTH, _HEIGHT, _EDGE, _MIDDLE = 760, 460, 60, 300
_LINE, _BAD, _GOOD, _FAINT = "#1f5fa8", "#b3261e", "#3d8a4e", "#b8b8b8"


def table(days: Sequence[Day]) -> str:
    """Return the days as text: the error with its interval, the strongest evidence beside its limit, what happened."""
    head = ("day", "cycle of", "orders", "trimmed MAE", "95 % interval", "process match", "evidence / limit", "what")
    rows = [head, *(_row(day) for day in days)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(day: Day) -> tuple[str, ...]:
    error, match = day.figure("trim_mae"), day.figure("process_match")
    evidence = strongest(day)
    return (
        day.day.isoformat(),
        day.version,
        str(error["n"]),
        _number(error["value"], "{:.1f} min"),
        f"{_number(error.get('low'), '{:.1f}')} to {_number(error.get('high'), '{:.1f}')}",
        _number(match["value"], "{:.1%}"),
        "" if evidence is None else f"{evidence[0]:.1f} / {evidence[1]:.1f}",
        "; ".join(events(day)),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def strongest(day: Day) -> tuple[float, float] | None:
    """Return the log evidence that comes nearest to its limit, and the limit; None where nothing was weighed."""
    streams = ((day.cycle.metrics or {}).get("evidence") or {}).get("streams") or []
    known = [(float(s["log_evidence"]), float(s["limit"])) for s in streams if s.get("log_evidence") is not None]
    known += [
        (float(finding["log_evidence"]), float(finding["limit"]))
        for finding in day.findings
        if finding.get("log_evidence") is not None and finding.get("limit")
    ]
    return max(known, key=lambda pair: pair[0] / pair[1], default=None)


def events(day: Day) -> list[str]:
    """Return what happened on a day, a few words each."""
    told = [f"ALARM: {finding['message']}" for finding in day.alarms]
    told += [f"job {job.kind}: {job.state}, {_outcome(job)}" for job in day.jobs]
    if day.activated is not None:
        told.append(f"{day.activated} serves")
    watch = (day.cycle.metrics or {}).get("watch")
    if watch:
        told.append(f"watch: {watch.get('outcome') or watch.get('verdict') or watch.get('decision')}")
    return told


def _outcome(job: TrainingJob) -> str:
    result: dict[str, Any] = job.result or {}
    recipe = f"{result['recipe']}: " if "recipe" in result else ""
    return recipe + str(job.error or result.get("reason") or job.step)


def summary(days: Sequence[Day]) -> dict[str, Any]:
    """Return the story in a few figures: days until noticed, what was promoted, and the error before and after."""
    broken = [day for day in days if day.broken]
    alarmed = [day for day in broken if day.alarms]
    activated = [day for day in broken if day.activated is not None]
    after = [day for day in days if activated and day.day > activated[0].day]
    comparison = _comparison(activated[0].jobs) if activated else None
    return {
        "steady_days": sum(not day.broken for day in days),
        "false_alarms": sum(bool(day.alarms) for day in days if not day.broken),
        "days_until_alarm": len([d for d in broken if d.day <= alarmed[0].day]) if alarmed else None,
        "alarms": sorted({finding["issue"] for day in alarmed for finding in day.alarms}),
        "activated": activated[0].activated if activated else None,
        "trim_mae_change": None if comparison is None else comparison["trim_mae_change"],
        "process_match_change": None if comparison is None else comparison["process_match_change"],
        "trim_mae": {
            "steady": _middle([day for day in days if not day.broken]),
            "broken": _middle([day for day in broken if not activated or day.day <= activated[0].day][-1:]),
            "after": _middle(after),
        },
    }


def _comparison(jobs: Sequence[TrainingJob]) -> dict[str, Any] | None:
    found = [job.result["comparison"] for job in jobs if job.result and job.result.get("comparison")]
    return found[-1] if found else None


def _middle(days: Sequence[Day]) -> float | None:
    values = sorted(day.figure("trim_mae")["value"] for day in days if day.figure("trim_mae")["value"] is not None)
    return float(values[len(values) // 2]) if values else None


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
    broken = next((number for number, day in enumerate(days) if day.broken), None)
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
            share = max(0.0, evidence[0] / evidence[1])
            marks.append(
                f'<rect x="{x(number) - step / 4:.1f}" width="{step / 2:.1f}" y="{strip(share):.1f}" '
                f'height="{_HEIGHT - _EDGE - strip(share):.1f}" fill="{_BAD if day.alarms else _LINE}"/>'
            )
        if day.alarms:
            marks.append(_flag(x(number), "alarm", _BAD))
        if day.activated is not None:
            marks.append(_flag(x(number) + step / 2, "new model", _GOOD))
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
