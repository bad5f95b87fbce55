"""`health`: every part's condition, as this process finds it."""

from contextlib import suppress
from typing import Any

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.services import current_services
from shared.errors import NoActiveModel

_COLOURS = {"up": "green", "degraded": "yellow", "down": "red"}


@reports_errors
def health(as_json: JsonFlag = False) -> None:
    """Ask every part how it is, as GET /api/health does; exit code 6 where nothing can be predicted.

    Example: manage.py health
    """
    services = current_services()
    with suppress(NoActiveModel):  # the document says so, and why
        services.serving.active()
    document = services.health.detail()
    if as_json:
        emit_json(document)
    else:
        _show(document)
    if document["status"] == "down":
        raise typer.Exit(NoActiveModel.exit_code)


def _show(document: dict[str, Any]) -> None:
    status = document["status"]
    say(f"[{_COLOURS[status]}]{status}[/]: profile {shown(document['profile'])}, "
        f"model {shown(document['active_version'] or 'none')}, data as of {shown(document['data_as_of'] or 'never')}, "
        f"{shown(document['open_alerts'])} open alert(s)")  # fmt: skip
    if document["unsigned_packages_allowed"]:
        say("[red]Packages without a signature are accepted here[/] (ROUTING_ALLOW_UNSIGNED).")
    if document["parts"]["model"].get("development_key"):
        say("The model is signed with a development key; `manage.py keys new` makes one with a name.")
    rows = [(name, part["status"], part.get("detail"), part.get("remedy")) for name, part in document["parts"].items()]
    show_table("Parts", ("part", "condition", "what is wrong", "what to do"), rows)
    waiting = [(queue, depth) for queue, depth in document["queues"].items() if depth]
    if waiting:
        show_table("Waiting messages", ("queue", "messages"), waiting)
