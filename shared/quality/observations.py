"""One predicted item beside what happened: the raw observations that every figure is computed from."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.prediction.answers import Candidate, ItemPrediction, PredictedOperation, Source, Status
from shared.prediction.order_minutes import OrdersPrediction
from shared.quality.actuals import ActualOperation, BookedOrder, ItemActuals
from shared.quality.alignment import align, edit_distance, precedence


class Tally(NamedTuple):
    """How many of how many."""

    hits: int
    total: int


class OrderObservation(NamedTuple):
    """One booked order and operation with its prediction at that order's quantity."""

    item_code: str
    family: str
    operation_code: str
    step: int  # the operation's sequence in the routing in force; -1 where the report names no step of it
    order: int  # place among the item's booked orders, so that two models' observations can be paired
    weight: float
    quantity: float
    predicted_minutes: float
    low_minutes: float
    high_minutes: float
    booked_minutes: float


@dataclass(frozen=True, kw_only=True)
class RoutingObservation:
    """The first predicted routing of one item beside its routing in force."""

    item_code: str
    family: str
    weight: float
    actual_codes: tuple[str, ...]
    predicted_codes: tuple[str, ...]
    matched: Tally  # operations of the actual routing that were predicted, after alignment
    exact_first: bool
    exact_among_three: bool
    edit_distance: float
    precedence: Tally
    work_centres: Tally
    in_house: Tally
    outsourced: Tally
    unpredicted_orders: int  # booked orders and operations for which no time was predicted
    matched_by_operation: tuple[tuple[str, bool], ...]
    # of aligned operations: code, whether the work centre is right, whether in-house or outsourced is; None: not known
    places_by_operation: tuple[tuple[str, bool | None, bool | None], ...] = ()


class Observed(NamedTuple):
    """What one item contributes."""

    routing: RoutingObservation
    orders: list[OrderObservation]


# (place of an operation in the first predicted candidate, quantity) to low, central and high minutes of an order
MinutesAt = Callable[[int, float], tuple[float, float, float]]


def minutes_at(answer: OrdersPrediction, actuals: ItemActuals) -> MinutesAt:
    """Return the minutes that a model answered for the quantities of `actuals`, 80 % between the ends."""
    column = {quantity: place for place, quantity in enumerate(actuals.quantities)}
    minutes = answer.minutes.tolist()

    def at(operation: int, quantity: float) -> tuple[float, float, float]:
        low, middle, high = minutes[operation][column[quantity]]
        return low, middle, high

    return at


def stored_minutes_at(candidate: Candidate, asked_quantity: float) -> MinutesAt:
    """Return the minutes that follow from a recorded candidate: as answered at `asked_quantity`, else in proportion.

    How far an order of another quantity scatters is not recorded, so its interval grows as its minutes do.
    """

    def at(operation: int, quantity: float) -> tuple[float, float, float]:
        told = candidate.operations[operation]
        setup, run, order = told.setup_minutes.value, told.run_minutes_per_unit.value, told.order_minutes
        whole, asked = setup + run * quantity, setup + run * asked_quantity
        if asked <= 0 or order.value <= 0:
            return min(order.low, whole), whole, max(order.high, whole)
        scale = whole / asked
        return order.low * scale, order.value * scale, order.high * scale

    return at


def observe(prediction: ItemPrediction, actuals: ItemActuals, weight: float, minutes: MinutesAt) -> Observed | None:
    """Compare one prediction with what happened; None when no predicted routing came, or there is none in force.

    A candidate taken from the ERP itself is never compared: it would be compared with itself.
    """
    candidates = [c for c in prediction.candidates if c.source is Source.PREDICTED]
    if prediction.status is not Status.OK or not candidates or not actuals.operations:
        return None
    first = candidates[0]
    actual_codes = tuple(operation.operation_code for operation in actuals.operations)
    predicted_codes = tuple(operation.operation_code for operation in first.operations)
    pairs = align(actual_codes, predicted_codes)
    orders, unpredicted = _compare(actuals, first, dict(pairs), weight, minutes)
    return Observed(_routing(actuals, candidates, actual_codes, predicted_codes, pairs, unpredicted, weight), orders)


