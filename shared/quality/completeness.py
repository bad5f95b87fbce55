"""How complete the actuals of a sample are: what was booked, what could be compared, and what stood in the way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.quality.actuals import ItemActuals
from shared.quality.intervals import Figure, Resampling, medians, nothing, wilson
from shared.quality.routing_figures import share_figure

Floats = NDArray[np.float64]

DRAWS = 200
NOTHING_SAMPLED = "no item was sampled"
NOTHING_BOOKED = "nothing was booked on the sampled items"


def completeness(actuals: Mapping[str, ItemActuals], weights: Mapping[str, float], *, seed: int) -> dict[str, Any]:
    """Return the completeness of the sampled items' actuals, as JSON figures.

    - `items_with_actuals`: share of the items with at least one order that could be compared;
    - `compared`, `partial`, `corrected`, `contradictory`, `taken_back`, `off_routing`: shares of the booked orders and
      operations, as `shared.quality.bookings` tells them; `left_out` is what is not compared;
    - `operations_with_actuals`: share of the routings' operations with an order that could be compared;
    - `days_to_report`: median days from an order's first report to its last;
    - `counts`: the numbers behind them.
    """
    items = [actuals[code] for code in weights if code in actuals]
    if not items:
        return {"items_with_actuals": nothing(NOTHING_SAMPLED).as_json(), "counts": {"items": 0, "booked": 0}}
    mass = np.array([weights[item.item_code] for item in items])
    booked = [item.tally for item in items]

    def share(hits: Sequence[int], totals: Sequence[int], message: str) -> Figure:
        return share_figure(np.array([hits, totals], dtype=np.float64).T, mass, seed, message, DRAWS)

    totals = [tally.booked for tally in booked]
    shares = {
        name: share([getattr(tally, name) for tally in booked], totals, NOTHING_BOOKED)
        for name in ("compared", "partial", "corrected", "contradictory", "taken_back", "off_routing")
    }
    shares["left_out"] = share([tally.booked - tally.compared for tally in booked], totals, NOTHING_BOOKED)
    shares["operations_with_actuals"] = share(
        [len(_reported(item)) for item in items],
        [len({step.operation_code for step in item.operations}) for item in items],
        "no sampled item has a routing in force",
    )
    shares["items_with_actuals"] = wilson(np.array([float(bool(item.orders)) for item in items]), mass)
    shares["days_to_report"] = _days(items, mass, seed)
    names = ("booked", "compared", "partial", "corrected", "contradictory", "taken_back", "off_routing", "orders")
    counts = {name: sum(getattr(tally, name) for tally in booked) for name in names}
    return {
        **{name: figure.as_json() for name, figure in sorted(shares.items())},
        "counts": {"items": len(items), **counts, "left_out": counts["booked"] - counts["compared"]},
    }


def _reported(item: ItemActuals) -> set[str]:
    """Return the operations of the routing in force that have an order to compare with."""
    return {step.operation_code for step in item.operations} & {order.operation_code for order in item.orders}


def _days(items: Sequence[ItemActuals], mass: Floats, seed: int) -> Figure:
    days = np.array([float(day) for item in items for day in item.tally.days])
    if not len(days):
        return nothing("no report names its order and its day")
    of_item = np.repeat(np.arange(len(items)), [len(item.tally.days) for item in items])
    draws = Resampling(of_item, seed=seed, draws=DRAWS)
    order = np.argsort(days, kind="stable")
    value = float(medians(days[order], mass[of_item][order][np.newaxis, :])[0])
    low, high = draws.interval(value, draws.of_sorted(days, mass[of_item], medians))
    return Figure(value=value, n=len(days), low=low, high=high)
