"""How commands speak: tables and sentences for people, one JSON document with `--json`; errors with exit codes."""

import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

import orjson
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from cli.recording import acting_on_the_command_line
from shared.database.engine import database_trouble
from shared.errors import InvalidInput, RoutingError, SetupError
from shared.settings import Settings, current_settings

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

_PIPED_WIDTH = 160  # of a table that no terminal shows: wide enough to cut nothing that a script looks for
console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
errors = Console(stderr=True, highlight=False)

INTERRUPTED = 130


def emit_json(value: Any) -> None:
    """Print `value` as one JSON document on standard output."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


def shown(value: Any) -> str:
    """Return a value's text fit for a terminal: nothing in it is taken for markup or for a control sequence.

    Times are those of the machine's own zone; documents (`--json`) have them in UTC.
    """
    if isinstance(value, datetime):
        value = f"{value.astimezone():%Y-%m-%d %H:%M}"
    text = "".join(" " if unicodedata.category(character) == "Cc" else character for character in str(value))
    return escape(text)


def say(text: str) -> None:
    """Print one line for a person; whatever comes from outside has to pass `shown` first."""
    console.print(text)


def remark(text: str) -> None:
    """Print a sentence beside a result, whatever form the result has: on standard error, fit for a terminal."""
    errors.print(f"[yellow]·[/] {shown(text)}", soft_wrap=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table; the first column names the rows and is never cut."""
    table = Table(title=shown(title), title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0)
    for row in rows:
        table.add_row(*("" if cell is None else shown(cell) for cell in row))
    console.print(table)


@contextmanager
def progress_bar(*, total: float, hidden: bool) -> Iterator[Callable[[float, str], None]]:
    """Yield what shows on a terminal how much of `total` is done, and what is being done; elsewhere nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=hidden or not errors.is_terminal) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda done, step: bar.update(task, completed=done, description=escape(step))


def reports_errors(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turn every error into its sentence, its remedy and its exit code.

    A defect says so, with exit code 1; `ROUTING_LOG_LEVEL=DEBUG` shows where it is.
    """

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        as_json = bool(kwargs.get("as_json"))
        try:
            with acting_on_the_command_line():
                return command(*args, **kwargs)
        except KeyboardInterrupt:
            errors.print("Interrupted; nothing half-made is left.")
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):  # the end of a command, and of whoever read its output
            raise
        except Exception as error:
            known = _known(error)
            report(known, as_json=as_json)
            raise typer.Exit(known.exit_code) from error

    return run


def settings_problem(invalid: ValidationError) -> SetupError:
    """Name the settings that break a rule, by the variables that hold them."""
    said = "; ".join(
        (f"ROUTING_{str(finding['loc'][0]).upper()}: " if finding["loc"] else "") + finding["msg"]
        for finding in invalid.errors(include_url=False, include_input=False)
    )
    return SetupError(f"The settings break a rule: {said}.", remedy="Correct or unset the variable.")


def report(known: RoutingError, *, as_json: bool = False) -> None:
    """Print an error and its remedy for a person, and as a document where one was asked for."""
    if as_json:
        emit_json({"code": known.code, "detail": known.detail, "remedy": known.remedy, **known.facts})
    errors.print(f"[red]error[/]  {shown(known.detail)}", soft_wrap=True)
    if known.remedy:
        errors.print(f"       {shown(known.remedy)}", soft_wrap=True)


def _known(error: Exception) -> RoutingError:
    """Return what to report for any error; one that nobody raised on purpose is named as the defect it is."""
    if isinstance(error, RoutingError):
        return error
    if isinstance(error, ValidationError):
        return settings_problem(error) if error.title == Settings.__name__ else _invalid(error)
    unavailable = database_trouble(error) if isinstance(error, SQLAlchemyError) else None
    if unavailable is not None:
        return unavailable
    if isinstance(error, OSError) and error.filename is not None:
        return SetupError(
            f"{error.filename}: {error.strerror}.",
            remedy="Check that the path is right, and that it may be read or written and has room.",
        )
    if current_settings().log_level.upper() == "DEBUG":
        traceback.print_exception(error)
    return RoutingError(
        f"A defect stopped the command: {type(error).__name__}: {str(error)[:300]}",
        remedy="ROUTING_LOG_LEVEL=DEBUG shows where; please report it.",
    )


def _invalid(invalid: ValidationError) -> InvalidInput:
    findings = invalid.errors(include_url=False, include_context=False, include_input=False)[:50]
    fields = [{"field": ".".join(map(str, finding["loc"])), "message": finding["msg"]} for finding in findings]
    said = "; ".join(f"{entry['field'] or 'the document'}: {entry['message']}" for entry in fields[:5])
    return InvalidInput(f"{said}.", errors=fields)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
