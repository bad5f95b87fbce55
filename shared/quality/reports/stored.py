"""What a cycle's report stores, all bounded: the sample, orders, the worst items, abstentions and failures."""

from collections import defaultdict
from typing import Any

from shared.erp.snapshot import Snapshot
from shared.prediction.answers import SIGNATURE_SEPARATOR
from shared.quality.evaluate import Evaluation
from shared.quality.observations import OrderObservation, RoutingObservation
from shared.quality.sampling import Sample

MAX_ITEMS = 500  # the items with the greatest errors; the figures stand on all of them
MAX_CODES = 100
MAX_ORDERS = 1_500  # drawn as points; evenly chosen among all


def build(snapshot: Snapshot, version: str, mode: str, sample: Sample, evaluation: Evaluation) -> dict[str, Any]:
    """Return the stored report."""
    orders: dict[str, list[OrderObservation]] = defaultdict(list)
    for order in evaluation.orders:
        orders[order.item_code].append(order)
    items = [_item(routing, orders[routing.item_code]) for routing in evaluation.routings]
    items.sort(key=lambda item: (-(item["mae"] or 0.0), item["process_match"], item["item_code"]))
    return {
        "model_version": version,
        "mode": mode,
        "snapshot": {
            "id": snapshot.id,
            "fingerprint": snapshot.fingerprint,
            "data_as_of": snapshot.data_as_of.isoformat(),
        },
        "sample": {
            "strategy": sample.strategy,
            "seed": sample.seed,
            "requested": sample.requested,
            "population": sample.population,
            "strata": sample.strata,
            "item_codes": list(sample.item_codes),
            "chances": list(sample.chances),
        },
        "items": items[:MAX_ITEMS],
        "items_in_all": len(items),
        "orders": [_point(order) for order in evaluation.orders[:: max(1, -(-len(evaluation.orders) // MAX_ORDERS))]],
        "orders_in_all": len(evaluation.orders),
        "abstained": list(evaluation.abstained[:MAX_CODES]),
        "incomparable": list(evaluation.incomparable[:MAX_CODES]),
        "failures": evaluation.failed,
    }


def _point(order: OrderObservation) -> list[float]:
    """Return predicted, booked, low and high minutes of one order, with four digits."""
    minutes = (order.predicted_minutes, order.booked_minutes, order.low_minutes, order.high_minutes)
    return [float(f"{value:.4g}") for value in minutes]


def _item(routing: RoutingObservation, orders: list[OrderObservation]) -> dict[str, Any]:
    errors = [abs(order.predicted_minutes - order.booked_minutes) for order in orders]
    return {
        "item_code": routing.item_code,
        "family": routing.family,
        "actual": SIGNATURE_SEPARATOR.join(routing.actual_codes),
        "predicted": SIGNATURE_SEPARATOR.join(routing.predicted_codes),
        "process_match": routing.matched.hits / routing.matched.total,
        "exact": routing.exact_first,
        "orders": len(orders),
        "orders_without_prediction": routing.unpredicted_orders,
        "mae": sum(errors) / len(errors) if errors else None,
    }
