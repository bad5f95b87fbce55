"""What a version's errors were when it was activated: withheld items of the last year before its data ended.

Drawn once, in the first cycle of an activation, and kept as the streams' first state. Orders are drawn, not items, so
that items come as often as they are made; of each item one order counts. Sorted by the day they were reported they
form periods, from which the test learns how the shop floor wobbles.
"""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from shared.erp.snapshot import Snapshot
from shared.prediction.minutes.reports import are_sound
from shared.prediction.model import RoutingModel
from shared.quality.actuals import collect_actuals
from shared.quality.evaluate import evaluate
from shared.quality.evidence.actuals import FreshItem, key_of, of_item
from shared.quality.observations import OrderObservation

REFERENCE_ITEMS = 4_000  # fewer tell too little of the shop floor's wobble (docs/ALARMS.md)
PERIOD_ITEMS = 25
_DAYS = 365


def draw_reference(
    snapshot: Snapshot, model: RoutingModel, *, seed: int, size: int = REFERENCE_ITEMS
) -> list[list[FreshItem]]:
    """Return withheld items with what the model missed on one of their orders, by period, oldest first.

    Empty when no order was reported in the year before the model's data ended. The same data and `seed` give the same.
    """
    until = model.data_as_of.date()
    drawn = _draw_orders(snapshot, until, seed, size)
    actuals = collect_actuals(snapshot, sorted(drawn))
    evaluation = evaluate(model, actuals, dict.fromkeys(sorted(drawn), 1.0))
    by_item: dict[str, list[OrderObservation]] = {}
    for order in evaluation.orders:
        if actuals[order.item_code].orders[order.order].order_no == drawn[order.item_code][0]:
            by_item.setdefault(order.item_code, []).append(order)
    items = []
    for routing in evaluation.routings:
        code = routing.item_code
        item = of_item(code, routing.family, 1.0, by_item.get(code, []), actuals[code], minimum_samples=10**9)
        missed = 1 - routing.matched.hits / routing.matched.total if routing.matched.total else None
        items.append(
            (
                drawn[code][1],
                code,
                FreshItem(**{**item.__dict__, "missed": missed, "routing_key": key_of(["reference", code])}),
            )
        )
    in_time = [item for _, _, item in sorted(items, key=lambda each: each[:2])]
    return [in_time[start : start + PERIOD_ITEMS] for start in range(0, len(in_time), PERIOD_ITEMS)]


def _draw_orders(snapshot: Snapshot, until: Any, seed: int, size: int) -> dict[str, tuple[str | None, Any]]:
    """Item -> the number and day of one of its orders, for the items of randomly drawn orders."""
    day = pl.col("reported_at")
    made = are_sound() & (pl.col("quantity") > 0) & (day <= until) & (day > until - timedelta(days=_DAYS))
    orders = snapshot.query(
        "work_results", lambda rows: rows.filter(made).group_by("item_code", "order_no").agg(day.max())
    ).sort("item_code", "order_no")
    drawn: dict[str, tuple[str | None, Any]] = {}
    for place in np.random.default_rng([seed, 8]).permutation(orders.height):
        code, number, day = orders.row(int(place))
        drawn.setdefault(code, (number, day))
        if len(drawn) == size:
            break
    return drawn
