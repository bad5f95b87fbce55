"""Training jobs: asking for them, following and cancelling them; the timer and queue that run them."""

from typing import Literal

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from functions.access import Access
from functions.auditing import acting_function
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from functions.rows import job_line_view, job_view
from functions.triggers import doorbell_function, due_slot, poison_function
from shared.bootstrap import current_services
from shared.database.tables import TrainingJob

blueprint = func.Blueprint()


class JobRequest(BaseModel):
    """Which job to run."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["refit", "challenger"] = "refit"
    label: str | None = Field(None, max_length=64, description="the new version's name; by the clock unless given")
    priority: int = Field(0, ge=-100, le=100)
    dry_run: bool = Field(False, description="do everything but register a version")


@endpoint(
    blueprint,
    "POST",
    "training/jobs",
    access=Access.OPERATE,
    summary="Ask for a new model version",
    body=JobRequest,
    body_optional=True,
    status=202,
)
def request_training(call: Call) -> Reply:
    """Enqueue one job; a full queue or a duplicate is a 409 with the reason.

    The answer's `plan` says what it will train, on what, and what that usually takes. A dry run trains, compares and
    packages like any other and registers nothing: its `result` tells what would have been registered, and why.
    """
    asked: JobRequest = call.body
    row = call.services.training_jobs.enqueue(
        asked.kind,
        reason=f"asked for by {call.actor}",
        actor=call.actor,
        label=asked.label,
        priority=asked.priority,
        dry_run=asked.dry_run,
    )
    body = job_view(row) | {"plan": call.services.training_jobs.plan(row)}
    return Reply(body=body, status=202, headers={"location": f"/api/training/jobs/{row.id}"})


class JobPage(Page):
    """Which jobs: the last 100 unless asked otherwise."""

    limit: int = Field(100, ge=1, le=500)
    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "skipped"] | None = None
    kind: Literal["refit", "challenger"] | None = None


class LogPage(Page):
    """Which lines of a log: the first 500 unless asked otherwise."""

    limit: int = Field(500, ge=1, le=1_000)


@endpoint(blueprint, "GET", "training/jobs", access=Access.READ, summary="Training jobs", query=JobPage, answer=Listing)
def list_training_jobs(call: Call) -> Reply:
    """List jobs, newest first, of one state or kind where asked for."""
    page = call.query
    assert isinstance(page, JobPage)
    rows, total = call.services.training_jobs.list(
        limit=page.limit, offset=page.offset, state=page.state, kind=page.kind
    )
    return Reply(body=listing((job_view(row) for row in rows), total, page))


@endpoint(blueprint, "GET", "training/jobs/{id}", access=Access.READ, summary="One training job")
def get_training_job(call: Call) -> Reply:
    """Show one job with its progress and, at the end, its comparison."""
    return Reply(body=job_view(call.services.work.get(TrainingJob, call.params["id"])))


@endpoint(
    blueprint,
    "GET",
    "training/jobs/{id}/log",
    access=Access.READ,
    summary="The log of a training job",
    query=LogPage,
    answer=Listing,
)
def get_training_log(call: Call) -> Reply:
    """Show the lines of a job's log, oldest first; ask again from `offset` + lines received to follow it."""
    page = call.query
    assert isinstance(page, LogPage)
    rows, total = call.services.training_jobs.log(call.params["id"], limit=page.limit, offset=page.offset)
    return Reply(body=listing((job_line_view(row) for row in rows), total, page))


@endpoint(blueprint, "DELETE", "training/jobs/{id}", access=Access.OPERATE, summary="Cancel a training job", status=202)
def cancel_training_job(call: Call) -> Reply:
    """Cancel a waiting job at once and a running one within seconds; a 409 once it registers its version."""
    row = call.services.training_jobs.cancel(call.params["id"], call.actor)
    return Reply(body=job_view(row), status=202)


@blueprint.function_name("start_training")
@blueprint.timer_trigger(arg_name="timer", schedule="%ROUTING_TRAINING_SCHEDULE%", use_monitor=True)
def start_training(timer: func.TimerRequest) -> None:
    """Ask for the slot's refit; a full queue or a job that already waits is no fault of the schedule."""
    with acting_function("start_training", "timer"):
        current_services().timetable.fired("start_training", due_slot(timer))


doorbell_function(blueprint, "retrain_model", TrainingJob.QUEUE, lambda services, id_: services.training_jobs.run(id_))
poison_function(blueprint, "bury_retraining", TrainingJob.QUEUE)
