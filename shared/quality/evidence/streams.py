"""All streams of one activation: begun with its reference, carried from cycle to cycle, and read.

Streams are named `test|family`, the family empty for all items. Everything here is pure: the same reference, items and
order of cycles give the same evidence, bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, exp, log
from typing import Any

import numpy as np

from shared.quality.evidence.actuals import FreshItem, errors_entry, misses_entry, ratio_entry
from shared.quality.evidence.level import EXCESSES
from shared.quality.evidence.rise import RISES, RiseTest
from shared.quality.evidence.shares import (
    LEVEL_OF_ERRORS,
    LEVEL_OF_MISSES,
    LEVEL_OF_SPREAD,
    RISE_OF_ERRORS,
    RISE_OF_MISSES,
    limit,
    share_of_stream,
    weight_of_cycle,
)
from shared.quality.evidence.state import Entry, LevelState, RiseState, add_period, begin_rise, bet

MOST_FAMILIES = 20  # with streams of their own when a model is activated: those with most items in the reference
MOST_LATER = 20
_ENTRIES: dict[str, Callable[[FreshItem], Entry | None]] = {
    RISE_OF_ERRORS: errors_entry,
    RISE_OF_MISSES: misses_entry,
}
_LEAST_GROWTH = 1e-6


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The thresholds that levels are tested against."""

    mae_minutes: float
    missed: float  # share of operations
    cv: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about one activation."""

    cycles: int  # tested in the factory's life, whatever version was active
    families: tuple[str, ...]
    later: tuple[str, ...]
    rises: Mapping[str, RiseState]
    levels: Mapping[str, LevelState]
    rise_test: RiseTest | None = field(default=None, compare=False, repr=False)  # as the last cycle left it, if known


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One stream, as a person may read it."""

    test: str
    family: str
    log_evidence: float
    limit: float  # an alarm from here
    items: int  # with unseen actuals, since the activation
    estimate: float | None  # errors over what they were, or the mean over its threshold; None: nothing to tell it by
    needed: int | None  # items with unseen actuals until a difference like the estimated is evident
    history: tuple[tuple[float, int, str], ...]  # log evidence, items, cycle

    @property
    def evident(self) -> bool:
        """Whether the evidence suffices."""
        return self.log_evidence >= self.limit

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "test": self.test,
            "family": self.family,
            "log_evidence": self.log_evidence,
            "limit": self.limit,
            "evident": self.evident,
            "items": self.items,
            "estimate": self.estimate,
            "needed": self.needed,
            "history": [list(one) for one in self.history],
        }


def begin(reference: Sequence[Sequence[FreshItem]], *, cycles: int) -> Evidence:
    """Return the evidence at an activation; `cycles` were tested before it, with other versions."""
    counts: dict[str, int] = {}
    for item in (item for period in reference for item in period):
        counts[item.family] = counts.get(item.family, 0) + 1
    families = tuple(sorted(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FAMILIES]))
    rises = {}
    periods = [_entries(period) for period in reference]
    for family in ("", *families):
        for test in _ENTRIES:
            rises[_name(test, family)] = begin_rise([period[test].get(family, []) for period in periods])
    levels = {_name(test, ""): LevelState() for test in (LEVEL_OF_ERRORS, LEVEL_OF_MISSES, LEVEL_OF_SPREAD)}
    return _judged(Evidence(cycles=cycles, families=families, later=(), rises=rises, levels=levels), None, "")


def advance(evidence: Evidence, items: Sequence[FreshItem], bounds: Bounds, cycle_id: str) -> Evidence:
    """Return the evidence after a cycle that brought `items`; the same evidence when it brought none."""
    if not items:
        return evidence
    number = evidence.cycles + 1
    weight = weight_of_cycle(number)
    known = {*evidence.families, *evidence.later}
    new = [name for name in dict.fromkeys(item.family for item in items) if name not in known]
    later = (*evidence.later, *sorted(new))[:MOST_LATER]
    scale = sum(item.weight for item in items) / len(items)
    weighed = [replace(item, weight=item.weight / scale) for item in items]
    entries, rises = _entries(weighed), {}
    for family in ("", *evidence.families, *later):
        for test in _ENTRIES:
            before = evidence.rises.get(_name(test, family)) or begin_rise([])
            rises[_name(test, family)] = add_period(
                before, entries[test].get(family, []), weight=weight, cycle_id=cycle_id
            )
    levels = _levels(evidence, weighed, bounds, weight, cycle_id)
    after = Evidence(cycles=number, families=evidence.families, later=later, rises=rises, levels=levels)
    return _judged(after, evidence, cycle_id)


def _entries(items: Sequence[FreshItem]) -> dict[str, dict[str, list[Entry]]]:
    """Return what `items` add to the rise streams, by test and family (all items under the empty name)."""
    found: dict[str, dict[str, list[Entry]]] = {test: {"": []} for test in _ENTRIES}
    for test, entry_of in _ENTRIES.items():
        of_family = found[test]
        for item in items:
            if (entry := entry_of(item)) is not None:
                of_family[""].append(entry)
                if item.family:
                    of_family.setdefault(item.family, []).append(entry)
    return found


