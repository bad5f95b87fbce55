"""Items, snapshots of the ERP and their quality; the timer and queue that keep the snapshot fresh."""

from dataclasses import dataclass

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from functions.access import Access
from functions.auditing import acting_function
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from functions.rows import extract_view, snapshot_view
from functions.triggers import doorbell_function, due_slot, poison_function
from shared.bootstrap import current_services
from shared.database.tables import Extract
from shared.prediction.answers import ItemRecord, KnownAttribute, KnownOperation, SimilarItem
from shared.quality.booked import ItemOrders

blueprint = func.Blueprint()


class ItemSearch(Page):
    """What to look for among the active model's items."""

    query: str = Field("", max_length=200, description="part of a code or of a text attribute")


class Neighbours(BaseModel):
    """How many similar items to list."""

    k: int = Field(10, ge=1, le=100)


class OrderSearch(Page):
    """Which of an item's booked orders."""

    operation: str = Field("", max_length=200, description="an operation's code; empty: all operations")


class QualityQuestion(BaseModel):
    """Which snapshot's data quality to tell."""

    snapshot: str = Field("", max_length=64, description="a snapshot's id; empty: the newest")
    history: int = Field(0, ge=0, le=400, description="how many snapshots' key figures to add, newest first")


class SimilarItems(BaseModel):
    """The items nearest to one item."""

    item_code: str
    model_version: str
    items: list[SimilarItem]


class SnapshotRequest(BaseModel):
    """How the ERP is to be read."""

    model_config = ConfigDict(extra="forbid")

    full: bool = Field(False, description="read every row, where else only what changed would be")
    reason: str = Field("", max_length=200, description="why; kept with the extract")


@endpoint(blueprint, "GET", "items", access=Access.READ, summary="Find items", query=ItemSearch, answer=Listing)
def list_items(call: Call) -> Reply:
    """Search the active model's items by code or text."""
    asked = call.query
    assert isinstance(asked, ItemSearch)
    served = call.services.serving.active()
    rows, total = served.model.search_items(asked.query, limit=asked.limit, offset=asked.offset)
    return Reply(body=listing(rows, total, asked), model_version=served.version)


@endpoint(
    blueprint, "GET", "items/{item_code}", access=Access.READ, summary="One item with its routings", answer=ItemRecord
)
def get_item(call: Call) -> Reply:
    """Show one item as the active model knows it."""
    served = call.services.serving.active()
    return Reply(body=served.model.item(call.params["item_code"]), model_version=served.version)


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """The attributes that the active model knows."""

    model_version: str
    items: list[KnownAttribute]


class OperationSearch(Page):
    """Which of the active model's operations."""

    query: str = Field("", max_length=200, description="part of a code or name")


@dataclass(frozen=True, kw_only=True)
class Operations:
    """One page of the operations that the active model knows."""

    items: list[KnownOperation]
    total: int
    limit: int
    offset: int


@endpoint(
    blueprint,
    "GET",
    "operations",
    access=Access.READ,
    summary="Operations of the items' routings",
    query=OperationSearch,
    answer=Operations,
)
def list_operations(call: Call) -> Reply:
    """Find operations by code or name: those whose code begins so first, then the more frequent.

    Each says where it is planned and how often, and the median of its planned minutes.
    """
    asked = call.query
    assert isinstance(asked, OperationSearch)
    served = call.services.serving.active()
    rows, total = served.model.known_operations.find(asked.query, limit=asked.limit, offset=asked.offset)
    body = Operations(items=rows, total=total, limit=asked.limit, offset=asked.offset)
    return Reply(body=body, model_version=served.version)


@endpoint(
    blueprint, "GET", "attributes", access=Access.READ, summary="What items can be described by", answer=Attributes
)
def list_attributes(call: Call) -> Reply:
    """List the attributes that a query may give, in the order of the factory's profile, with what the items have."""
    served = call.services.serving.active()
    body = Attributes(model_version=served.version, items=served.model.known_values.all)
    return Reply(body=body, model_version=served.version)


