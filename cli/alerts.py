"""`alerts`: what a person should know."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.database.deliveries import delivery_views
from shared.database.tables import Alert, AlertState

app = typer.Typer(help="Alerts.", no_args_is_help=True)

AlertId = Annotated[str, typer.Argument(help="The alert's id, as `alerts list` shows it.")]
ACTOR = "command line"


@app.command("list")
@reports_errors
def list_alerts(
    state: Annotated[AlertState | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind, such as quality.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List alerts, the most recently raised first.

    Example: manage.py alerts list --state open
    """
    rows, total = current_services().alerts.list(limit=limit, state=state, kind=kind)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    show_table(
        f"{total} alert(s)",
        ("alert", "state", "kind", "about", "times", "last raised", "message"),
        [(r.id, r.state, r.kind, r.subject, r.count, r.updated_at, r.message) for r in rows],
    )


@app.command("show")
@reports_errors
def show(alert_id: AlertId, as_json: JsonFlag = False) -> None:
    """Show one alert: what it says, its figures, who dealt with it, and what the webhook heard of it.

    Example: manage.py alerts show alert_0123
    """
    services = current_services()
    row = services.alerts.get(alert_id)
    deliveries = delivery_views(services.deliveries.of(row.id))
    if as_json:
        emit_json(row.model_dump(mode="json") | {"deliveries": deliveries})
        return
    about = f" about {shown(row.subject)}" if row.subject else ""
    say(f"[bold]{row.id}[/] ({shown(row.kind)}{about}, {shown(row.severity)}) is {row.state}.")
    say(shown(row.message))
    times = "once" if row.count == 1 else f"{row.count} times"
    say(f"Raised {times}, first {shown(row.created_at)}; last change {shown(row.updated_at)}.")
    if row.acknowledged_by and row.acknowledged_at:
        say(f"Acknowledged {shown(row.acknowledged_at)} by {shown(row.acknowledged_by)}.")
    if row.closed_by and row.closed_at:
        note = f": {row.closed_note}" if row.closed_note else "."
        say(f"Closed {shown(row.closed_at)} by {shown(row.closed_by)}{shown(note)}")
    if row.details:
        show_table("Details", ("what", "value"), row.details.items())
    if deliveries:
        show_table(
            "For the webhook", ("what", "written", "tries", "heard", "next try", "error"), map(_told, deliveries)
        )


@app.command("acknowledge")
@reports_errors
@changes("alert.acknowledge")
def acknowledge(alert_id: AlertId, as_json: JsonFlag = False) -> None:
    """Say that somebody is on it.

    Example: manage.py alerts acknowledge alert_0123
    """
    _report(current_services().alerts.acknowledge(alert_id, ACTOR), as_json)


@app.command("close")
@reports_errors
@changes("alert.close")
def close(
    alert_id: AlertId,
    note: Annotated[str, typer.Option(help="What was done about it; kept with the alert.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Say that it is dealt with; the next one of its kind is a new alert.

    Example: manage.py alerts close alert_0123 --note "the view was repaired"
    """
    _report(current_services().alerts.close(alert_id, ACTOR, note), as_json)


def _told(entry: dict[str, Any]) -> tuple[Any, ...]:
    written, heard, next_try = (
        None if entry[name] is None else datetime.fromisoformat(entry[name])
        for name in ("created_at", "delivered_at", "next_at")
    )
    return (
        entry["event"],
        written,
        entry["attempts"],
        heard,
        "given up" if entry["given_up"] else next_try,
        entry["error"],
    )


def _report(row: Alert, as_json: bool) -> None:
    if as_json:
        emit_json(row.model_dump(mode="json"))
    else:
        say(f"[bold]{row.id}[/] ({shown(row.kind)}) is {row.state}.")
