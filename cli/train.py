"""`train` and `jobs`: making model versions, here and now or through the queue."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.comparison import show_comparison, show_contenders
from cli.output import JsonFlag, emit_json, progress_bar, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from cli.sources import named_factory
from shared.bootstrap import Services
from shared.database.tables import TrainingJob, WorkState
from shared.errors import Conflict, SourceError

if TYPE_CHECKING:
    from shared.erp.snapshot import Snapshot

jobs = typer.Typer(help="Training jobs.", no_args_is_help=True)

ACTOR = "command line"
LOG_LINES = 500
FOLLOW_SECONDS = 1.0


@reports_errors
@changes("train")
def train(
    profile: Annotated[str | None, typer.Option(help="Mapping profile; the instance's own unless given.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Folder or ODBC connection string that the profile reads; with --profile.")
    ] = None,
    exclude_items: Annotated[
        Path | None, typer.Option(help="File with one item code a line: nothing is learned from these.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write a complete signed package to this new folder and register nothing.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The version's name; by the clock unless given.")] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Let the new version serve at once.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a model here and now, and register it as a pending version.

    Example: manage.py train --profile adventureworks --data /data/adventureworks --activate
    """
    if output is not None and output.exists():
        raise Conflict(
            f"{output} exists already, and a package is never written over another.",
            remedy="Choose another folder or remove that one.",
        )
    services = current_services()
    excluded = _codes(exclude_items) if exclude_items else []
    with progress_bar(total=100, hidden=as_json) as progress:
        progress(0, "reading the source")
        snapshot = _snapshot(services, profile, data)
        result = _train(services, snapshot, excluded, output, label, progress)
    if activate and output is None:
        services.lifecycle.activate(result["version"], actor=ACTOR, reason="activated when it was trained")
        result["state"] = "active"
    if as_json:
        emit_json(result)
        return
    say(f"[bold]{result['version']}[/] is {result['state']}, trained on {snapshot.id} ({shown(snapshot.rows)}).")
    if result["state"] == "pending":
        say(f"`manage.py models activate {result['version']}` lets it serve.")


def _snapshot(services: Services, profile: str | None, data: str | None) -> "Snapshot":
    named = named_factory(profile, data, option="--data")
    if named is None:
        return services.snapshots.ensure_current()
    profile, source = named
    return services.snapshots.take_now(reason=f"training on {profile}", profile=profile, source=source)


def _train(
    services: Services,
    snapshot: "Snapshot",
    excluded: list[str],
    output: Path | None,
    label: str | None,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    from uuid import uuid4

    from shared.platform import remove_tree
    from shared.training.direct import train_now

    version = services.registrations.free_version_name(label)
    folder = output or services.settings.data_dir / "staging" / f"train-{uuid4().hex}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        trained = train_now(
            snapshot,
            services.configuration_store.current()[1],
            folder,
            version=version,
            keys=services.keys,
            exclude_items=excluded,
            progress=progress,
            clock=services.clock,
        )
        result = {"version": version, "snapshot_id": snapshot.id, "excluded_items": len(excluded), **trained.as_json()}
        if output is not None:
            return result | {"state": "written", "folder": str(output)}
        row = services.registrations.register_local(folder, actor=ACTOR, reason=f"trained on {snapshot.id}")
        return result | {"version": row.version, "state": row.state}
    finally:
        if output is None:
            remove_tree(folder)


def _codes(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SourceError(
            f"{file} cannot be read: {unreadable}.", remedy="One item code a line, UTF-8."
        ) from unreadable
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@jobs.command("start")
@reports_errors
@changes("training-job.start")
def start(
    kind: Annotated[str, typer.Option(help="refit or challenger.")] = "refit",
    label: Annotated[str | None, typer.Option(help="The new version's name.")] = None,
    priority: Annotated[int, typer.Option(min=-100, max=100)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but register a version.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask the running instance for a new version; follow it with `jobs show`.

    Example: manage.py jobs start --label spring-refit
    """
    row = current_services().training_jobs.enqueue(
        kind, reason="asked for on the command line", actor=ACTOR, label=label, priority=priority, dry_run=dry_run
    )
    _report(row, as_json)


@jobs.command("list")
@reports_errors
def list_jobs(
    state: Annotated[WorkState | None, typer.Option(help="Only these.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only these: refit or challenger.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the last 100 jobs, newest first.

    Example: manage.py jobs list --state failed
    """
    rows, total = current_services().training_jobs.list(limit=100, state=state, kind=kind)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    show_table(
        f"{total} job(s)",
        ("job", "kind", "state", "progress", "ends about", "step", "version", "reason"),
        [
            (r.id, r.kind, r.state, f"{r.progress:.0f} %", _end(r), r.step, r.model_version, r.error or r.reason)
            for r in rows
        ],
    )


@jobs.command("show")
@reports_errors
def show(job_id: Annotated[str, typer.Argument()], as_json: JsonFlag = False) -> None:
    """Show one job with its progress and, at the end, its comparison.

    Example: manage.py jobs show job_0123
    """
    _report(current_services().training_jobs.get(job_id), as_json)


@jobs.command("log")
@reports_errors
def show_log(
    job_id: Annotated[str, typer.Argument()],
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many lines.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the lines of a job's log, oldest first.

    Example: manage.py jobs log job_0123 --follow
    """
    services = current_services()
    if as_json:
        rows, total = services.training_jobs.log(job_id, limit=LOG_LINES, offset=offset)
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total, "offset": offset})
        return
    while True:
        ended = services.training_jobs.get(job_id).state in TrainingJob.FINAL  # asked before the last lines are read
        rows, _ = services.training_jobs.log(job_id, limit=LOG_LINES, offset=offset)
        for row in rows:
            say(f"{row.at.astimezone():%Y-%m-%d %H:%M:%S} {row.attempt} {row.level:<7} {shown(row.message)}")
        offset += len(rows)
        if not rows and (ended or not follow):
            return
        if not rows:
            time.sleep(FOLLOW_SECONDS)


@jobs.command("cancel")
@reports_errors
@changes("training-job.cancel")
def cancel(job_id: Annotated[str, typer.Argument()], as_json: JsonFlag = False) -> None:
    """Cancel a waiting job at once and a running one within seconds.

    Example: manage.py jobs cancel job_0123
    """
    _report(current_services().training_jobs.cancel(job_id, ACTOR), as_json)


def _end(row: TrainingJob) -> str:
    return "" if row.expected_end_at is None else f"{row.expected_end_at.astimezone():%H:%M:%S}"


def _report(row: TrainingJob, as_json: bool) -> None:
    if as_json:
        emit_json(row.model_dump(mode="json"))
        return
    about = f", ends about {_end(row)}" if row.expected_end_at else ""
    say(f"[bold]{row.id}[/]: {row.kind}, {row.state}, {row.progress:.0f} % {shown(row.step)}{about}")
    for text in filter(None, (row.error, (row.result or {}).get("reason"))):
        say(shown(text))
    if comparison := (row.result or {}).get("comparison"):
        show_comparison(comparison)
    if tried := (row.result or {}).get("tried"):
        show_contenders(tried)