@endpoint(
    blueprint,
    "GET",
    "items/{item_code}/similar",
    access=Access.READ,
    summary="The items nearest to one item",
    query=Neighbours,
    answer=SimilarItems,
)
def get_similar_items(call: Call) -> Reply:
    """List the nearest items and what made them near."""
    asked = call.query
    assert isinstance(asked, Neighbours)
    served = call.services.serving.active()
    code = call.params["item_code"]
    similar = served.model.similar(code, asked.k)
    answer = SimilarItems(item_code=code, model_version=served.version, items=similar)
    return Reply(body=answer, model_version=served.version)


@endpoint(
    blueprint,
    "GET",
    "items/{item_code}/orders",
    access=Access.READ,
    summary="What was booked on an item, order by order",
    query=OrderSearch,
    answer=ItemOrders,
)
def list_item_orders(call: Call) -> Reply:
    """List the work orders that an item's minutes rest on, newest first, from the newest snapshot of the ERP."""
    from shared.quality.item_orders import item_orders

    asked = call.query
    assert isinstance(asked, OrderSearch)
    found = item_orders(
        call.services.snapshots.current(), call.params["item_code"],
        operation_code=asked.operation or None, limit=asked.limit, offset=asked.offset,
    )  # fmt: skip
    return Reply(body=found)


@endpoint(
    blueprint, "GET", "data/snapshots", access=Access.READ, summary="The ERP snapshots", query=Page, answer=Listing
)
def list_snapshots(call: Call) -> Reply:
    """List snapshots, newest first."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.snapshot_rows.list(limit=page.limit, offset=page.offset)
    return Reply(body=listing((snapshot_view(row) for row in rows), total, page))


@endpoint(blueprint, "GET", "data/extracts", access=Access.READ, summary="The extracts", query=Page, answer=Listing)
def list_extracts(call: Call) -> Reply:
    """List extracts, newest first, with their outcome."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.work.list(Extract, limit=page.limit, offset=page.offset)
    return Reply(body=listing((extract_view(row) for row in rows), total, page))


@endpoint(blueprint, "GET", "data/extracts/{id}", access=Access.READ, summary="One extract")
def get_extract(call: Call) -> Reply:
    """Show one extract."""
    return Reply(body=extract_view(call.services.work.get(Extract, call.params["id"])))


@endpoint(
    blueprint,
    "POST",
    "data/snapshots",
    access=Access.OPERATE,
    summary="Read the ERP now",
    body=SnapshotRequest,
    body_optional=True,
    status=202,
)
def request_snapshot(call: Call) -> Reply:
    """Ask for an extract now; the answer names where its outcome will stand."""
    asked = call.body
    assert isinstance(asked, SnapshotRequest)
    why = f": {asked.reason}" if asked.reason else ""
    row = call.services.snapshots.start(None, f"asked for by {call.actor}{why}", full=asked.full)
    assert row is not None  # without a slot nothing can be a duplicate
    return Reply(body=extract_view(row), status=202, headers={"location": f"/api/data/extracts/{row.id}"})


@endpoint(
    blueprint, "GET", "data/quality", access=Access.READ, summary="How good the ERP data is", query=QualityQuestion
)
def get_data_quality(call: Call) -> Reply:
    """Tell a snapshot's completeness, conflicts, joins and coverage, and what changed since the one before."""
    from shared.operations.data_quality import DataQualityReports

    asked, services = call.query, call.services
    assert isinstance(asked, QualityQuestion)
    reports = DataQualityReports(services.settings, services.engine, services.snapshots, services.clock)
    return Reply(body=reports.report(asked.snapshot or None, history=asked.history))


@blueprint.function_name("start_extract")
@blueprint.timer_trigger(arg_name="timer", schedule="%ROUTING_EXTRACT_SCHEDULE%", use_monitor=True)
def start_extract(timer: func.TimerRequest) -> None:
    """Insert the slot's extract and ring its bell; a doubled firing inserts nothing."""
    with acting_function("start_extract", "timer"):
        current_services().timetable.fired("start_extract", due_slot(timer))


doorbell_function(blueprint, "run_extract", Extract.QUEUE, lambda services, id_: services.snapshots.run(id_))
poison_function(blueprint, "bury_extract", Extract.QUEUE)
