"""`quality`: the product's check of its own predictions."""

from typing import Annotated, Any

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.services import current_services
from shared.database.tables import QualityCycle, WorkState

app = typer.Typer(help="Quality cycles.", no_args_is_help=True)

FAILED = 9


@app.command("run")
@reports_errors
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


def _show(row: QualityCycle) -> None:
    say(f"[bold]{row.id}[/]: {row.state}; {row.evaluated} of {row.sample_size} items evaluated, {row.failed} failed.")
    if row.error:
        say(shown(row.error))
    overall: dict[str, Any] = (row.metrics or {}).get("overall", {})
    rows = [
        (
            name,
            _figure(value.get("value")),
            f"{_figure(value.get('low'))} - {_figure(value.get('high'))}",
            value.get("n"),
        )
        for name, value in overall.items()
        if isinstance(value, dict)
    ]
    if rows:
        show_table(f"model {row.model_version}", ("metric", "value", "interval", "n"), rows)


def _figure(value: float | None) -> str:
    return "not evaluated" if value is None else f"{value:.4g}"
