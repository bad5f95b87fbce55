"""What is asked of a model and what it answers: the prediction contract of the HTTP API and the command line.

Times are minutes. Setup is per order, run is per piece; totals are for one order of the asked quantity.

Requests are pydantic models, since what comes in has to be checked. Answers are plain dataclasses without slots, which
orjson writes ten times as fast as pydantic does and eight times as fast as slotted ones; what an answer holds by the
hundred is plain dictionaries, made in a third of an object's time. Stored answers are read back as these classes, so a
field that comes later has a default.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict  # pydantic takes the standard library's only from Python 3.12 on

MAX_ITEMS = 1_000
MAX_ATTRIBUTES = 200
MAX_TEXT = 2_000
MAX_UNIT = 60
SIGNATURE_SEPARATOR = ">"

ItemCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
AttributeName = Annotated[str, StringConstraints(max_length=200)]
Quantity = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Request):
    """A size in a unit of its own, such as 2.5 inch; it is converted to the attribute's unit."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Annotated[str, StringConstraints(max_length=MAX_UNIT)]


AttributeValue = Annotated[str, StringConstraints(max_length=MAX_TEXT)] | float | int | bool | Measure | None


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


@dataclass
class Minutes:
    """A time with its 80 % interval and the planned time beside it."""

    value: float
    low: float
    high: float
    planned: float | None = None


class Support(TypedDict):
    """One item that speaks for or against an operation."""

    item_code: str
    orders: Annotated[int, Field(description="work orders whose results were used")]
    supports: Annotated[bool, Field(description="whether its routing holds the operation at this place")]


@dataclass(kw_only=True)
class PredictedOperation:
    """One operation of a candidate routing."""

    sequence: int
    operation_code: str
    operation_name: str | None
    resource_code: str | None
    resource_name: str | None
    inside: Annotated[bool | None, Field(description="in-house; false is outsourced")]
    setup_minutes: Annotated[Minutes, Field(description="per order")]
    run_minutes_per_unit: Annotated[Minutes, Field(description="per piece")]
    order_minutes: Annotated[Minutes, Field(description="the next order at the asked quantity")]
    optimistic_minutes: Annotated[
        float, Field(description="of the order: its 10 % quantile, or by prediction.time_profile")
    ]
    safe_minutes: Annotated[float, Field(description="of the order: its 90 % quantile, or by prediction.time_profile")]
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    samples: Annotated[int, Field(description="work results used")]
    trimmed: Annotated[int, Field(description="work results left out as extreme")]
    trimmed_mean: Annotated[float | None, Field(description="mean minutes per piece of the results used")]
    std: Annotated[float | None, Field(description="their standard deviation")]
    confidence: Annotated[float, Field(ge=0, le=1)]
    supporting: Annotated[int | None, Field(description="near items whose routing holds the operation")] = None
    disagreeing: Annotated[int | None, Field(description="near items whose routing lacks it")] = None
    evidence: list[Support]


@dataclass(kw_only=True)
class Totals:
    """A candidate's minutes for one order of the asked quantity."""

    setup_minutes: float
    run_minutes: float
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    lead_minutes: float


class AttributeContribution(TypedDict):
    """How much one attribute added to a similarity (the contributions sum to it)."""

    attribute: str
    contribution: float


@dataclass(kw_only=True)
class SimilarItem:
    """One item near the asked one, and what made it near."""

    item_code: str
    similarity: float
    work_orders: int
    because: list[AttributeContribution]


@dataclass(kw_only=True)
class Candidate:
    """One proposed routing."""

    rank: int
    source: Source
    routing_signature: Annotated[str, Field(description="every operation code in order, joined with '>'")]
    probability: Annotated[float, Field(ge=0, le=1)]
    similarity: float
    tier: Tier
    operations: list[PredictedOperation]
    totals: Totals
    evidence: list[SimilarItem]


@dataclass(kw_only=True)
class ItemPrediction:
    """The answer for one item."""

    item_code: str
    status: Status
    candidates: list[Candidate] = field(default_factory=list)
    message: str | None = None


@dataclass(kw_only=True)
class PredictionResponse:
    """The answer of `POST /api/predictions`."""

    prediction_id: str
    model_version: str
    data_as_of: datetime
    request_id: str
    predictions: list[ItemPrediction]


@dataclass(kw_only=True)
class ItemRecord:
    """One item as the active model knows it."""

    item_code: str
    attributes: dict[str, Any]
    routings: list[dict[str, Any]]
    work_orders: int


@dataclass(kw_only=True)
class KnownWorkCentre:
    """A work centre where an operation is planned."""

    resource_code: str
    resource_name: str | None
    steps: int


@dataclass(kw_only=True)
class KnownOperation:
    """An operation of the items' current routings."""

    operation_code: str
    operation_name: Annotated[str | None, Field(description="the most frequent one")]
    items: Annotated[int, Field(description="whose routing holds it")]
    steps: Annotated[int, Field(description="of all routings")]
    inside: Annotated[
        bool | None, Field(description="what it mostly is; false: outsourced, None where the ERP does not say")
    ]
    outsourced_share: Annotated[float | None, Field(description="of the steps of which the ERP says it")]
    setup_minutes: Annotated[float | None, Field(description="the median of what is planned, per order")]
    run_minutes_per_unit: Annotated[float | None, Field(description="the same, per piece")]
    work_centres: Annotated[list[KnownWorkCentre], Field(description="the most frequent first, at most 20")]


@dataclass(kw_only=True)
class KnownValue:
    """A value and how many items have it."""

    value: str
    items: int


@dataclass(kw_only=True)
class KnownAttribute:
    """An attribute that items are described by, and what they have for it."""

    name: str
    kind: Annotated[str, Field(description="categorical, numeric, text, code or date")]
    unit: Annotated[str | None, Field(description="that numbers without a unit are in")]
    family: Annotated[bool, Field(description="whether it is one of those that name an item's family")]
    filled: Annotated[int, Field(description="items that have a value")]
    distinct: Annotated[int, Field(description="values that there are")]
    values: Annotated[
        list[KnownValue],
        Field(description="of a text: the most frequent first, at most 50; those of one item are not told"),
    ]
    low: Annotated[
        float | str | None, Field(description="of a size or a day: 98 of 100 filled items lie between low and high")
    ]
    median: float | str | None
    high: float | str | None


def as_json(answer: Any) -> bytes:
    """Return an answer, or a list of them, as JSON."""
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)


def as_plain(answer: Any) -> Any:
    """Return an answer, or a list of them, as the plain values that its JSON reads back as."""
    return orjson.loads(as_json(answer))
