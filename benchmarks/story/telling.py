"""A story in numbers: a table of its days, what each step led to, the error before, during and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.story.acting import Day, Phase
from benchmarks.story.same_orders import SameOrders
from shared.database.tables import TrainingJob, WorkState

_HEADS = ("day", "phase", "bookings", "trimmed MAE, min", "operations right", "evidence", "noticed", "done")
_TIMES = ("RISING_ERROR", "UNIT_SUSPECTED")  # issues whose value is how many times as great something is
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
    told = finding["issue"] in _TIMES and finding.get("value") is not None
    times = f" {finding['value']:.3g} x" if told else ""
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


def overview(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the stories side by side, from their summaries: when noticed, what was done, and the error throughout."""
    columns = {kind: _column(found) for kind, found in told.items()}
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [(name, *(column.get(name, "-") for column in columns.values())) for name in names]
    return _aligned([("", *columns), *rows])


def _column(found: Mapping[str, Any]) -> dict[str, str]:
    day = found["days_until_alarm"]
    told = {"noticed": "not" if day is None else f"day {day}: {', '.join(found['alarms'])}"}
    told["done"] = f"{found['activated']} serves" if found["activated"] and not found["person"] else "nothing"
    told["done"] = "the person states the unit" if found["person"] else told["done"]
    for name, (label, form) in _FIGURES.items():
        for phase, figures in found["phases"].items():
            told[f"{label}, {phase}"] = _with_n(figures[name], form)
    if found["same_orders"]:
        for name, (label, form) in _FIGURES.items():
            old, new = (found["same_orders"][model][name] for model in ("old", "new"))
            told[f"{label}, same orders"] = f"{shown(old, form)} -> {shown(new, form)}, n {new['n']}"
    return told
