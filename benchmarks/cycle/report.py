"""The measured cycles as a text for a person."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

BUDGET_SECONDS = 2.0  # of a cycle of 500 items


def as_text(found: Mapping[str, Any]) -> str:
    """Return a table: a line a part, a column a kind of cycle."""
    start, machine = found["start"], found["machine"]
    columns: dict[str, Sequence[Mapping[str, Any]]] = {
        "first of an activation": [found["activation"]["first"]],
        "first after a start": [start["first"]],
        "following": start["following"],
        "newer snapshot": [start["newer_snapshot"]],
    }
    names = list(dict.fromkeys(part for cycles in columns.values() for each in cycles for part in each["parts"]))
    lines = [f"| seconds | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name in names:
        of_each = [median(each["parts"].get(name, 0.0) for each in cycles) for cycles in columns.values()]
        lines.append(f"| {name} | {' | '.join(f'{seconds:.2f}' for seconds in of_each)} |")
    for name, key in (("**whole cycle**", "seconds"), ("processor", "cpu_seconds")):
        of_each = [median(each[key] for each in cycles) for cycles in columns.values()]
        lines.append(f"| {name} | {' | '.join(f'{seconds:.2f}' for seconds in of_each)} |")
    followed, bare = [each["seconds"] for each in start["following"]], median(start["bare_seconds"])
    sample = start["following"][0]
    lines += [
        "",
        f"{sample['evaluated']} items compared ({sample['mode']}); budget of 500 items: {BUDGET_SECONDS:g} s",
        f"{len(followed)} following cycles: {min(followed):.2f} to {max(followed):.2f} s",
        f"bare predictions of the same items: {bare:.2f} s; following {median(followed) / bare:.2f} times that",
        f"loading the model before the first cycle: {start['loading_seconds']:.1f} s",
        f"peak memory: {start['peak_mib']:,.0f} MiB",
        f"{machine['cores']} cores, load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after",
    ]
    lines += [f"logged: {warning}" for warning in (*found["activation"]["warnings"], *start["warnings"])]
    return "\n".join(lines)
