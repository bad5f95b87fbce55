"""Have terminals begun to write another unit? A diagnosis beside the alarm, for a person: no model mends wrong numbers.

Orders that the active model cannot have seen are set beside its predictions. Where a good part of one operation's
orders lies at a factor that units differ by (60, 100, 1000, …), on several items, that operation is named. Learning
such numbers would spoil every order before, so the remedy is at the terminal or in the profile.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

from shared.database.alerts import Alerts
from shared.quality.judging import Judgement
from shared.quality.measured import MeasuredCycle
from shared.quality.observations import OrderObservation

UNIT_SUSPECTED = "unit-suspected"
UNIT_FACTORS = {
    60.0: "minutes for hours, or seconds for minutes",
    3_600.0: "seconds for hours",
    100.0: "per hundred pieces for per piece",
    1_000.0: "per thousand pieces for per piece",
}
NEAR = log(1.8)  # so far from a factor, in logarithms, an order's own scatter may move it
LEAST_SHARE = 0.2  # of an operation's orders; slips of the pen are a few in a thousand
LEAST_ITEMS = 5


@dataclass(frozen=True, kw_only=True)
class UnitChange:
    """An operation whose booked minutes look like another unit's."""

    operation_code: str
    factor: float  # booked minutes are so many times the predicted ones
    share: float  # of the operation's orders
    orders: int
    items: int
    message: str


class UnitWatch:
    """Looks for changed units after each quality cycle; a hook of the cycles."""

    def __init__(self, alerts: Alerts) -> None:
        """Tell findings as `alerts`."""
        self._alerts = alerts

    def __call__(self, measured: MeasuredCycle, _judgement: Judgement) -> Mapping[str, Any]:
        """Return `{"units": [...]}`, empty where nothing is suspected or no order is new to the model."""
        if measured.drawn.reported_after is None:
            return {"units": []}
        found = find_unit_changes(measured.evaluation.orders)
        for change in found:
            details = asdict(change) | {"cycle_id": measured.row.id}
            self._alerts.raise_alert(UNIT_SUSPECTED, change.operation_code, change.message, details=details)
        return {"units": [asdict(change) for change in found]}


def find_unit_changes(orders: Sequence[OrderObservation]) -> list[UnitChange]:
    """Return the operations whose booked minutes look like another unit's, by code."""
    ratios: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in orders:
        if row.booked_minutes > 0 and row.predicted_minutes > 0:
            ratios[row.operation_code].append((log(row.booked_minutes / row.predicted_minutes), row.item_code))
    found = [_judge(code, seen) for code, seen in sorted(ratios.items())]
    return [change for change in found if change is not None]


def _judge(code: str, seen: Sequence[tuple[float, str]]) -> UnitChange | None:
    best: UnitChange | None = None
    for times, meaning in UNIT_FACTORS.items():
        for factor in (times, 1 / times):
            hits = [item for ratio, item in seen if abs(ratio - log(factor)) < NEAR]
            share, items = len(hits) / len(seen), len(set(hits))
            if share < LEAST_SHARE or items < LEAST_ITEMS or (best is not None and share <= best.share):
                continue
            said = f"{factor:g}" if factor >= 1 else f"one {times:g}th"
            best = UnitChange(
                operation_code=code,
                factor=factor,
                share=share,
                orders=len(hits),
                items=items,
                message=(
                    f"{share:.0%} of the new orders of {code} are booked with about {said} times the predicted "
                    f"minutes, on {items} items: perhaps another unit ({meaning}). Look at the terminals and at the "
                    f"profile's time unit before a model learns these numbers."
                ),
            )
    return best
