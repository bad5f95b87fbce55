"""Predictions that planners were given, compared with what was booked afterwards.

A recorded prediction is scored once: when the item has an order that was begun after the day of the prediction and is
settled (`BookedOrder.settled`: complete, or not reported on for a while). Of several predictions of one item by one
version, the newest one before the last report is the planner's last word and the one that is scored. What was told is
read as it was recorded; nothing is predicted again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from shared.database.engine import reading
from shared.database.tables import Prediction, PredictionScore
from shared.erp.snapshot import Snapshot
from shared.prediction.answers import ItemPrediction, Status
from shared.quality.actuals import ItemActuals, collect_actuals
from shared.quality.live_figures import live_figures
from shared.quality.observations import OrderObservation, compare_orders, observe, stored_minutes_at

log = structlog.get_logger()

MAX_ITEMS = 5_000  # items reported on, the latest first, whose predictions are looked for
MAX_ROWS = 20_000  # predictions of them
MAX_SCORED = 200  # predictions read and scored in one cycle; the others wait for the next
_CODES_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class LiveScores:
    """What one cycle adds to the scores, and the figures of `metrics["live"]`."""

    rows: tuple[PredictionScore, ...]
    figures: dict[str, Any]


class _Due(NamedTuple):
    """A recorded prediction, without its answer."""

    id: int
    prediction_id: str
    item_code: str
    model_version: str
    quantity: float
    created_at: datetime


def score_live(
    engine: Engine,
    snapshot: Snapshot,
    reported: pl.DataFrame,
    *,
    cycle_id: str,
    now: datetime,
    keep_days: int,
    seed: int,
    in_doubt: Mapping[str, date] | None = None,
) -> LiveScores:
    """Score the predictions whose actuals have arrived, as far as they are kept for `keep_days`.

    `reported` has `item_code` and `last_reported_at` of every item with a work result. `in_doubt` are operations whose
    bookings since a day may be wrong: a prediction that they would judge waits, since it is scored only once.
    """
    due = _due(engine, reported, now - timedelta(days=keep_days))
    actuals = collect_actuals(snapshot, sorted({one.item_code for one in due})) if due else {}
    ready = [one for one in due if _is_ready(one, actuals.get(one.item_code), in_doubt or {})]
    ready.sort(key=lambda one: (one.created_at, one.id))
    rows = [row for row in _scored(engine, ready[:MAX_SCORED], actuals, cycle_id, now) if row is not None]
    figures = live_figures(engine, rows, now=now, seed=seed)
    return LiveScores(
        rows=tuple(rows), figures=figures | {"scored_now": len(rows), "waiting": max(0, len(ready) - MAX_SCORED)}
    )


def _due(engine: Engine, reported: pl.DataFrame, oldest: datetime) -> list[_Due]:
    """Return predictions without a score whose item was reported on after their day, one an item and version."""
    with reading(engine) as session:
        first = session.exec(select(func.min(Prediction.created_at)).where(col(Prediction.created_at) >= oldest)).one()
        if first is None:
            return []
        later = reported.filter(pl.col("last_reported_at") > first.date())
        later = later.sort("last_reported_at", "item_code", descending=[True, False]).head(MAX_ITEMS)
        last_day: dict[str, date] = dict(later.select("item_code", "last_reported_at").iter_rows())
        codes, found = list(last_day), list[_Due]()
        for start in range(0, len(codes), _CODES_AT_ONCE):
            found += _unscored(session, codes[start : start + _CODES_AT_ONCE], oldest, MAX_ROWS - len(found))
    newest: dict[tuple[str, str], _Due] = {}
    for one in found:
        key = (one.item_code, one.model_version)
        if one.created_at.date() < last_day[one.item_code] and (
            key not in newest or (one.created_at, one.id) > (newest[key].created_at, newest[key].id)
        ):
            newest[key] = one
    return list(newest.values())


def _unscored(session: Session, codes: Sequence[str], oldest: datetime, limit: int) -> list[_Due]:
    columns = (
        Prediction.id, Prediction.prediction_id, Prediction.item_code, Prediction.model_version, Prediction.quantity,
        Prediction.created_at,
    )  # fmt: skip
    scored = select(PredictionScore.prediction_row).where(col(PredictionScore.prediction_row) == col(Prediction.id))
    statement = (
        select(*columns)  # type: ignore[call-overload]
        .where(
            col(Prediction.item_code).in_(codes),
            col(Prediction.created_at) >= oldest,
            col(Prediction.as_if_unknown).is_(False),
            col(Prediction.status) == Status.OK,
            ~scored.exists(),
        )
        .order_by(col(Prediction.id).desc())
        .limit(max(0, limit))
    )
    return [_Due(*row) for row in session.exec(statement).all()]


def _is_ready(one: _Due, actuals: ItemActuals | None, in_doubt: Mapping[str, date]) -> bool:
    """Return whether orders since the prediction are settled, and none of them is in doubt."""
    places = _orders_since(actuals, one)
    if actuals is None or not places:
        return False
    orders = (actuals.orders[place] for place in places)
    return not any(
        order.operation_code in in_doubt and (order.reported_at or date.max) >= in_doubt[order.operation_code]
        for order in orders
    )


def _orders_since(actuals: ItemActuals | None, one: _Due) -> list[int]:
    """Return the places of the item's settled orders that were begun after the prediction's day."""
    if actuals is None:
        return []
    day = one.created_at.date()
    return [
        place
        for place, order in enumerate(actuals.orders)
        if order.settled and order.begun_at is not None and order.begun_at > day
    ]


def _scored(
    engine: Engine, ready: Sequence[_Due], actuals: dict[str, ItemActuals], cycle_id: str, now: datetime
) -> list[PredictionScore | None]:
    with reading(engine) as session:
        wanted = select(Prediction.id, Prediction.answer).where(col(Prediction.id).in_([one.id for one in ready]))
        answers = dict(session.exec(wanted).all()) if ready else {}
    return [_score(one, answers.get(one.id), actuals[one.item_code], cycle_id, now) for one in ready]


def _score(one: _Due, answer: Any, actuals: ItemActuals, cycle_id: str, now: datetime) -> PredictionScore | None:
    try:
        told = _ANSWER.validate_python(answer)
    except ValidationError:
        log.warning("quality.recorded_prediction_unreadable", prediction_id=one.prediction_id, item_code=one.item_code)
        told = ItemPrediction(item_code=one.item_code, status=Status.ABSTAINED)
    since = set(_orders_since(actuals, one))
    figures: dict[str, Any] = {"days": None, "orders": 0}
    observations: list[OrderObservation] = []
    if told.candidates:
        minutes = stored_minutes_at(told.candidates[0], one.quantity)
        compared, _ = compare_orders(actuals, told.candidates[0], 1.0, minutes)
        observations = [order for order in compared if order.order in since]
        predicted = observe(told, actuals, 1.0, minutes) if told.candidates[0].source == "predicted" else None
        if predicted is not None:
            figures["matched"] = list(predicted.routing.matched)
    errors = [abs(order.predicted_minutes - order.booked_minutes) for order in observations]
    inside = sum(order.low_minutes <= order.booked_minutes <= order.high_minutes for order in observations)
    begun = [actuals.orders[place].begun_at for place in since]
    waited = (min(day for day in begun if day is not None) - one.created_at.date()).days
    return PredictionScore(
        prediction_row=one.id,
        prediction_id=one.prediction_id,
        item_code=one.item_code,
        model_version=one.model_version,
        cycle_id=cycle_id,
        orders=len(errors),
        mae_minutes=sum(errors) / len(errors) if errors else None,
        figures=figures | {"orders": len(errors), "inside": inside, "days": waited},
        scored_at=now,
    )


_ANSWER: TypeAdapter[ItemPrediction] = TypeAdapter(ItemPrediction)
