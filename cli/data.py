"""`data`: reading the ERP, and how good its data is."""

from pathlib import Path
from typing import Annotated

import typer

from cli.data_report import print_report, write_columns
from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from cli.sources import MAKING_IT_OWN, named_factory, own_profile_name, profile_name
from shared.errors import InvalidInput

app = typer.Typer(help="Snapshots of the ERP.", no_args_is_help=True)


@app.command("extract")
@reports_errors
@changes("data.extract")
def extract(
    reason: Annotated[str, typer.Option(help="Why; kept with the extract.")] = "command line",
    full: Annotated[bool, typer.Option("--full", help="Read every row, changed or not.")] = False,
    profile: Annotated[str | None, typer.Option(help="Mapping profile; the instance's own unless given.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Folder or ODBC connection string that the profile reads; with --profile.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read the ERP now into a new snapshot.

    Example: manage.py data extract --full
    """
    named_profile, location = named_factory(profile, source, option="--source") or (None, None)
    snapshots = current_services().snapshots
    snapshot = snapshots.take_now(reason=reason, profile=named_profile, source=location, full=full)
    if as_json:
        emit_json({"snapshot_id": snapshot.id, "rows": snapshot.rows, "issues": snapshot.issues})
        return
    counts = ", ".join(f"{table} {count:,}" for table, count in snapshot.rows.items())
    say(f"[bold]{snapshot.id}[/]: {shown(counts)}")


@app.command("quality")
@reports_errors
def quality(
    snapshot: Annotated[str | None, typer.Option(help="A snapshot's id; the newest when left out.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Of which mapping profile, by name or path; the instance's own unless given.")
    ] = None,
    history: Annotated[int, typer.Option(min=0, max=400, help="How many snapshots' key figures to show.")] = 0,
    csv: Annotated[Path | None, typer.Option(help="Write one line a column to this file as well.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell how good the data is: what a person should look at, columns, joins, times, months, and what changed.

    Example: manage.py data quality --history 5
    """
    from shared.operations.data_quality import DataQualityReports

    if snapshot is not None and profile is not None:
        raise InvalidInput("A snapshot is of one profile.", remedy="Give --snapshot or --profile.")
    services = current_services()
    named = None if profile is None else profile_name(profile, known=services.snapshot_rows.profiles())
    reports = DataQualityReports(services.settings, services.engine, services.snapshots, services.clock)
    document = reports.report(snapshot, history=history, profile=named)
    if csv is not None:
        write_columns(document, csv)
    if as_json:
        emit_json(document)
    else:
        print_report(document)


@app.command("snapshots")
@reports_errors
def snapshots(as_json: JsonFlag = False) -> None:
    """List snapshots, newest first.

    Example: manage.py data snapshots
    """
    services = current_services()
    rows, total = services.snapshot_rows.list(limit=100, offset=0)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    show_table(
        f"{total} snapshot(s)",
        ("snapshot", "profile", "data as of", "rows"),
        [(row.id, row.profile, row.data_as_of, row.rows) for row in rows],
    )
    own = own_profile_name(services.settings)
    if rows and own not in services.snapshot_rows.profiles():
        say(f"None is of this instance's own profile, {shown(own)}. {shown(MAKING_IT_OWN)}")
