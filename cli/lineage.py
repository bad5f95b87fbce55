"""A version's lineage told in lines: who made it, why, from what, how it was judged, and who let it serve."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cli.output import say, shown

Facts = Mapping[str, Any]
Line = tuple[str, str]

MOST_TOLD = 10  # of a list; --json has them all


def show_lineage(line: Facts) -> None:
    """Print what `shared.registry.lineage.Lineage.of` returns."""
    child = f", made from {line['parent']}" if line["parent"] else ""
    say(f"[bold]{shown(line['version'])}[/] is {shown(line['state'])}{shown(child)}.")
    for name, text in _told(line):
        say(f"  [bold]{name:<11}[/] {shown(text)}")


def _told(line: Facts) -> Iterator[Line]:
    yield "made by", _job(line["job"])
    yield from _alarm(line["alarm"])
    yield "data", _data(line["data"])
    yield "judged", _judged(line["comparison"])
    yield "package", _package(line["package"])
    approval = line["approval"]
    yield "approved", "by nobody yet: it has never served" if approval is None else _who(approval)
    yield from _several("afterwards", [_event(event) for event in line["followed"]])
    yield from _several("cycles", [_cycle(one) for one in line["judged_by"]["cycles"]] or ["none has judged it yet"])
    yield from _several("ancestors", [_ancestor(one) for one in line["ancestors"]] or ["none: it is the first"])


def _several(name: str, texts: Sequence[str]) -> Iterator[Line]:
    for place, text in enumerate(texts[:MOST_TOLD]):
        yield (name if place == 0 else ""), text
    if len(texts) > MOST_TOLD:
        yield "", f"and {len(texts) - MOST_TOLD} more (--json has them all)"


def _job(job: Facts) -> str:
    if "none" in job:
        return str(job["none"])
    if "gone" in job:
        return f"{job['job_id']}: {job['gone']}"
    attempts = "" if job["attempts"] == 1 else f" at attempt {job['attempts']}"
    note = f" {job['data_note']}" if job["data_note"] else ""
    asked = f"asked for by {job['actor']} ({job['reason']})"
    return f"{job['job_id']}, a {job['kind']} {asked}, {job['state']}{attempts} {_at(job['ended_at'])}.{note}"


def _alarm(alarm: Facts | None) -> Iterator[Line]:
    if alarm is None:
        return
    cycle = alarm["cycle"]
    if "gone" in cycle:
        yield "alarm", f"of the cycle {alarm['cycle_id']}: {cycle['gone']}"
    else:
        sample = cycle["sample"]
        count = sample["requested"] if sample["items_in_all"] is None else sample["items_in_all"]
        drawn = f"{count} items drawn {sample['strategy']} with seed {sample['seed']}"
        actuals = f"actuals of {cycle['actuals']['snapshot_id']}"
        yield "alarm", f"of the cycle {alarm['cycle_id']} {_at(cycle['ended_at'])}: {drawn}, {actuals}"
    yield from _several("", [f"{alert['id']} ({alert['state']}): {alert['message']}" for alert in alarm["alerts"]])


def _data(data: Facts) -> str:
    rows = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in (data["rows"] or {}).items())
    gone = f"; {data['gone']}" if "gone" in data else ""
    return f"{data['snapshot_id'] or 'a snapshot'} of {data['profile']}, read {_at(data['data_as_of'])}: {rows}{gone}"


def _judged(comparison: Facts | None) -> str:
    if comparison is None:
        return "with nothing: no comparison was made"
    if "decision" not in comparison:
        return f"{comparison['reason']} (as its package says)"
    recipe = f" ({comparison['recipe']})" if comparison.get("recipe") else ""
    return f"{comparison['decision']}{recipe}: {comparison['reason']}"


def _package(package: Facts) -> str:
    if "gone" in package:
        return str(package["gone"])
    signed = f"signed by key {package['signed_by']}" if package["signed_by"] else "not signed"
    return (
        f"{package['model_kind']}, {signed}, manifest {package['manifest_sha256'][:16]}…, {_at(package['created_at'])}"
    )


def _event(event: Facts) -> str:
    return f"{event['to_state']} {_who(event)}"


def _who(event: Facts) -> str:
    return f"{_at(event['at'])} by {event['actor']}: {event['reason']}"


def _cycle(cycle: Facts) -> str:
    mae = "unknown" if cycle["mae"] is None else f"{cycle['mae']:.2f} min"
    alarms = f"; alarms: {', '.join(map(str, cycle['alarms']))}" if cycle["alarms"] else ""
    watch = f"; {cycle['watch']['reason']}" if cycle["watch"] else ""
    when, items = _at(cycle["ended_at"]), f"{cycle['evaluated'] or 0} items"
    return f"{cycle['cycle_id']} {cycle['state']} {when}: {items}, MAE {mae}{alarms}{watch}"


def _ancestor(ancestor: Facts) -> str:
    state = ancestor["state"] or "not known here"
    return f"{ancestor['version']} ({state}), data as of {_at(ancestor['data_as_of'])}"


def _at(moment: str | None) -> str:
    return "at an unknown time" if moment is None else shown(datetime.fromisoformat(moment))
