"""`quality`: the product's check of its own predictions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.database.tables import QualityCycle, WorkState
from shared.errors import NotFound

app = typer.Typer(help="Quality cycles.", no_args_is_help=True)

FAILED = 9


@app.command("run")
@reports_errors
@changes("quality.run")
def run(
    sample_size: Annotated[int | None, typer.Option(min=10, max=10_000, help="Items to sample.")] = None,
    strategy: Annotated[str | None, typer.Option(help="random, stratified, recent or error_seeking.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="The same seed samples the same items.")
    ] = None,
    strata: Annotated[
        list[str] | None, typer.Option("--stratum", help="An attribute to stratify by; may be given again.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Sample items, predict each as if it were unknown, and compare with what was booked. Exit code 9 where it fails.

    Example: manage.py quality run --sample-size 200
    """
    from shared.quality.options import CycleOptions

    options = CycleOptions(sample_size=sample_size, strategy=strategy, seed=seed, strata=strata)
    row = current_services().quality_cycles.run_now("command line", options)
    if as_json:
        emit_json(row.model_dump(mode="json", exclude={"report"}))
    else:
        _show(row)
    if row.state == WorkState.FAILED:
        raise typer.Exit(FAILED)


@app.command("list")
@reports_errors
def list_cycles(as_json: JsonFlag = False) -> None:
    """List cycles, newest first.

    Example: manage.py quality list
    """
    rows, total = current_services().work.list(QualityCycle, limit=50, offset=0)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json", exclude={"report"}) for row in rows], "total": total})
        return
    show_table(
        f"{total} cycle(s)",
        ("cycle", "state", "model", "evaluated", "failed", "ended", "reason"),
        [(r.id, r.state, r.model_version, r.evaluated, r.failed, r.ended_at, r.error or r.reason) for r in rows],
    )


@app.command("show")
@reports_errors
def show(
    cycle: Annotated[str, typer.Argument(help="A cycle's id, or `last`.")] = "last", as_json: JsonFlag = False
) -> None:
    """Show one cycle: its verdict in a sentence, then its figures.

    Example: manage.py quality show last
    """
    row = _find(cycle)
    if as_json:
        emit_json(row.model_dump(mode="json", exclude={"report"}))
    else:
        _show(row)


@app.command("report")
@reports_errors
def report(
    cycle: Annotated[str, typer.Argument(help="A cycle's id, or `last`.")],
    form: Annotated[str, typer.Option("--format", help="json, csv, md or html.")] = "md",
    output: Annotated[Path | None, typer.Option(help="A file to write; the screen unless given.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a cycle's report. With --json, tell what was written; without a file, the report itself as JSON.

    Example: manage.py quality report last --format html --output quality.html
    """
    from shared.platform import write_atomically
    from shared.quality.reports.rendering import cycles_before, render_report

    row = _find(cycle)
    if as_json and output is None:
        form = "json"
    text = render_report(row, form, cycles_before(current_services().engine, row))
    if output is None:
        typer.echo(text, nl=False)
        return
    write_atomically(output, text.encode())
    if as_json:
        emit_json({"cycle_id": row.id, "format": form, "file": str(output)})
        return
    say(f"Written: {shown(str(output))}")


def _find(cycle: str) -> QualityCycle:
    if cycle != "last":
        return current_services().work.get(QualityCycle, cycle)
    rows, _total = current_services().work.list(QualityCycle, limit=1)
    if not rows:
        raise NotFound("There is no quality cycle yet.", remedy="Run one: manage.py quality run.")
    return rows[0]


def _show(row: QualityCycle) -> None:
    from shared.quality.reports.labels import unmeasured, verdict

    counted = f"; {row.evaluated} of {row.sample_size} items evaluated, {row.failed} failed" if row.metrics else ""
    say(f"[bold]{row.id}[/]: {row.state}{counted}.")
    say(shown(verdict(row)))
    overall: dict[str, Any] = (row.metrics or {}).get("overall", {})
    rows = [
        (
            name,
            _figure(value.get("value")),
            _interval(value),
            value.get("n"),
        )
        for name, value in overall.items()
        if isinstance(value, dict)
    ]
    if rows and not unmeasured(overall):
        show_table(f"model {row.model_version}", ("metric", "value", "interval", "n"), rows)


def _interval(figure: dict[str, Any]) -> str:
    if figure.get("low") is None or figure.get("high") is None:
        return "not known"
    return f"{_figure(figure['low'])} - {_figure(figure['high'])}"


def _figure(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.4g}"
