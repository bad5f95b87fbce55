"""`demo`: the generated seal factory."""

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonFlag, emit_json, progress_bar, reports_errors, say, show_table, shown
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from shared.erp.demo.frozen import Verdict

app = typer.Typer(help="The generated demo factory.", no_args_is_help=True)

ItemsOption = Annotated[int, typer.Option(min=50, max=1_000_000, help="How many items.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]


@app.command("generate")
@reports_errors
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write; made when missing.")],
    items: ItemsOption = 5000,
    seed: SeedOption = 42,
    as_json: JsonFlag = False,
) -> None:
    """Generate a seal factory: items, routings and work results, and the truth behind them kept apart.

    Example: manage.py demo generate --items 5000 --seed 42 --output /tmp/factory
    """
    from shared.erp.demo.generate import generate_demo

    started = time.perf_counter()
    with progress_bar(total=1, hidden=as_json) as progress:
        document = generate_demo(output, items=items, seed=seed, progress=progress)
    seconds = round(time.perf_counter() - started, 2)
    if as_json:
        emit_json({"folder": str(output), "seconds": seconds, **document})
        return
    files = document["files"]
    show_table(
        f"{output}, written in {seconds} s by version {document['generator_version']} of the generator",
        ("file", "rows", "bytes", "sha256"),
        [(name, file["rows"], file["bytes"], file["sha256"]) for name, file in sorted(files.items())],
    )


@app.command("change")
@reports_errors
def change(
    folder: Annotated[Path, typer.Argument(help="What `demo generate` wrote.")],
    kind: Annotated[str, typer.Option(help="none, machines, family or units.")] = "none",
    start: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The change's first day; default: the next.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days the factory goes on.")] = 1,
    orders_a_day: Annotated[float, typer.Option(min=1, max=10_000, help="Orders finished a day, on average.")] = 40.0,
    as_json: JsonFlag = False,
) -> None:
    """Let a generated factory go on for some days, and break it: new machines, a new family, another unit.

    Example: manage.py demo change /tmp/factory --kind machines --from 2026-07-06 --days 10
    """
    from shared.erp.demo.changes import change_demo

    begin = None if start is None else start.date()
    known = change_demo(folder, kind=kind, start=begin, days=days, orders_a_day=orders_a_day)
    if as_json:
        emit_json({"folder": str(folder), **known})
        return
    held = ", ".join(f"{name} since {since}" for name, since in sorted(known["changes"].items())) or "nothing"
    say(f"{shown(folder)} goes until {known['last_day']}: {known['reports']} reports, {known['new_items']} new items.")
    say(f"Changed: {held}.")


@app.command("load")
@reports_errors
def load(
    folder: Annotated[Path, typer.Argument(help="What `demo generate` wrote.")],
    sqlite: Annotated[Path | None, typer.Option(help="SQLite file to make.")] = None,
    postgresql: Annotated[
        str | None, typer.Option(help="libpq connection string; the password better comes from PGPASSWORD.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier demo factory there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Load a generated factory into a database as the three views of the ERP, whole or not at all.

    Example: manage.py demo load /tmp/factory --sqlite /tmp/factory.db
    """
    from shared.erp.demo import load as demo_load

    if (sqlite is None) == (postgresql is None):
        raise InvalidInput("One of --sqlite and --postgresql is needed.", remedy="Name one target.")
    started = time.perf_counter()
    with progress_bar(total=1, hidden=as_json) as progress:
        if sqlite is not None:
            demo_load.load_into_sqlite(folder, sqlite, replace=replace, progress=progress)
        else:
            demo_load.load_into_postgresql(folder, str(postgresql), replace=replace, progress=progress)
    seconds = round(time.perf_counter() - started, 2)
    views = list(demo_load.BASE_TABLES)
    if as_json:
        emit_json({"folder": str(folder), "views": views, "seconds": seconds})
    else:
        say(f"Loaded {shown(folder)} as {', '.join(views)} in {seconds} s.")


@app.command("check")
@reports_errors
def check(
    items: ItemsOption = 5000,
    seed: SeedOption = 42,
    folder: Annotated[Path | None, typer.Option(help="A generated factory, instead of --items and --seed.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure how hard the demo factory is, and compare with the frozen figures; exit code 1 when they differ.

    Example: manage.py demo check --items 5000 --seed 42
    """
    from shared.erp.demo.frozen import check_folder, load_frozen
    from shared.erp.demo.generate import generate_demo

    with tempfile.TemporaryDirectory() as scratch:
        source = folder or Path(scratch, "factory")
        if folder is None:
            with progress_bar(total=1, hidden=as_json) as progress:
                generate_demo(source, items=items, seed=seed, progress=progress)
        verdict = check_folder(source, Path(scratch, "extract"), load_frozen())
    if as_json:
        emit_json(verdict)
    else:
        _show(verdict)
    if not verdict.ok:
        raise typer.Exit(1)


def _show(verdict: "Verdict") -> None:
    rows = [
        (each.figure, each.value, each.frozen, f"{each.low} to {each.high}", "ok" if each.ok else "NO")
        for each in verdict.findings
    ]
    columns = ("figure", "measured", "frozen", "band", "")
    show_table(f"{verdict.items} items, seed {verdict.seed}", columns, rows)
    if verdict.same_bytes is None:
        say("No factory of this count and seed is frozen, so only the bands count.")
    else:
        say(f"The views' bytes are {'those' if verdict.same_bytes else '[red]not[/] those'} that were frozen.")
