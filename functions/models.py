"""Model versions: reading, activating, and the packages that arrive through blob storage."""

from datetime import UTC, datetime

import azure.functions as func
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from functions.access import Access
from functions.auditing import acting_function
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from functions.rows import event_view, registration_view, version_view
from functions.triggers import doorbell_function, poison_function
from shared.bootstrap import current_services
from shared.database.tables import ModelVersion, Registration
from shared.errors import NotFound

blueprint = func.Blueprint()
log = structlog.get_logger()


class ChangeRequest(BaseModel):
    """Why a version changes state, and what the caller believes is active."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000)
    expected_active: str | None = Field(None, max_length=64, description="refuse unless this version is active")


class ReasonedRequest(BaseModel):
    """Why something is done to a version."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000)


class ActiveAt(BaseModel):
    """The moment that is asked about."""

    at: AwareDatetime | None = Field(None, description="RFC 3339; now unless given")

    @field_validator("at")
    @classmethod
    def _in_utc(cls, at: datetime | None) -> datetime | None:
        try:
            return at.astimezone(UTC) if at is not None else None
        except OverflowError:
            raise ValueError("lies outside the years 1 to 9999 in UTC") from None


@endpoint(blueprint, "GET", "models", access=Access.READ, summary="Model versions", query=Page, answer=Listing)
def list_models(call: Call) -> Reply:
    """List installed versions, newest first."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.model_versions.list(limit=page.limit, offset=page.offset)
    return Reply(body=listing((version_view(row) for row in rows), total, page))


@endpoint(
    blueprint, "GET", "models/active", access=Access.READ, summary="The version active now or then", query=ActiveAt
)
def get_active_model(call: Call) -> Reply:
    """Show which version is active, or was at a moment in the past."""
    asked = call.query
    assert isinstance(asked, ActiveAt)
    if asked.at is not None:
        return Reply(body=_active_at(call, asked.at))
    row = call.services.model_versions.active()
    if row is None:
        raise NotFound("No model is active.", remedy="Activate one: `manage.py models activate VERSION`.")
    return Reply(body=version_view(row), model_version=row.version)


def _active_at(call: Call, at: datetime) -> dict[str, object]:
    event = call.services.model_versions.active_at(at)
    if event is None:
        raise NotFound(f"No model was active at {at.isoformat()}.")
    return {"asked_at": at.isoformat(), **event_view(event)}  # `at` is when it was activated


@endpoint(blueprint, "GET", "models/{version}", access=Access.READ, summary="One model version")
def get_model(call: Call) -> Reply:
    """Show one installed version with its events."""
    row = _version(call)
    events = call.services.model_versions.events(row.version)
    return Reply(body=version_view(row) | {"events": [event_view(event) for event in events]})


@endpoint(blueprint, "GET", "models/{version}/lineage", access=Access.READ, summary="Where a version comes from")
def get_model_lineage(call: Call) -> Reply:
    """Show the data, job, alarm, cycle, comparison and people behind a version, and what followed."""
    return Reply(body=call.services.lineage.of(call.params["version"]))


@endpoint(blueprint, "GET", "models/{version}/bom", access=Access.READ, summary="A version's bill of materials")
def get_model_bom(call: Call) -> Reply:
    """Show an installed version's files, data, libraries and figures as CycloneDX 1.6."""
    return Reply(body=call.services.lifecycle.bill_of_materials(call.params["version"]))


@endpoint(
    blueprint, "POST", "models/{version}/verify", access=Access.OPERATE, summary="Check a version without changing it"
)
def verify_model(call: Call) -> Reply:
    """Run every check that activation would run and say how each ended."""
    return Reply(body=call.services.lifecycle.verify(call.params["version"]))


@endpoint(
    blueprint,
    "POST",
    "models/{version}/activate",
    access=Access.OPERATE,
    summary="Make a version the active one",
    body=ChangeRequest,
)
def activate_model(call: Call) -> Reply:
    """Verify the version once more and let it serve."""
    asked: ChangeRequest = call.body
    row = call.services.lifecycle.activate(
        call.params["version"], actor=call.actor, reason=asked.reason, expected_active=asked.expected_active
    )
    return Reply(body=version_view(row), model_version=row.version)


