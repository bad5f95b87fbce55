"""What an operator asks of the whole: health, metrics, configuration, buried messages, documentation; and the sweep."""

from dataclasses import dataclass
from typing import Annotated, Any

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, RootModel

from functions.access import Access
from functions.auditing import acting_function
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from functions.rows import poison_view
from shared.bootstrap import current_services
from shared.configuration import Configuration, configuration_schema, default_configuration
from shared.operations.caches import Cache, clearing_facts

blueprint = func.Blueprint()


class ConfigurationChange(RootModel[dict[str, Any]]):
    """The parts of the configuration to change, nested as the document is."""

    root: dict[str, Any] = Field(max_length=50)


@endpoint(blueprint, "GET", "health/live", access=Access.OPEN, summary="Whether the process answers")
def get_liveness(call: Call) -> Reply:
    """Answer without touching anything that could be broken."""
    return Reply(body={"status": "live", "request_id": call.request_id} | _unsigned_allowed(call))


@endpoint(blueprint, "GET", "health/ready", access=Access.OPEN, summary="Whether predictions can be answered")
def get_readiness(call: Call) -> Reply:
    """Answer 503 until a model is active and loaded."""
    served = call.services.serving.active()
    body = {"status": "ready", "model_version": served.version} | _unsigned_allowed(call)
    return Reply(body=body, model_version=served.version)


def _unsigned_allowed(call: Call) -> dict[str, Any]:
    """Return what every page of health says where packages without a signature are accepted."""
    return {"unsigned_packages_allowed": True} if call.services.settings.allow_unsigned else {}


@endpoint(blueprint, "GET", "health", access=Access.READ, summary="Every part's condition")
def get_health(call: Call) -> Reply:
    """Check each part for real; 503 where a part that serving needs is down."""
    detail = call.services.health.detail()
    return Reply(body=detail, status=200 if detail["status"] != "down" else 503)


@endpoint(
    blueprint,
    "GET",
    "metrics",
    access=Access.READ,
    summary="Prometheus metrics",
    media_type="text/plain",
)
def get_metrics(call: Call) -> Reply:
    """Write counters and gauges in Prometheus' text form."""
    from functions.running import host_counters
    from shared.operations.meters import exposition

    text, media_type = exposition(call.services.health, host_counters())
    return Reply(body=text, media_type=media_type)


@endpoint(blueprint, "GET", "openapi.json", access=Access.OPEN, summary="This API as an OpenAPI document")
def get_openapi(_call: Call) -> Reply:
    """Write the OpenAPI document from the declared endpoints."""
    from functions.openapi import openapi_document

    return Reply(body=openapi_document())


@endpoint(blueprint, "GET", "docs", access=Access.OPEN, summary="This API as a page", media_type="text/html")
def get_docs(_call: Call) -> Reply:
    """Write the documentation page; it loads nothing from anywhere else."""
    from functions.openapi import documentation_page

    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return Reply(body=documentation_page(), media_type="text/html", headers={"content-security-policy": policy})


@dataclass(frozen=True, kw_only=True)
class ConfigurationView:
    """The configuration in force, what it may be, and what it was shipped as."""

    version: Annotated[int, Field(description="0: as shipped")]
    configuration: Configuration
    defaults: Configuration
    schema: Annotated[dict[str, Any], Field(description="JSON schema of it: ranges, descriptions, and `unit`")]


@endpoint(
    blueprint,
    "GET",
    "config",
    access=Access.READ,
    summary="The configuration in force, its defaults and rules",
    answer=ConfigurationView,
)
def get_configuration(call: Call) -> Reply:
    """Show the configuration with its version, the shipped defaults, and the JSON schema that a change must keep."""
    version, document = call.services.configuration_store.current()
    view = ConfigurationView(
        version=version, configuration=document, defaults=default_configuration(), schema=configuration_schema()
    )
    return Reply(body=view)


@endpoint(
    blueprint,
    "PATCH",
    "config",
    access=Access.OPERATE,
    summary="Change the configuration",
    body=ConfigurationChange,
)
def change_configuration(call: Call) -> Reply:
    """Validate the changed whole and put it in force; a bad value changes nothing and names its field."""
    change: ConfigurationChange = call.body
    version, document = call.services.configuration_store.patch(change.root, call.actor)
    return Reply(body={"version": version, "configuration": document.model_dump(mode="json")})


@endpoint(blueprint, "GET", "config/history", access=Access.READ, summary="Who changed the configuration", query=Page)
def list_configuration_history(call: Call) -> Reply:
    """List every change with its actor and the values before and after."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.configuration_store.history(limit=page.limit, offset=page.offset)
    return Reply(body=listing((row.model_dump(mode="json") for row in rows), total, page))


class CacheClearing(BaseModel):
    """What every process is to forget, and why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000)
    caches: list[Cache] = Field(list(Cache), min_length=1, max_length=20, description="all if left out")


@endpoint(
    blueprint,
    "POST",
    "caches/clear",
    access=Access.OPERATE,
    summary="Forget what is kept in memory",
    body=CacheClearing,
)
def clear_caches(call: Call) -> Reply:
    """Have every process forget all its caches, or the named ones; the old model answers until it is read again."""
    asked: CacheClearing = call.body
    return Reply(body=clearing_facts(call.services.caches.clear(asked.caches, actor=call.actor, reason=asked.reason)))


@endpoint(
    blueprint, "GET", "poison", access=Access.READ, summary="Messages nobody could handle", query=Page, answer=Listing
)
def list_poison(call: Call) -> Reply:
    """List buried messages with their reasons, newest first."""
    page = call.query
    assert isinstance(page, Page)
    rows, total = call.services.poison_messages.list(limit=page.limit, offset=page.offset)
    return Reply(body=listing((poison_view(row) for row in rows), total, page))


@endpoint(blueprint, "POST", "poison/{id}/replay", access=Access.OPERATE, summary="Try a buried message again")
def replay_poison(call: Call) -> Reply:
    """Put the message's work back and ring its bell."""
    return Reply(body=poison_view(call.services.burial.replay(call.params["id"], call.actor)))


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="%ROUTING_SWEEP_SCHEDULE%", use_monitor=False)
def sweep(timer: func.TimerRequest) -> None:
    """Ring bells whose message was lost, take up dead workers' rows, notice packages that no event announced."""
    with acting_function("sweep", "timer"):
        services = current_services()
        services.caches.follow()
        services.sweep.run()
