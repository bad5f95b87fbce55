"""`demo`: the generated seal factory."""

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, shown

app = typer.Typer(help="The generated demo factory.", no_args_is_help=True)


@app.command("generate")
@reports_errors
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write; made when missing.")],
    items: Annotated[int, typer.Option(min=50, max=1_000_000, help="How many items.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 42,
    as_json: JsonFlag = False,
) -> None:
    """Generate a seal factory: items, routings and work results, and the truth behind them kept apart.

    Example: manage.py demo generate --items 5000 --seed 42 --output /tmp/factory
    """
    from shared.erp.demo import generate_demo

    started = time.perf_counter()
    figures = generate_demo(output, items=items, seed=seed)
    seconds = round(time.perf_counter() - started, 2)
    if as_json:
        emit_json({"folder": str(output), "seconds": seconds, **figures})
    else:
        say(f"Wrote {shown(output)} in {seconds} s: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