@endpoint(
    blueprint,
    "POST",
    "models/{version}/reject",
    access=Access.OPERATE,
    summary="Refuse a pending version",
    body=ChangeRequest,
)
def reject_model(call: Call) -> Reply:
    """Refuse a version, so that nobody activates it by mistake."""
    asked: ChangeRequest = call.body
    row = call.services.lifecycle.reject(call.params["version"], actor=call.actor, reason=asked.reason)
    return Reply(body=version_view(row))


@endpoint(
    blueprint,
    "POST",
    "models/{version}/pin",
    access=Access.OPERATE,
    summary="Keep a version whatever its age",
    body=ReasonedRequest,
)
def pin_model(call: Call) -> Reply:
    """Keep a version out of the clean-up."""
    return _pinned(call, pinned=True)


@endpoint(
    blueprint,
    "POST",
    "models/{version}/unpin",
    access=Access.OPERATE,
    summary="Keep a version no longer than others",
    body=ReasonedRequest,
)
def unpin_model(call: Call) -> Reply:
    """Let the clean-up have a version again."""
    return _pinned(call, pinned=False)


def _pinned(call: Call, *, pinned: bool) -> Reply:
    asked: ReasonedRequest = call.body
    versions = call.services.model_versions
    return Reply(
        body=version_view(versions.pin(call.params["version"], pinned=pinned, actor=call.actor, reason=asked.reason))
    )


@endpoint(
    blueprint,
    "POST",
    "models/{version}/remove",
    access=Access.ADMINISTER,
    summary="Remove a version's files",
    body=ReasonedRequest,
)
def remove_model(call: Call) -> Reply:
    """Remove a version's files; never the active, the previous or a pinned one."""
    asked: ReasonedRequest = call.body
    row = call.services.retention.remove(call.params["version"], actor=call.actor, reason=asked.reason)
    return Reply(body=version_view(row))


@endpoint(
    blueprint,
    "POST",
    "models/rollback",
    access=Access.OPERATE,
    summary="Activate the previous version",
    body=ChangeRequest,
)
def rollback_model(call: Call) -> Reply:
    """Go back to the version that served before."""
    asked: ChangeRequest = call.body
    row = call.services.lifecycle.rollback(actor=call.actor, reason=asked.reason, expected_active=asked.expected_active)
    return Reply(body=version_view(row), model_version=row.version)


@endpoint(blueprint, "GET", "registrations", access=Access.READ, summary="Dropped packages", query=Page, answer=Listing)
def list_registrations(call: Call) -> Reply:
    """List dropped packages with their outcome and reason, newest first."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.work.list(Registration, limit=page.limit, offset=page.offset)
    return Reply(body=listing((registration_view(row) for row in rows), total, page))


def _version(call: Call) -> ModelVersion:
    return call.services.model_versions.get(call.params["version"])


@blueprint.function_name("notice_model_package")
@blueprint.blob_trigger(
    arg_name="blob",
    path="model-drop/{version}/manifest.json",
    connection="AzureWebJobsStorage",
    data_type=func.DataType.BINARY,
)
def notice_model_package(blob: func.InputStream) -> None:
    """Insert the drop's row and ring its bell; missing files are the registration's matter, not this function's."""
    version = (blob.name or "").removeprefix("model-drop/").removesuffix("/manifest.json")
    with acting_function("notice_model_package", "blob"):
        row = current_services().registrations.notice(version, blob.read())
    log.info("package.noticed", registration_id=row.id, version=row.version, state=row.state)


doorbell_function(
    blueprint, "register_model", Registration.QUEUE, lambda services, id_: services.registrations.register(id_)
)
poison_function(blueprint, "bury_registration", Registration.QUEUE)
poison_function(blueprint, "bury_blob", "webjobs-blobtrigger", poison_queue="webjobs-blobtrigger-poison")
