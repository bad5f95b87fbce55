"""`audit`: who changed what, and whether that record was touched."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.audit.recording import note
from shared.audit.seal import Seal
from shared.database.audit import AuditQuery
from shared.database.engine import writing
from shared.errors import AuditBroken, InvalidInput
from shared.identity.callers import Caller
from shared.platform import open_atomically

app = typer.Typer(help="Who changed what.", no_args_is_help=True)

_FINDINGS_SHOWN = 20
_COLUMNS = ("sequence", "at", "actor", "role", "origin", "action", "object", "outcome", "reason")

When = Annotated[datetime | None, typer.Option(help="Local time, such as 2026-11-22 or 2026-11-22T06:00:00.")]


@app.command("verify")
@reports_errors
def verify(as_json: JsonFlag = False) -> None:
    """Check every event and the sealed head: edits, deletions, insertions, another order and a cut-off end show.

    Exit code 18 where something is wrong. Example: manage.py audit verify
    """
    verdict = current_services().audit.verify()
    if as_json:
        emit_json({"ok": verdict.ok, **asdict(verdict)})
    else:
        sealed = f"sealed up to {verdict.sealed_sequence or 0:,}; {verdict.unsealed} after that"
        say(f"{verdict.events:,} event(s), {sealed}.")
        for finding in verdict.findings[:_FINDINGS_SHOWN]:
            say(f"[red]event {finding.sequence}[/]: {shown(finding.problem)}")
        hidden = max(0, len(verdict.findings) - _FINDINGS_SHOWN) + verdict.more_findings
        if hidden:
            say(f"and {hidden:,} more.")
        for accepted in verdict.accepted:
            say(f"accepted {shown(accepted['at'])} by {shown(accepted['actor'])}: {shown(accepted['reason'])}")
        say("Nothing is wrong." if verdict.ok else "[red]The audit was touched.[/] docs/AUDIT.md says what to do.")
    if not verdict.ok:
        raise typer.Exit(AuditBroken.exit_code)


@app.command("list")
@reports_errors
def list_events(
    actor: Annotated[str | None, typer.Option(help="Only what this one did.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as model.active; `model.` for all that begin so.")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="Such as a version's name.")] = None,
    outcome: Annotated[str | None, typer.Option(help="done, refused, failed or begun.")] = None,
    since: When = None,
    until: When = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """List events, newest first.

    Example: manage.py audit list --action model. --since 2026-11-01
    """
    query = AuditQuery(
        actor=actor, action=action, object=object_, outcome=outcome, since=_in_utc(since), until=_in_utc(until)
    )
    rows, total = current_services().audit.list(query, limit=limit, offset=offset)
    if as_json:
        emit_json({"items": [_with_documents(row) for row in rows], "total": total})
        return
    show_table(f"{total} event(s)", _COLUMNS, [[row[name] for name in _COLUMNS] for row in rows])


@app.command("export")
@reports_errors
def export(
    output: Annotated[Path, typer.Argument(help="File to write: one event a line, the sealed head last.")],
    as_json: JsonFlag = False,
) -> None:
    """Write the whole audit to a file, as it is stored: whoever has it can check the chain, and the head's signature.

    Example: manage.py audit export /archive/audit-2026.jsonl
    """
    if output.exists():
        raise InvalidInput(f"{output} exists already.", remedy="Give another name, or move the file away.")
    audit = current_services().audit
    count = 0
    with open_atomically(output, mode=0o600) as file:
        for event in audit.export():
            file.write(orjson.dumps(event) + b"\n")
            count += 1
        file.write(orjson.dumps({"sealed_head": _sealed_head(audit.seal)}) + b"\n")
    if as_json:
        emit_json({"file": str(output), "events": count})
    else:
        say(f"Wrote {count:,} event(s) to {shown(output)}.")


@app.command("head")
@reports_errors
def head(as_json: JsonFlag = False) -> None:
    """Print the sealed head: kept elsewhere (on paper, in a mail), it proves later that nothing before it changed.

    Example: manage.py audit head
    """
    sealed = _sealed_head(current_services().audit.seal)
    if as_json:
        emit_json(sealed)
    elif sealed is None:
        say("There is no event yet.")
    else:
        say("{sequence} {hash} {sealed_at}".format_map(sealed))


@app.command("accept")
@reports_errors
@changes("audit.accepted")
def accept(
    reason: Annotated[str, typer.Option(help="What happened, such as which backup was restored; kept with the seal.")],
    as_json: JsonFlag = False,
) -> None:
    """Go on with an audit that does not verify, such as after a backup was restored; the seal keeps what was wrong.

    Example: manage.py audit accept --reason "database restored from the backup of 21 November"
    """
    if not reason.strip():
        raise InvalidInput("A reason is needed.", remedy="Say what happened, for whoever reads the audit later.")
    services = current_services()
    actor, found = Caller.on_the_command_line().name, services.audit.verify()
    with writing(services.engine) as session:
        wrong = {"findings": [asdict(finding) for finding in found.findings[:_FINDINGS_SHOWN]]}
        note(session, "audit.accepted", f"event {found.events}", after=wrong, reason=reason)
    sealed = services.audit.seal.accept(actor=actor, reason=reason)
    if as_json:
        emit_json(asdict(sealed))
    else:
        say(f"Sealed at event {sealed.sequence}; {len(found.findings)} finding(s) stand in the seal from now on.")


def _with_documents(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: None if row[name] is None else orjson.loads(row[name]) for name in ("before", "after")}


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _sealed_head(seal: Seal) -> dict[str, Any] | None:
    """Where the sealed part of the audit ends, with the key that proves it; None where there is no event."""
    head = seal.head()
    return None if head is None else asdict(head) | {"public_key": seal.public_key()}
