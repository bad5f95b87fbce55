"""Quality cycles and alerts; the timer and queue that run the cycles."""

from typing import Annotated, Literal

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from functions.access import Access
from functions.auditing import acting_function
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from functions.rows import alert_view, cycle_line_view, cycle_view
from functions.triggers import doorbell_function, due_slot, poison_function
from shared.bootstrap import Services, current_services
from shared.database.deliveries import delivery_views
from shared.database.tables import QualityCycle
from shared.errors import NotFound

blueprint = func.Blueprint()

REPORT_TYPES = {"json": "application/json", "csv": "text/csv", "md": "text/markdown", "html": "text/html"}


class CycleRequest(BaseModel):
    """How a cycle asked for by hand should sample; the configuration's values unless given."""

    model_config = ConfigDict(extra="forbid")

    sample_size: int | None = Field(None, ge=10, le=10_000)
    strategy: Literal["random", "stratified", "recent", "error_seeking"] | None = None
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    strata: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(None, max_length=10)


class AlertFilter(Page):
    """Which alerts to list."""

    state: Literal["open", "acknowledged", "closed"] | None = None
    kind: str | None = Field(None, max_length=64, description="such as quality, extract-failed or rolled-back")
    subject: str | None = Field(None, max_length=200, description="what it is about: a metric, a queue, a version")


class Closing(BaseModel):
    """What to keep with a closed alert."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=2000, description="what was done about it, for whoever reads it later")


@endpoint(
    blueprint,
    "POST",
    "quality/cycles",
    access=Access.OPERATE,
    summary="Run a quality cycle now",
    body=CycleRequest,
    body_optional=True,
    status=202,
)
def request_quality_cycle(call: Call) -> Reply:
    """Ask for a cycle; the answer names where its outcome will stand."""
    from shared.quality.options import CycleOptions

    asked: CycleRequest = call.body
    options = CycleOptions(**asked.model_dump())
    row = call.services.quality_cycles.start(None, f"asked for by {call.actor}", options)
    assert row is not None  # without a slot nothing can be a duplicate
    return Reply(body=cycle_view(row), status=202, headers={"location": f"/api/quality/cycles/{row.id}"})


@endpoint(blueprint, "GET", "quality/cycles", access=Access.READ, summary="Quality cycles", query=Page, answer=Listing)
def list_quality_cycles(call: Call) -> Reply:
    """List cycles, newest first, with the figures of the whole; those of families and operations have each its own."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.work.list(QualityCycle, limit=page.limit, offset=page.offset, without=["report"])
    return Reply(body=listing((cycle_line_view(row) for row in rows), total, page))


@endpoint(blueprint, "GET", "quality/cycles/{id}", access=Access.READ, summary="One quality cycle")
def get_quality_cycle(call: Call) -> Reply:
    """Show one cycle with its metrics."""
    return Reply(body=cycle_view(call.services.work.get(QualityCycle, call.params["id"])))


@endpoint(
    blueprint,
    "GET",
    "quality/cycles/{id}/{report}",
    access=Access.READ,
    summary="A cycle's report: report.json, report.csv, report.md or report.html",
)
def get_quality_report(call: Call) -> Reply:
    """Write one cycle's report in the asked form."""
    from shared.quality.reports.rendering import cycles_before, render_report

    name, _, form = call.params["report"].partition(".")
    if name != "report" or form not in REPORT_TYPES:
        raise NotFound(f"There is no {call.params['report']!r}.", remedy="Ask for report.json, .csv, .md or .html.")
    row = call.services.work.get(QualityCycle, call.params["id"])
    earlier = cycles_before(call.services.engine, row) if form == "html" else []
    return Reply(body=render_report(row, form, earlier), media_type=REPORT_TYPES[form])


@endpoint(blueprint, "GET", "alerts", access=Access.READ, summary="Alerts", query=AlertFilter, answer=Listing)
def list_alerts(call: Call) -> Reply:
    """List alerts, newest first."""
    asked = call.query
    assert isinstance(asked, AlertFilter)
    rows, total = call.services.alerts.list(
        limit=asked.limit, offset=asked.offset, state=asked.state, kind=asked.kind, subject=asked.subject
    )
    return Reply(body=listing((alert_view(row) for row in rows), total, asked))


@endpoint(blueprint, "GET", "alerts/{id}", access=Access.READ, summary="One alert, and what the webhook heard of it")
def get_alert(call: Call) -> Reply:
    """Show one alert with its messages to the webhook."""
    row = call.services.alerts.get(call.params["id"])
    return Reply(body=alert_view(row) | {"deliveries": delivery_views(call.services.deliveries.of(row.id))})


@endpoint(blueprint, "POST", "alerts/{id}/acknowledge", access=Access.OPERATE, summary="Take note of an alert")
def acknowledge_alert(call: Call) -> Reply:
    """Say that somebody is on it."""
    return Reply(body=alert_view(call.services.alerts.acknowledge(call.params["id"], call.actor)))


@endpoint(
    blueprint,
    "POST",
    "alerts/{id}/close",
    access=Access.OPERATE,
    summary="Close an alert",
    body=Closing,
    body_optional=True,
)
def close_alert(call: Call) -> Reply:
    """Say that it is dealt with, and how."""
    asked: Closing = call.body
    return Reply(body=alert_view(call.services.alerts.close(call.params["id"], call.actor, asked.note)))


def _run_quality_cycle(services: Services, cycle_id: str) -> object:
    services.serving.refresh()  # this process keeps no watcher: follow an activation since the last cycle
    return services.quality_cycles.run(cycle_id)


@blueprint.function_name("start_quality_cycle")
@blueprint.timer_trigger(arg_name="timer", schedule="%ROUTING_QUALITY_SCHEDULE%", use_monitor=True)
def start_quality_cycle(timer: func.TimerRequest) -> None:
    """Insert the slot's cycle and ring its bell; a doubled or late firing inserts nothing."""
    with acting_function("start_quality_cycle", "timer"):
        current_services().timetable.fired("start_quality_cycle", due_slot(timer))


doorbell_function(
    blueprint, "run_quality_cycle", QualityCycle.QUEUE, lambda services, id_: _run_quality_cycle(services, id_)
)
poison_function(blueprint, "bury_quality_cycle", QualityCycle.QUEUE)
