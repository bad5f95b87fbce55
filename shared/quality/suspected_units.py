"""Which operations' booked minutes look like another unit's than the predicted ones, and since when.

Where, from some day on, a good part of one operation's orders lies at a factor that units differ by (60, 100, 1000, …)
from what was predicted, on several items, that operation is suspected.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from math import exp, log
from statistics import median
from typing import Any, NamedTuple

from shared.erp.snapshot import Snapshot
from shared.quality.actuals import ItemActuals
from shared.quality.alarms import Finding
from shared.quality.observations import OrderObservation
from shared.quality.unit_traces import Traces, traces_of

UNIT_FACTORS = {
    60.0: "minutes for hours, or seconds for minutes",
    3_600.0: "seconds for hours",
    100.0: "per hundred pieces for per piece",
    1_000.0: "per thousand pieces for per piece",
}
NEAR = log(1.8)  # so far from a factor, in logarithms, an order's own scatter may move it
LEAST_SHARE = 0.2  # of an operation's orders since that day; slips of the pen are a few in a thousand
LEAST_ITEMS = 5


class Compared(NamedTuple):
    """One booked order of an operation beside its prediction."""

    day: date
    ratio: float  # logarithm of booked over predicted minutes
    item_code: str


@dataclass(frozen=True, kw_only=True)
class SuspectedUnit:
    """An operation whose booked minutes look like another unit's."""

    operation_code: str
    since: date  # the first day on which they do
    factor: float  # booked minutes are so many times the predicted ones
    share: float  # of the operation's orders since that day
    orders: int
    items: int
    traces: Traces
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self) | {"since": self.since.isoformat()}

    def as_finding(self) -> Finding:
        """Return it as one of the cycle's findings, evident by its factor alone."""
        return Finding(
            issue="UNIT_SUSPECTED",
            metric=f"unit.{self.operation_code}",
            value=self.factor,
            threshold=1.0,
            low=None,
            high=None,
            evident=True,
            retraining_helps=False,
            message=self.message,
        )


def far_off(orders: Sequence[OrderObservation]) -> set[str]:
    """Return the operations of which enough items are booked as far from their predictions as another unit is."""
    least = min(UNIT_FACTORS) / exp(NEAR)
    items: dict[str, set[str]] = defaultdict(set)
    for row in orders:
        if not row.predicted_minutes / least < row.booked_minutes < row.predicted_minutes * least:
            items[row.operation_code].add(row.item_code)
    return {code for code, its in items.items() if len(its) >= LEAST_ITEMS}


def compare_days(
    orders: Sequence[OrderObservation], actuals: Mapping[str, ItemActuals], operations: Collection[str]
) -> dict[str, list[Compared]]:
    """Return the orders of `operations` beside their predictions, oldest first; those without a day have no place."""
    found: dict[str, list[Compared]] = defaultdict(list)
    for row in orders:
        if row.operation_code not in operations:
            continue
        day = actuals[row.item_code].orders[row.order].reported_at
        if day is not None and row.booked_minutes > 0 and row.predicted_minutes > 0:
            ratio = log(row.booked_minutes / row.predicted_minutes)
            found[row.operation_code].append(Compared(day, ratio, row.item_code))
    return {code: sorted(found[code]) for code in sorted(found)}


def find_suspected(compared: Mapping[str, Sequence[Compared]], snapshot: Snapshot) -> list[SuspectedUnit]:
    """Return the operations whose booked minutes look like another unit's, by code."""
    found = [_judge(code, seen, snapshot) for code, seen in compared.items()]
    return [one for one in found if one is not None]


class _Beginning(NamedTuple):
    """From a day on, so many of an operation's orders lie near a factor."""

    since: date
    factor: float
    meaning: str
    after: Sequence[Compared]
    hits: Sequence[Compared]

    @property
    def rank(self) -> tuple[int, float]:
        """Which of two factors explains more orders, or the same ones more closely."""
        return len(self.hits), -abs(median(one.ratio for one in self.hits) - log(self.factor))


def _judge(code: str, seen: Sequence[Compared], snapshot: Snapshot) -> SuspectedUnit | None:
    factors = [(factor, meaning) for times, meaning in UNIT_FACTORS.items() for factor in (times, 1 / times)]
    begun = [one for factor, meaning in factors if (one := _beginning(seen, factor, meaning)) is not None]
    if not begun:
        return None
    best = max(begun, key=lambda one: one.rank)
    traces = traces_of(snapshot, code, since=best.since, factor=best.factor)
    return _told(code, best, traces)


def _told(code: str, best: _Beginning, traces: Traces) -> SuspectedUnit:
    share, items = len(best.hits) / len(best.after), len({one.item_code for one in best.hits})
    said = f"{best.factor:g}" if best.factor >= 1 else f"one {1 / best.factor:g}th"
    return SuspectedUnit(
        operation_code=code,
        since=best.since,
        factor=best.factor,
        share=share,
        orders=len(best.hits),
        items=items,
        traces=traces,
        message=(
            f"Since {best.since}, {share:.0%} of the orders of {code} ({len(best.hits)} of {len(best.after)}, on "
            f"{items} items) are booked with about {said} times the predicted minutes: perhaps another unit "
            f"({best.meaning}){traces.said()}. Look at the terminals, then say in the profile which unit holds from "
            f"that day on (work_results.unit_changes). Until then these orders judge no model, and nothing is "
            f"retrained by itself."
        ),
    )


def _beginning(seen: Sequence[Compared], factor: float, meaning: str) -> _Beginning | None:
    """Return the day that best tells the orders near `factor` from those before; None where they are too few."""
    near = [abs(one.ratio - log(factor)) < NEAR for one in seen]
    best, explained = None, 0.0
    for day in sorted({one.day for one, hit in zip(seen, near, strict=True) if hit}):
        start = bisect_left(seen, day, key=lambda one: one.day)
        after = seen[start:]
        hits = [one for one, hit in zip(after, near[start:], strict=True) if hit]
        if len(hits) < LEAST_SHARE * len(after) or len({one.item_code for one in hits}) < LEAST_ITEMS:
            continue
        likelihood = _likelihood(sum(near[:start]), start) + _likelihood(len(hits), len(after))
        if best is None or likelihood > explained:
            best, explained = _Beginning(day, factor, meaning, after, hits), likelihood
    return best


def _likelihood(hits: int, of: int) -> float:
    """Return the log likelihood of so many hits at their own rate."""
    return sum(count * log(count / of) for count in (hits, of - hits) if count)
