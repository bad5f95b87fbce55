"""A story in numbers: a table of its days, what each step led to, the error before, during and after, and a chart."""

from collections.abc import Sequence
from typing import Any

from benchmarks.story.acting import Day, Phase
from benchmarks.story.same_orders import SameOrders
from shared.database.tables import TrainingJob, WorkState

_WIDTH, _HEIGHT, _EDGE, _MIDDLE = 760, 460, 60, 300
_LINE, _BAD, _GOOD, _FAINT = "#1f5fa8", "#b3261e", "#3d8a4e", "#b8b8b8"
_HEADS = ("day", "phase", "bookings", "trimmed MAE, min", "operations right", "evidence", "noticed", "done")
_FIGURES = {"trim_mae": ("trimmed MAE, minutes", "{:.1f}"), "process_match": ("operations right", "{:.1%}")}


def table(days: Sequence[Day]) -> str:
    """Return the days as text: figures with their intervals, the strongest evidence, what was noticed and done."""
    rows = [_HEADS, *(_row(day) for day in days)]
    told = [sentences(day, (days[number - 1] if number else None)) for number, day in enumerate(days)]
    said = [f"{day.day}: {sentence}" for day, each in zip(days, told, strict=True) for sentence in each]
    return "\n".join([_aligned(rows), "", *said])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _row(day: Day) -> tuple[str, ...]:
    return (
        day.day.isoformat(),
        day.phase,
        str(day.figure("trim_mae")["n"]),
        shown(day.figure("trim_mae"), "{:.1f}"),
        shown(day.figure("process_match"), "{:.1%}"),
        _evidence(day),
        "; ".join(noticed(day)),
        "; ".join(done(day)),
    )


def shown(figure: dict[str, Any], form: str) -> str:
    """Return a figure with its 95 % interval."""
    if figure["value"] is None:
        return "-"
    low, high = figure.get("low"), figure.get("high")
    between = "" if low is None or high is None else f" ({form.format(low)} to {form.format(high)})"
    return form.format(figure["value"]) + between


def _evidence(day: Day) -> str:
    """Return the strongest evidence as a share of what an alarm needs, and how many more items are expected to do."""
    found = strongest(day)
    if found is None:
        return ""
    needed = found.get("needed")
    more = f", {needed} more items" if needed and 0 < found["log_evidence"] < found["limit"] else ""
    return f"{max(0.0, found['log_evidence'] / found['limit']):.0%}{more}"


def strongest(day: Day) -> dict[str, Any] | None:
    """Return the stream whose evidence comes nearest to its limit; None where nothing was weighed."""
    streams = [*(((day.cycle.metrics or {}).get("evidence") or {}).get("streams") or ()), *day.findings]
    known = [one for one in streams if one.get("log_evidence") is not None and one.get("limit")]
    return max(known, key=lambda one: one["log_evidence"] / one["limit"], default=None)


def noticed(day: Day) -> list[str]:
    """Return the day's alarms, a few words each."""
    return [f"ALARM {_named(finding)}" for finding in day.alarms]


def _named(finding: dict[str, Any]) -> str:
    about = finding["metric"].partition("unit.")[2] or finding.get("family") or ""
    times = f" {finding['value']:.3g} x" if finding.get("value") is not None and finding["threshold"] == 1.0 else ""
    return f"{finding['issue']}{f' {about}' if about else ''}{times}"


def done(day: Day) -> list[str]:
    """Return what was done on a day, a few words each."""
    told = ["the person states the unit"] if day.person else []
    if day.retraining.get("refused"):
        told.append("no job")
    told += [f"{job.actor}'s {job.kind}: {_in_short(job)}" for job in day.jobs]
    if day.activated is not None:
        told.append(f"{day.activated} serves")
    if _watch(day):
        told.append(f"watch: {_watch(day)['outcome']}")
    return [*told, *(f"alert {alert.kind} {alert.subject} closed" for alert in day.closed)]


