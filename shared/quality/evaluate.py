"""Ask a model for items as if unknown and set its answers beside what happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import structlog

from shared.errors import Cancelled
from shared.prediction.answers import ItemQuery, Status
from shared.prediction.order_minutes import OrdersPrediction
from shared.quality.actuals import ItemActuals
from shared.quality.observations import OrderObservation, RoutingObservation, minutes_at, observe

log = structlog.get_logger()

MAX_FAILURES_KEPT = 20
BATCH_ITEMS = 256  # asked for at once: progress is told, and a lost claim noticed, between two batches


class Predictor(Protocol):
    """What is needed of a model: see `shared.prediction.model.RoutingModel`."""

    def predict_orders(
        self, queries: Sequence[ItemQuery], quantities: Sequence[Sequence[float]]
    ) -> list[OrdersPrediction]:
        """Return one answer a query, as if unknown, with the minutes of an order at each of its quantities."""
        ...


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model's answers for a sample, compared with what happened."""

    orders: tuple[OrderObservation, ...]
    routings: tuple[RoutingObservation, ...]
    asked: int
    abstained: tuple[str, ...]  # items for which the model said that nothing is near
    incomparable: tuple[str, ...]  # answered, but without a routing in force to compare with
    failed: dict[str, str]  # item -> why its prediction raised an error (the first few)
    failed_count: int

    @property
    def evaluated(self) -> int:
        """How many items were compared."""
        return len(self.routings)


def evaluate(
    model: Predictor,
    actuals: Mapping[str, ItemActuals],
    weights: Mapping[str, float],
    *,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Predict every item of `weights` as if unknown, each of its orders at that order's quantity, and compare.

    One item's failure costs that item only: it is counted, and why is kept. An item that the model has never seen is
    asked for by its attributes. `progress` is told the share done, 0 to 1.

    Raises:
        Cancelled: `cancelled` answered true between two batches.
    """
    asked = [code for code in weights if code in actuals]
    orders: list[OrderObservation] = []
    routings: list[RoutingObservation] = []
    abstained: list[str] = []
    incomparable: list[str] = []
    failures: dict[str, str] = {}
    for start in range(0, len(asked), BATCH_ITEMS):
        if cancelled():
            raise Cancelled("The evaluation was cancelled.")
        codes = asked[start : start + BATCH_ITEMS]
        answers, errors = _predict(model, codes, actuals)
        failures |= errors
        for code, answer in answers.items():
            observed = observe(answer.prediction, actuals[code], weights[code], minutes_at(answer, actuals[code]))
            if observed is not None:
                routings.append(observed.routing)
                orders.extend(observed.orders)
            elif answer.prediction.status is Status.OK:
                incomparable.append(code)
            else:
                abstained.append(code)
        progress((start + len(codes)) / len(asked))
    return Evaluation(
        orders=tuple(sorted(orders)),
        routings=tuple(sorted(routings, key=lambda r: r.item_code)),
        asked=len(asked),
        abstained=tuple(sorted(abstained)),
        incomparable=tuple(sorted(incomparable)),
        failed=dict(sorted(failures.items())[:MAX_FAILURES_KEPT]),
        failed_count=len(failures),
    )


def _predict(
    model: Predictor, codes: Sequence[str], actuals: Mapping[str, ItemActuals]
) -> tuple[dict[str, OrdersPrediction], dict[str, str]]:
    """Ask for all at once; where that fails, one by one, so that a single bad item is found and the rest kept."""
    errors: dict[str, str] = {}
    try:
        found = model.predict_orders(
            [ItemQuery(item_code=code) for code in codes], [actuals[code].quantities for code in codes]
        )
        answers = {answer.prediction.item_code: answer for answer in found}
    except Exception as error:  # noqa: BLE001 - whatever one item does to the model must not end the cycle
        log.warning("quality.batch_failed", items=len(codes), error=str(error))
        answers = {}
        for code in codes:
            _predict_one(model, ItemQuery(item_code=code), actuals[code], answers, errors)
    for code in codes:
        if code in answers and answers[code].prediction.status is Status.UNKNOWN_ITEM:
            query = ItemQuery(item_code=code, attributes=_plain(actuals[code].attributes))
            _predict_one(model, query, actuals[code], answers, errors)
        elif code not in answers and code not in errors:
            errors[code] = "The model gave no answer for the item."
    return {code: answer for code, answer in answers.items() if code not in errors}, errors


def _predict_one(
    model: Predictor,
    query: ItemQuery,
    actuals: ItemActuals,
    answers: dict[str, OrdersPrediction],
    errors: dict[str, str],
) -> None:
    try:
        answers[query.item_code] = model.predict_orders([query], [actuals.quantities])[0]
    except Exception as error:  # noqa: BLE001 - counted and shown in the report
        errors[query.item_code] = f"{type(error).__name__}: {error}"


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in attributes.items()}
