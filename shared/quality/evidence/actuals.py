"""What of a cycle may enter the alarm's test: actuals that the model cannot have seen, each once.

An actual is one booked order and operation reported after the model's data, or a routing made after them. Its key is
remembered, so that no later cycle of the same activation counts it again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shared.quality.actuals import BookedOrder, ItemActuals
from shared.quality.evaluate import Evaluation
from shared.quality.evidence.state import Entry
from shared.quality.observations import OrderObservation, RoutingObservation

LEAST_MINUTES = 0.1  # a predicted time counts as at least this long when an error is set against it


@dataclass(frozen=True, kw_only=True)
class FreshItem:
    """What one item adds to the streams, and under which keys."""

    item_code: str
    family: str
    weight: float
    relative_errors: tuple[tuple[str, float], ...] = ()  # (key, |predicted - booked| over predicted) of booked orders
    absolute_error: float | None = None  # mean minutes of an order's operation
    spread: float | None = None  # sd over mean of booked minutes per piece, the mean over its operations
    missed: float | None = None  # share of its new routing's operations that were not predicted
    routing_key: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all its actuals."""
        return (*(key for key, _ in self.relative_errors), *([self.routing_key] if self.routing_key else []))


def fresh_items(
    evaluation: Evaluation, actuals: Mapping[str, ItemActuals], data_until: date, minimum_samples: int
) -> list[FreshItem]:
    """Return what the evaluated items hold of actuals later than `data_until`, by item; tested ones included.

    An operation's spread counts from `minimum_samples` orders.
    """
    orders: dict[str, list[OrderObservation]] = defaultdict(list)
    for order in evaluation.orders:
        reported = actuals[order.item_code].orders[order.order].reported_at
        if reported is not None and reported > data_until:
            orders[order.item_code].append(order)
    routings = {r.item_code: r for r in evaluation.routings if _is_new(actuals[r.item_code], data_until)}
    weights = {r.item_code: (r.family, r.weight) for r in evaluation.routings}
    found = []
    for code in sorted(orders.keys() | routings.keys()):
        family, weight = weights[code]
        item = of_item(code, family, weight, orders.get(code, []), actuals[code], minimum_samples)
        found.append(_with_routing(item, routings.get(code)))
    return found


def of_item(
    code: str,
    family: str,
    weight: float,
    orders: Sequence[OrderObservation],
    actuals: ItemActuals,
    minimum_samples: int,
) -> FreshItem:
    """Return what one item's observed orders amount to."""
    relative = tuple((order_key(o, actuals.orders[o.order]), relative_error(o)) for o in orders)
    absolute = [abs(o.predicted_minutes - o.booked_minutes) for o in orders]
    return FreshItem(
        item_code=code,
        family=family,
        weight=weight,
        relative_errors=relative,
        absolute_error=sum(absolute) / len(absolute) if absolute else None,
        spread=_spread(orders, minimum_samples),
    )


def _with_routing(item: FreshItem, routing: RoutingObservation | None) -> FreshItem:
    if routing is None or not routing.matched.total:
        return item
    missed = 1 - routing.matched.hits / routing.matched.total
    key = key_of(["routing", item.item_code, *routing.actual_codes])
    return FreshItem(**{**item.__dict__, "missed": missed, "routing_key": key})


def without(items: Iterable[FreshItem], tested: set[str]) -> Iterator[FreshItem]:
    """Leave out what was tested before; an item's minutes and spread count only when none of its orders was."""
    for item in items:
        relative = tuple((key, value) for key, value in item.relative_errors if key not in tested)
        whole = len(relative) == len(item.relative_errors)
        routing = bool(item.routing_key) and item.routing_key not in tested
        if relative or routing:
            yield FreshItem(
                item_code=item.item_code,
                family=item.family,
                weight=item.weight,
                relative_errors=relative,
                absolute_error=item.absolute_error if whole else None,
                spread=item.spread if whole else None,
                missed=item.missed if routing else None,
                routing_key=item.routing_key if routing else "",
            )


def errors_entry(item: FreshItem) -> Entry | None:
    """Return an item's relative errors as an entry."""
    if not item.relative_errors:
        return None
    values = tuple(value for _, value in item.relative_errors)
    return Entry(item.weight, values, tuple(_chance(key) for key, _ in item.relative_errors))


def misses_entry(item: FreshItem) -> Entry | None:
    """Return an item's missed share as an entry."""
    if item.missed is None:
        return None
    return Entry(item.weight, (item.missed,), (_chance(item.routing_key),))


def ratio_entry(item: FreshItem, value: float | None, bound: float) -> Entry | None:
    """Return a value over its bound as an entry; None where there is no value, or no bound to be beyond."""
    return None if value is None or bound <= 0 else Entry(item.weight, (value / bound,), (0.5,))


def relative_error(order: OrderObservation) -> float:
    """Return |predicted - booked| over predicted."""
    return abs(order.predicted_minutes - order.booked_minutes) / max(order.predicted_minutes, LEAST_MINUTES)


def order_key(observed: OrderObservation, booked: BookedOrder) -> str:
    """Return the key of one booked order and operation; an order without a number is known by its day and figures."""
    order = [booked.order_no] if booked.order_no is not None else [booked.reported_at, booked.quantity, booked.minutes]
    return key_of(["order", observed.item_code, *order, observed.operation_code, observed.step])


def _spread(orders: Sequence[OrderObservation], minimum_samples: int) -> float | None:
    steps: dict[tuple[str, int], list[float]] = defaultdict(list)
    for order in orders:
        steps[order.operation_code, order.step].append(order.booked_minutes / order.quantity)
    shares = []
    for values in steps.values():
        mean = sum(values) / len(values)
        if len(values) >= max(2, minimum_samples) and mean > 0:
            variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            shares.append(variance**0.5 / mean)
    return sum(shares) / len(shares) if shares else None


def _is_new(actuals: ItemActuals, data_until: date) -> bool:
    return actuals.routing_since is not None and actuals.routing_since > data_until


def key_of(parts: Sequence[object]) -> str:
    """Return the key of what `parts` name together."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def _chance(key: str) -> float:
    """Return a number in 0 to 1 that is as good as random and the same for the same actual."""
    return (int(key[:13], 16) + 0.5) / 16**13