def _in_short(job: TrainingJob) -> str:
    comparison = (job.result or {}).get("comparison")
    if job.state != WorkState.SUCCEEDED or not comparison:
        return job.state
    change = comparison["trim_mae_change"]["value"]
    gain = "" if change is None else f", minutes {change:+.1%}"
    return ("registered" if comparison["promoted"] else "not registered") + gain


def sentences(day: Day, before: Day | None = None) -> list[str]:
    """Return what was noticed and done on a day, in the product's own words, but for what the day `before` said too."""
    told = [day.person] if day.person else []
    again = {_named(finding) for finding in before.alarms} if before else set()
    told += [finding["message"] for finding in day.alarms if _named(finding) not in again]
    refused = day.retraining.get("refused")
    told += [refused] if refused and not (before and before.retraining.get("refused") == refused) else []
    told += [f"{job.actor}'s {job.kind} job {job.state}: {_outcome(job)}" for job in day.jobs]
    told += [_watch(day)["reason"]] if _watch(day) else []
    return told + [f"alert closed: {alert.closed_note or alert.message}" for alert in day.closed]


def _watch(day: Day) -> dict[str, Any]:
    return (day.cycle.metrics or {}).get("watch") or {}


def _outcome(job: TrainingJob) -> str:
    result: dict[str, Any] = job.result or {}
    recipe = f"{result['recipe']}: " if "recipe" in result else ""
    skipped = job.reason if job.state == WorkState.SKIPPED else None
    return recipe + str(job.error or result.get("reason") or skipped or job.step)


def phases(days: Sequence[Day], operations: Sequence[str] = (), same: SameOrders | None = None) -> str:
    """Return the error before, during and after the change: each phase's last cycle, and both models side by side.

    `operations` have a line of their own. A cycle judges all orders that its model has not seen, so "during" holds the
    steady days as well.
    """
    last: dict[Phase, Day] = {day.phase: day for day in days}
    rows: list[Sequence[str]] = [("figure", *(f"{phase}, {last[phase].day}" for phase in last))]
    for name, (label, form) in _FIGURES.items():
        rows.append((label, *(_with_n(day.figure(name), form) for day in last.values())))
    rows += [
        (f"MAE of {code}, minutes", *(_with_n(day.figure("mae", code), "{:.1f}") for day in last.values()))
        for code in operations
    ]
    return _aligned(rows) + ("" if same is None else "\n\n" + same.table())


def _with_n(figure: dict[str, Any], form: str) -> str:
    return f"{shown(figure, form)}, n {figure['n']}"


def summary(days: Sequence[Day], same: SameOrders | None = None) -> dict[str, Any]:
    """Return the story in a few figures: days until noticed, what was promoted or stated, and the error throughout."""
    broken = [day for day in days if day.phase != "before"]
    alarmed = [day for day in broken if day.alarms]
    activated = [day for day in broken if day.activated is not None]
    comparison = _comparison(activated[0].jobs) if activated else None
    last: dict[str, Day] = {day.phase: day for day in days}
    return {
        "steady_days": sum(day.phase == "before" for day in days),
        "false_alarms": sum(bool(day.alarms) for day in days if day.phase == "before"),
        "days_until_alarm": len([d for d in broken if d.day <= alarmed[0].day]) if alarmed else None,
        "alarms": sorted({_named(finding) for finding in alarmed[0].alarms}) if alarmed else [],
        "quiet_after": not any(day.alarms for day in days if day.phase == "after"),
        "jobs": [f"{job.actor} {job.kind}: {_in_short(job)}" for day in broken for job in day.jobs],
        "activated": activated[0].activated if activated else None,
        "person": [day.person for day in days if day.person],
        "alerts_closed": sorted({alert.kind for day in days for alert in day.closed}),
        "trim_mae_change": None if comparison is None else comparison["trim_mae_change"],
        "process_match_change": None if comparison is None else comparison["process_match_change"],
        "phases": {phase: {name: day.figure(name) for name in _FIGURES} for phase, day in last.items()},
        "same_orders": None if same is None else same.as_json(),
    }


def _comparison(jobs: Sequence[TrainingJob]) -> dict[str, Any] | None:
    found = [job.result["comparison"] for job in jobs if job.result and job.result.get("comparison")]
    return found[-1] if found else None


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
