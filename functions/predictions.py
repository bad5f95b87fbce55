"""Predictions, planners' decisions on them, and time summaries."""

import math
import re
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import azure.functions as func
import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from functions.access import Access
from functions.http import Call, Reply, endpoint
from functions.lists import Page
from shared.errors import InvalidInput
from shared.prediction.answers import ItemCode, ItemPrediction, PredictionRequest, PredictionResponse, as_json
from shared.prediction.time_summary import TimeSummaryRequest, TimeSummaryResponse
from shared.prediction.time_summary import summarise_times as summarise

if TYPE_CHECKING:
    from shared.registry.serving import ServedModel

blueprint = func.Blueprint()

Outcome = Literal["accepted", "edited", "rejected"]
MAX_OPERATION_CHARACTERS = 10_000
_PREDICTION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class DecisionRequest(BaseModel):
    """A planner's word on one predicted item."""

    model_config = ConfigDict(extra="forbid")

    item_code: ItemCode
    outcome: Outcome
    operations: list[dict[str, Any]] = Field([], max_length=200, description="the routing as the planner leaves it")
    reason: str = Field("", max_length=2000)
    model_version: str | None = Field(None, max_length=64, description="needed only where the prediction row was lost")

    @field_validator("operations")
    @classmethod
    def _storable(cls, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for number, operation in enumerate(operations):
            problem = _not_storable(operation)
            if problem is not None:
                raise ValueError(f"operation {number} {problem}")
        return operations


def _not_storable(value: Any) -> str | None:
    """Say why `value` cannot be kept as JSON that every program reads back as it was, or return None."""
    size = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            size += len(part)
        elif isinstance(part, int) and abs(part) >= 2**53:
            return "holds a number of more than 53 bits"
        elif isinstance(part, float) and not math.isfinite(part):
            return "holds a number that is not finite"
        size += 1
        if size > MAX_OPERATION_CHARACTERS:
            return f"is longer than {MAX_OPERATION_CHARACTERS:,} characters"
    return None


class DecisionResponse(BaseModel):
    """The stored decision."""

    id: int
    prediction_id: str
    item_code: str
    outcome: str
    model_version: str | None


@endpoint(
    blueprint,
    "POST",
    "predictions",
    access=Access.READ,
    summary="Propose routings for items",
    body=PredictionRequest,
    answer=PredictionResponse,
)
async def predict_routings(call: Call) -> Reply:
    """Predict every asked item with the active model and record the answers."""
    from shared.prediction.fresh import predict_asked, unknown_codes

    asked: PredictionRequest = call.body
    serving, combiner = call.services.serving, call.services.combiner
    served = serving.loaded()
    if served is None:
        served = await combiner.alone(serving.active)
    model = served.model

    finish = partial(_recorded, call, served)
    if unknown_codes(model, asked):
        return await combiner.alone(lambda: finish(predict_asked(model, asked, lambda: call.services.item_lookup)))
    return await combiner.predict(model, asked, finish)


def _recorded(call: Call, served: "ServedModel", predictions: list[ItemPrediction]) -> Reply:
    """Write the answers, and have what was written recorded."""
    from shared.database.predictions import Answered, AnsweredItem
    from shared.operations.meters import observe_predictions

    answered = Answered(
        prediction_id=f"pred_{uuid4().hex}",
        model_version=served.version,
        items=[AnsweredItem(one.item_code, one.status, as_json(one)) for one in predictions],
    )
    observe_predictions(prediction.status for prediction in predictions)
    asked: PredictionRequest = call.body
    call.services.prediction_log.record(answered, quantity=asked.quantity, as_if_unknown=asked.as_if_unknown)
    head = {
        "prediction_id": answered.prediction_id, "model_version": served.version,
        "data_as_of": served.model.data_as_of, "request_id": call.request_id,
    }  # fmt: skip
    body = as_json({**head, "predictions": [orjson.Fragment(item.json) for item in answered.items]})
    return Reply(body=body, model_version=served.version)


@endpoint(
    blueprint,
    "POST",
    "predictions/{id}/decisions",
    access=Access.PLAN,
    summary="Accept, edit or reject a prediction",
    body=DecisionRequest,
    answer=DecisionResponse,
    status=201,
)
def decide_prediction(call: Call) -> Reply:
    """Store the decision, also where the prediction's own row was lost."""
    asked: DecisionRequest = call.body
    if not _PREDICTION_ID.fullmatch(call.params["id"]):
        message = "must be a prediction_id, as an answer of POST /api/predictions holds it"
        raise InvalidInput(f"The path's id {message}.", errors=[{"field": "id", "message": message}])
    row = call.services.decisions.insert(
        prediction_id=call.params["id"],
        item_code=asked.item_code,
        outcome=asked.outcome,
        operations=asked.operations,
        reason=asked.reason,
        actor=call.actor,
        model_version=asked.model_version,
    )
    answer = DecisionResponse(
        id=row.id or 0,
        prediction_id=row.prediction_id,
        item_code=row.item_code,
        outcome=row.outcome,
        model_version=row.model_version,
    )
    return Reply(body=answer, status=201)


class DecisionPage(Page):
    """Which decisions: those that have all that is given."""

    item_code: str | None = Field(None, max_length=200)
    outcome: Outcome | None = None
    prediction_id: str | None = Field(None, max_length=64)


class StoredDecision(BaseModel):
    """A planner's word on one predicted item."""

    id: int
    prediction_id: str
    item_code: str
    outcome: Outcome
    reason: str
    actor: str
    created_at: datetime
    model_version: str | None
    operations: list[dict[str, Any]] = Field(description="the routing as the planner left it")


class StoredDecisions(BaseModel):
    """One page of decisions."""

    items: list[StoredDecision]
    total: int
    limit: int
    offset: int


@endpoint(
    blueprint,
    "GET",
    "decisions",
    access=Access.READ,
    summary="What planners decided",
    query=DecisionPage,
    answer=StoredDecisions,
)
def list_decisions(call: Call) -> Reply:
    """List planners' decisions, newest first, of one item, outcome or prediction where asked for."""
    page = call.query
    assert isinstance(page, DecisionPage)
    rows, total = call.services.decisions.list(
        prediction_id=page.prediction_id, item_code=page.item_code, outcome=page.outcome, limit=page.limit,
        offset=page.offset,
    )  # fmt: skip
    items = [StoredDecision.model_validate(row.model_dump()) for row in rows]
    return Reply(body=StoredDecisions(items=items, total=total, limit=page.limit, offset=page.offset))


@endpoint(
    blueprint,
    "POST",
    "time-summaries",
    access=Access.READ,
    summary="Add up the times of operations",
    body=TimeSummaryRequest,
    answer=TimeSummaryResponse,
)
def summarise_times(call: Call) -> Reply:
    """Total setup, run, wait, move and queue minutes and the lead time of one order."""
    asked: TimeSummaryRequest = call.body
    return Reply(body=summarise(asked.operations, asked.quantity, asked.include_breakdown))