def _levels(
    evidence: Evidence, items: Sequence[FreshItem], bounds: Bounds, weight: float, cycle_id: str
) -> dict[str, LevelState]:
    errors, misses = evidence.rises[_name(RISE_OF_ERRORS, "")].wobble, evidence.rises[_name(RISE_OF_MISSES, "")].wobble
    entries = {
        LEVEL_OF_ERRORS: ([ratio_entry(i, i.absolute_error, bounds.mae_minutes) for i in items], errors),
        LEVEL_OF_MISSES: ([ratio_entry(i, i.missed, bounds.missed) for i in items], misses),
        LEVEL_OF_SPREAD: ([ratio_entry(i, i.spread, bounds.cv) for i in items], errors),
    }
    return {
        _name(test, ""): bet(
            evidence.levels[_name(test, "")],
            [entry for entry in found if entry is not None],
            weight=weight,
            wobble=wobble,
            cycle_id=cycle_id,
        )
        for test, (found, wobble) in entries.items()
    }


def _judged(after: Evidence, before: Evidence | None, cycle_id: str) -> Evidence:
    """Bring the rise streams' evidence up to date."""
    test = _continued(after, before) or _replayed(list(after.rises.values()))
    logs, wobbles = test.log_evidence(), test.long_run_variance()
    _, shifts, information = test.best()
    rises = {}
    for place, (name, state) in enumerate(after.rises.items()):
        value = float(logs[place])
        more = ((value, state.periods[-1].items, cycle_id),) if cycle_id else ()
        rises[name] = replace(
            state,
            evidence=value,
            shift=float(shifts[place]),
            information=float(information[place]),
            wobble=float(wobbles[place]) * (log(RISES[0]) / state.shifts[0]) ** 2,
            history=(*state.history, *more)[-250:],
        )
    return replace(after, rises=rises, rise_test=test)


def _continued(after: Evidence, before: Evidence | None) -> RiseTest | None:
    """Take the filter of `before` one cycle further; None where it is not at hand or other periods count."""
    if before is None or before.rise_test is None or list(before.rises) != list(after.rises):
        return None
    if any(len(state.periods) != len(before.rises[name].periods) + 1 for name, state in after.rises.items()):
        return None
    latest = [state.periods[-1] for state in after.rises.values()]
    test = before.rise_test.copy()
    means, variances = (np.array([getattr(one, told) for one in latest]) for told in ("mean", "variance"))
    test.observe(means, variances, weight=latest[0].weight)
    return test


def _replayed(rises: Sequence[RiseState]) -> RiseTest:
    """Filter the periods of all rise streams at once, each as long as the longest (nothing came in what it lacks)."""
    longest = max(rises, key=lambda state: len(state.periods)).periods
    length = len(longest)
    means, variances = np.zeros((length, len(rises))), np.full((length, len(rises)), np.inf)
    for place, state in enumerate(rises):
        start = length - len(state.periods)
        means[start:, place] = [period.mean for period in state.periods]
        variances[start:, place] = [period.variance for period in state.periods]
    shifts, differences = ([getattr(state, told) for state in rises] for told in ("shifts", "difference"))
    test = RiseTest(len(rises), np.array(shifts), np.array(differences))
    for place, period in enumerate(longest):
        test.observe(means[place], variances[place], weight=period.weight)
    return test


def readings(evidence: Evidence, false_alarm_rate: float) -> list[Reading]:
    """Return every stream's reading, the streams of all items first."""
    found = []
    for name, state in evidence.rises.items():
        which, family = name.split("|", 1)
        share = share_of_stream(which, family, evidence.families, evidence.later)
        least = limit(false_alarm_rate, share)
        told = state.items > 0
        found.append(
            Reading(
                test=which,
                family=family,
                log_evidence=state.evidence,
                limit=least,
                items=state.items,
                estimate=exp(state.shift / state.shifts[0] * log(RISES[0])) if told else None,
                needed=_rise_needs(state, least),
                history=state.history,
            )
        )
    for name, level in evidence.levels.items():
        which = name.split("|", 1)[0]
        least = limit(false_alarm_rate, share_of_stream(which))
        found.append(
            Reading(
                test=which,
                family="",
                log_evidence=level.evidence if level.items else 0.0,
                limit=least,
                items=level.items,
                estimate=level.mean if level.items else None,
                needed=_level_needs(level, least, weight_of_cycle(evidence.cycles + 1)),
                history=level.history,
            )
        )
    return sorted(found, key=lambda reading: (reading.family != "", reading.test, reading.family))


def _rise_needs(state: RiseState, least: float) -> int:
    """Items until a rise like the estimated one (of 20 % where less is estimated) is expected to be evident."""
    if state.evidence >= least:
        return 0
    live = [period.items for period in state.periods if period.weight is not None and period.items]
    an_item = state.information / (sum(live) / len(live)) if live and state.information > 0 else 1.0
    growth = max(state.shift, state.shifts[0]) ** 2 * min(an_item, 1.0) / 2
    return ceil((least - state.evidence) / max(growth, _LEAST_GROWTH))


def _level_needs(state: LevelState, least: float, weight: float) -> int | None:
    """Items until a mean this far beyond its threshold is expected to be evident; None: it is not beyond it."""
    beginning = log(weight / len(EXCESSES))
    now = max(state.evidence, beginning) if state.items else beginning
    if now >= least:
        return 0
    excess = state.mean - 1
    if excess <= 0:
        return None
    growth = excess**2 / (2 * (state.variance + excess**2))
    return ceil((least - now) / max(growth, _LEAST_GROWTH))


def _name(test: str, family: str) -> str:
    return f"{test}|{family}"
