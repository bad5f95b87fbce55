"""What is asked of a model and what it answers: the prediction contract of the HTTP API and the command line.

Times are minutes. Setup is per order, run is per piece; totals are for one order of the asked quantity.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_ITEMS = 1_000
MAX_ATTRIBUTES = 200
MAX_TEXT = 2_000
SIGNATURE_SEPARATOR = ">"

ItemCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
AttributeName = Annotated[str, StringConstraints(max_length=200)]
AttributeValue = Annotated[str, StringConstraints(max_length=MAX_TEXT)] | float | int | bool | None
Quantity = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemQuery(_Request):
    """One item to predict: a code that the model or the ERP knows, or a new one with attributes."""

    item_code: ItemCode
    attributes: Annotated[dict[AttributeName, AttributeValue], Field(max_length=MAX_ATTRIBUTES)] | None = Field(
        None, description="override the ERP's values where the code is known"
    )


class PredictionRequest(_Request):
    """The body of `POST /api/predictions`."""

    items: Annotated[list[ItemQuery], Field(min_length=1, max_length=MAX_ITEMS)]
    candidates: Annotated[int, Field(ge=1, le=10)] = 3
    quantity: Quantity = 1.0
    as_if_unknown: bool = Field(False, description="leave out the item's own routings and work results")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Status(StrEnum):
    """How an item's prediction ended."""

    OK = "ok"
    ABSTAINED = "abstained"  # nothing is near enough; the message says why
    UNKNOWN_ITEM = "unknown_item"  # neither the model nor the ERP has the code, and no attributes were given


class Source(StrEnum):
    """Where a candidate comes from."""

    ERP = "erp"  # the item's own routing
    PREDICTED = "predicted"


class Tier(StrEnum):
    """How far a candidate may be trusted, from its calibrated probability."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Minutes(_Answer):
    """A time with its 80 % interval and the planned time beside it."""

    value: float
    low: float
    high: float
    planned: float | None = None


class Support(_Answer):
    """One item that speaks for or against an operation."""

    item_code: str
    orders: int = Field(description="work orders whose results were used")
    supports: bool = Field(description="whether its routing holds the operation at this place")


class PredictedOperation(_Answer):
    """One operation of a candidate routing."""

    sequence: int
    operation_code: str
    operation_name: str | None
    resource_code: str | None
    resource_name: str | None
    inside: bool | None = Field(description="in-house; false is outsourced")
    setup_minutes: Minutes = Field(description="per order")
    run_minutes_per_unit: Minutes = Field(description="per piece")
    order_minutes: Minutes = Field(description="the next order at the asked quantity")
    optimistic_minutes: float = Field(description="10 % quantile of the order's minutes")
    safe_minutes: float = Field(description="90 % quantile of the order's minutes")
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    samples: int = Field(description="work results used")
    trimmed: int = Field(description="work results left out as extreme")
    trimmed_mean: float | None = Field(description="mean minutes per piece of the results used")
    std: float | None = Field(description="their standard deviation")
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[Support]


class Totals(_Answer):
    """A candidate's minutes for one order of the asked quantity."""

    setup_minutes: float
    run_minutes: float
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    lead_minutes: float


class AttributeContribution(_Answer):
    """How much one attribute added to a similarity (the contributions sum to it)."""

    attribute: str
    contribution: float


class SimilarItem(_Answer):
    """One item near the asked one, and what made it near."""

    item_code: str
    similarity: float
    work_orders: int
    because: list[AttributeContribution]


class Candidate(_Answer):
    """One proposed routing."""

    rank: int
    source: Source
    routing_signature: str = Field(description="every operation code in order, joined with '>'")
    probability: Annotated[float, Field(ge=0, le=1)]
    similarity: float
    tier: Tier
    operations: list[PredictedOperation]
    totals: Totals
    evidence: list[SimilarItem]


class ItemPrediction(_Answer):
    """The answer for one item."""

    item_code: str
    status: Status
    candidates: list[Candidate] = []
    message: str | None = None


class PredictionResponse(_Answer):
    """The answer of `POST /api/predictions`."""

    prediction_id: str
    model_version: str
    data_as_of: datetime
    request_id: str
    predictions: list[ItemPrediction]


class ItemRecord(_Answer):
    """One item as the active model knows it."""

    item_code: str
    attributes: dict[str, Any]
    routings: list[dict[str, Any]]
    work_orders: int
