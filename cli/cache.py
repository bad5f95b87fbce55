"""`cache`: what running processes keep in memory."""

from typing import Annotated

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say
from cli.recording import changes
from cli.services import current_services
from shared.operations.caches import Cache, clearing_facts

app = typer.Typer(help="What running processes keep in memory.", no_args_is_help=True)

ACTOR = "command line"


@app.callback()
def _group() -> None:
    """Keep `clear` a word of its own, although it is the only one."""


@app.command("clear")
@reports_errors
@changes("caches.clear")
def clear(
    kind: Annotated[list[Cache] | None, typer.Option(help="Only this; may be given several times.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the event.")] = "no reason given on the command line",
    as_json: JsonFlag = False,
) -> None:
    """Have every process forget what it keeps, or one kind of it; the model that serves is read and checked again.

    Example: manage.py cache clear --kind items --reason "the ERP was restored"
    """
    event = current_services().caches.clear(kind or list(Cache), actor=ACTOR, reason=reason)
    facts = clearing_facts(event)
    if as_json:
        emit_json(facts)
    else:
        say(f"Running processes forget within seconds: {', '.join(facts['caches'])}.")
