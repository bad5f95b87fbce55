"""`access`: who may come in. Users, their keys, and which role may call which endpoint."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.database.identity_tables import UserState
from shared.identity.api_keys import GRACE_HOURS, MOST_DAYS, MOST_GRACE_HOURS, NewKey
from shared.identity.callers import COMMAND_LINE, Role

app = typer.Typer(help="Users, their API keys, and what each role may do.", no_args_is_help=True)
keys = typer.Typer(help="Named API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")
sessions = typer.Typer(help="Browsers that are signed in.", no_args_is_help=True)
app.add_typer(sessions, name="sessions")

User = Annotated[str, typer.Argument(help="The user's name, as records show it.")]
KeyId = Annotated[str, typer.Argument(help="The key's id, as `access keys list` shows it.")]
Chosen = Annotated[Role, typer.Option("--role", help="What the key may do.")]


@keys.command("new")
@reports_errors
@changes("key.new")
def new(
    user: User,
    role: Chosen,
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    days: Annotated[float | None, typer.Option(min=0.001, max=MOST_DAYS, help="How long it is right.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key for a user, who is made where there is none. It is shown now and never again.

    Example: manage.py access keys new "Kim Minji" --role planner --days 365
    """
    made = current_services().api_keys.make(user, role, by=COMMAND_LINE, label=label, days=days)
    _show_once(made, as_json)


@keys.command("list")
@reports_errors
def list_keys(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: JsonFlag = False,
) -> None:
    """List keys, newest first, with their last use and whether they count.

    Example: manage.py access keys list
    """
    rows, total = current_services().api_keys.list(limit=limit, user=user)
    if as_json:
        emit_json({"items": [asdict(row) for row in rows], "total": total})
        return
    show_table(
        f"{total} API key(s)",
        ("key", "user", "role", "state", "made", "by", "last used", "expires", "label"),
        [
            (r.id, r.user, r.role, r.state, r.created_at, r.created_by, r.last_used_at, r.expires_at, r.label)
            for r in rows
        ],
    )


@keys.command("rotate")
@reports_errors
@changes("key.rotate")
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[
        float, typer.Option(min=0, max=MOST_GRACE_HOURS, help="How long the older key is right beside the new one.")
    ] = GRACE_HOURS,
    as_json: JsonFlag = False,
) -> None:
    """Make a key that takes another's place; both are right for a while.

    Example: manage.py access keys rotate key_0123456789ab --grace-hours 48
    """
    _show_once(current_services().api_keys.rotate(key_id, by=COMMAND_LINE, grace_hours=grace_hours), as_json)


@keys.command("revoke")
@reports_errors
@changes("key.revoke")
def revoke(key_id: KeyId, as_json: JsonFlag = False) -> None:
    """Let a key, and what was signed in with it, count no more.

    Example: manage.py access keys revoke key_0123456789ab
    """
    row = current_services().api_keys.revoke(key_id, by=COMMAND_LINE)
    if as_json:
        emit_json(asdict(row))
    else:
        say(f"[bold]{row.id}[/] of {shown(row.user)} counts no more.")


@sessions.command("list")
@reports_errors
def list_sessions(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100, as_json: JsonFlag = False
) -> None:
    """List browser sessions, newest first.

    Example: manage.py access sessions list
    """
    rows, total = current_services().sessions.list(limit=limit)
    if as_json:
        emit_json({"items": [asdict(row) for row in rows], "total": total})
        return
    show_table(
        f"{total} browser session(s)",
        ("session", "user", "role", "state", "from", "begun", "expires"),
        [(r.id, r.user, r.role, r.state, r.origin, r.created_at, r.expires_at) for r in rows],
    )


@sessions.command("end")
@reports_errors
@changes("session.end")
def end_session(
    session_id: Annotated[str, typer.Argument(help="As `access sessions list` shows it.")], as_json: JsonFlag = False
) -> None:
    """Sign a browser out.

    Example: manage.py access sessions end session_0123456789abcdef0123456789abcdef
    """
    row = current_services().sessions.revoke(session_id, by=COMMAND_LINE)
    if as_json:
        emit_json(asdict(row))
    else:
        say(f"[bold]{row.id}[/] of {shown(row.user)} has ended.")


@sessions.command("rotate")
@reports_errors
@changes("session-secret.rotate")
def rotate_secret(as_json: JsonFlag = False) -> None:
    """Sign sessions with a new secret; those of the one before go on. Twice in a row signs everybody out.

    Example: manage.py access sessions rotate
    """
    made = current_services().session_secrets.rotate()
    if as_json:
        emit_json({"secret_id": made})
    else:
        say(f"{made} signs sessions from now on; those that the one before it signed go on.")


@app.command("users")
@reports_errors
def list_users(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100, as_json: JsonFlag = False
) -> None:
    """List users with their roles.

    Example: manage.py access users
    """
    rows, total = current_services().users.list(limit=limit)
    if as_json:
        emit_json({"items": [asdict(row) for row in rows], "total": total})
        return
    show_table(
        f"{total} user(s)",
        ("user", "state", "roles", "made", "by"),
        [(r.name, r.state, ", ".join(r.roles), r.created_at, r.created_by) for r in rows],
    )


@app.command("disable")
@reports_errors
@changes("user.disable")
def disable(user: User, as_json: JsonFlag = False) -> None:
    """Let none of a user's keys and sessions count.

    Example: manage.py access disable "Kim Minji"
    """
    _set_state(user, UserState.DISABLED, as_json)


@app.command("enable")
@reports_errors
@changes("user.enable")
def enable(user: User, as_json: JsonFlag = False) -> None:
    """Let a user's keys and sessions count again.

    Example: manage.py access enable "Kim Minji"
    """
    _set_state(user, UserState.ACTIVE, as_json)


@app.command("withdraw")
@reports_errors
@changes("user.withdraw")
def withdraw(user: User, role: Chosen, as_json: JsonFlag = False) -> None:
    """Take a role from a user; their keys of that role count no more.

    Example: manage.py access withdraw "Kim Minji" --role operator
    """
    current_services().users.withdraw(user, role, by=COMMAND_LINE)
    if as_json:
        emit_json({"user": user, "withdrawn": role})
    else:
        say(f"{shown(user)} has no role {role} any more.")


@app.command("matrix")
@reports_errors
def matrix(as_json: JsonFlag = False) -> None:
    """Print which role may call which endpoint.

    Example: manage.py access matrix
    """
    import function_app  # noqa: F401 - declares the endpoints
    from functions.access_matrix import access_matrix

    rows = access_matrix()
    if as_json:
        emit_json({"items": rows})
        return
    columns = ("nobody", *(role.value for role in Role))
    show_table(
        "What each may call (loopback: only where reads are open, as they are by default on 127.0.0.1)",
        ("endpoint", *columns),
        [(f"{row['method']} /api/{row['route']}", *(_cell(row["allowed"][name]) for name in columns)) for row in rows],
    )


def _cell(allowed: str) -> str:
    return {"yes": "yes", "loopback": "loopback", "no": ""}[allowed]


def _set_state(user: str, state: UserState, as_json: bool) -> None:
    current_services().users.set_state(user, state, by=COMMAND_LINE)
    if as_json:
        emit_json({"user": user, "state": state})
    else:
        say(f"{shown(user)} is {state}.")


def _show_once(made: NewKey, as_json: bool) -> None:
    if as_json:
        emit_json(asdict(made.key) | {"key": made.text})
        return
    say(f"[bold]{made.key.id}[/] lets {shown(made.key.user)} act as {made.key.role}. Its key, shown this once:")
    typer.echo(made.text)
