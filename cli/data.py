"""`data`: reading the ERP, and how good its data is."""

from typing import Annotated

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from shared.bootstrap import current_services

app = typer.Typer(help="Snapshots of the ERP.", no_args_is_help=True)


@app.command("extract")
@reports_errors
def extract(
    reason: Annotated[str, typer.Option(help="Why; kept with the extract.")] = "command line", as_json: JsonFlag = False
) -> None:
    """Read the ERP now into a new snapshot.

    Example: manage.py data extract
    """
    snapshot = current_services().snapshots.take_now(reason=reason)
    if as_json:
        emit_json({"snapshot_id": snapshot.id, "rows": snapshot.rows, "issues": snapshot.issues})
        return
    counts = ", ".join(f"{table} {count:,}" for table, count in snapshot.rows.items())
    say(f"[bold]{snapshot.id}[/]: {shown(counts)}")


@app.command("quality")
@reports_errors
def quality(as_json: JsonFlag = False) -> None:
    """Summarise the current snapshot: completeness, duplicates, impossible values, unusable rows.

    Example: manage.py data quality --json
    """
    from shared.erp.quality import summarise

    summary = summarise(current_services().snapshots.current())
    if as_json:
        emit_json(summary)
        return
    for section, values in summary.items():
        rows = values.items() if isinstance(values, dict) else [(section, values)]
        show_table(section, ("what", "figure"), rows)


@app.command("snapshots")
@reports_errors
def snapshots(as_json: JsonFlag = False) -> None:
    """List snapshots, newest first.

    Example: manage.py data snapshots
    """
    rows, total = current_services().snapshot_rows.list(limit=100, offset=0)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    show_table(
        f"{total} snapshot(s)",
        ("snapshot", "profile", "data as of", "rows"),
        [(row.id, row.profile, row.data_as_of, row.rows) for row in rows],
    )