def _routing(
    actuals: ItemActuals,
    candidates: Sequence[Candidate],
    actual_codes: tuple[str, ...],
    predicted_codes: tuple[str, ...],
    pairs: Sequence[tuple[int, int]],
    unpredicted: int,
    weight: float,
) -> RoutingObservation:
    operations = candidates[0].operations
    placed = {place for place, _ in pairs}
    exact = [tuple(o.operation_code for o in c.operations) == actual_codes for c in candidates[:3]]
    together = [(actuals.operations[i], operations[j]) for i, j in pairs]
    return RoutingObservation(
        item_code=actuals.item_code,
        family=actuals.family,
        weight=weight,
        actual_codes=actual_codes,
        predicted_codes=predicted_codes,
        matched=Tally(len(pairs), len(actual_codes)),
        exact_first=exact[0],
        exact_among_three=any(exact),
        edit_distance=edit_distance(actual_codes, predicted_codes, len(pairs)),
        precedence=Tally(*precedence(actual_codes, predicted_codes)),
        work_centres=_work_centres(together),
        in_house=_in_house(together),
        outsourced=_outsourced(actuals.operations, operations, dict(pairs)),
        unpredicted_orders=unpredicted,
        matched_by_operation=tuple((code, place in placed) for place, code in enumerate(actual_codes)),
        places_by_operation=tuple(_place_of(actual, predicted) for actual, predicted in together),
    )


def _place_of(actual: ActualOperation, predicted: PredictedOperation) -> tuple[str, bool | None, bool | None]:
    centre = None if actual.resource_code is None else actual.resource_code == predicted.resource_code
    inside = None if actual.inside is None else actual.inside == predicted.inside
    return actual.operation_code, centre, inside


def _work_centres(together: Sequence[tuple[ActualOperation, PredictedOperation]]) -> Tally:
    known = [(a.resource_code, p.resource_code) for a, p in together if a.resource_code is not None]
    return Tally(sum(a == p for a, p in known), len(known))


def _in_house(together: Sequence[tuple[ActualOperation, PredictedOperation]]) -> Tally:
    known = [(a.inside, p.inside) for a, p in together if a.inside is not None]
    return Tally(sum(a == p for a, p in known), len(known))


def _outsourced(
    actual: Sequence[ActualOperation], predicted: Sequence[PredictedOperation], place: dict[int, int]
) -> Tally:
    outside = [index for index, operation in enumerate(actual) if operation.inside is False]
    found = sum(index in place and predicted[place[index]].inside is False for index in outside)
    return Tally(found, len(outside))


def compare_orders(
    actuals: ItemActuals, candidate: Candidate, weight: float, minutes: MinutesAt
) -> tuple[list[OrderObservation], int]:
    """Compare every order with a candidate's minutes; beside it, for how many none were predicted."""
    actual_codes = [operation.operation_code for operation in actuals.operations]
    pairs = align(actual_codes, [operation.operation_code for operation in candidate.operations])
    return _compare(actuals, candidate, dict(pairs), weight, minutes)


def _compare(
    actuals: ItemActuals, candidate: Candidate, place: dict[int, int], weight: float, minutes: MinutesAt
) -> tuple[list[OrderObservation], int]:
    step_of = {operation.sequence: index for index, operation in enumerate(actuals.operations)}
    alone = _places_of_single_codes([o.operation_code for o in actuals.operations])
    alone_predicted = _places_of_single_codes([o.operation_code for o in candidate.operations])
    observed, unpredicted = [], 0
    for number, order in enumerate(actuals.orders):
        index = _step(order, actuals.operations, step_of, alone)
        target = place.get(index) if index is not None else alone_predicted.get(order.operation_code)
        if target is None:
            unpredicted += 1
            continue
        sequence = -1 if index is None else actuals.operations[index].sequence
        observed.append(_order(actuals, number, sequence, weight, minutes(target, order.quantity)))
    return observed, unpredicted


def _step(
    order: BookedOrder,
    operations: Sequence[ActualOperation],
    step_of: dict[int, int],
    alone: dict[str, int],
) -> int | None:
    """The routing step that a report belongs to: by its sequence, or by its operation where that occurs once."""
    index = step_of.get(order.sequence) if order.sequence is not None else None
    if index is not None and operations[index].operation_code == order.operation_code:
        return index
    return alone.get(order.operation_code)


def _places_of_single_codes(codes: Sequence[str]) -> dict[str, int]:
    count = Counter(codes)
    return {code: place for place, code in enumerate(codes) if count[code] == 1}


def _order(
    actuals: ItemActuals, number: int, step: int, weight: float, minutes: tuple[float, float, float]
) -> OrderObservation:
    order = actuals.orders[number]
    low, predicted, high = minutes
    return OrderObservation(
        actuals.item_code,
        actuals.family,
        order.operation_code,
        step,
        number,
        weight,
        order.quantity,
        predicted,
        low,
        high,
        order.minutes,
    )
