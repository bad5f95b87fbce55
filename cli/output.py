"""How commands speak: tables and sentences for people, one JSON document with `--json`; errors with exit codes."""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

import orjson
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from shared.errors import RoutingError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

INTERRUPTED = 130
DEFECT = 1


def emit_json(value: Any) -> None:
    """Print `value` as one JSON document on standard output."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


def say(text: str) -> None:
    """Print one line for a person."""
    console.print(text)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)


def reports_errors(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turn a known error into its sentence, its remedy and its exit code; nothing else is swallowed."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        as_json = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except RoutingError as known:
            _report(known, as_json)
            raise typer.Exit(known.exit_code) from known
        except ValidationError as invalid:
            for finding in invalid.errors(include_url=False):
                errors.print(f"[red]error[/]  {'.'.join(map(str, finding['loc']))}: {finding['msg']}")
            raise typer.Exit(2) from invalid
        except KeyboardInterrupt:
            errors.print("Interrupted; nothing half-made is left.")
            raise typer.Exit(INTERRUPTED) from None

    return run


def _report(known: RoutingError, as_json: bool) -> None:
    if as_json:
        emit_json({"code": known.code, "detail": known.detail, "remedy": known.remedy, **known.facts})
    errors.print(f"[red]error[/]  {known.detail}", soft_wrap=True)
    if known.remedy:
        errors.print(f"       {known.remedy}", soft_wrap=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
