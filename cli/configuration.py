"""`config`: the live configuration, which is in force at once and keeps every change."""

from typing import Annotated, Any

import typer
import yaml

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table
from cli.recording import changes
from cli.services import current_services
from shared.errors import InvalidInput

app = typer.Typer(help="The live configuration.", no_args_is_help=True)

ACTOR = "command line"


@app.command("show")
@reports_errors
def show(
    section: Annotated[str | None, typer.Argument(help="Only this part, such as alarms or training.mlp.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the configuration in force.

    Example: manage.py config show alarms
    """
    version, configuration = current_services().configuration_store.current()
    document = _part(configuration.model_dump(mode="json"), section)
    if as_json:
        emit_json({"version": version, "configuration": document})
        return
    named = _flat(document) if isinstance(document, dict) else [(section or "", document)]
    show_table(f"Configuration, version {version}", ("field", "value"), named)


@app.command("set")
@reports_errors
@changes("configuration.set")
def set_fields(
    changes: Annotated[list[str], typer.Argument(help="field=value; null removes a key such as a feature's weight.")],
    as_json: JsonFlag = False,
) -> None:
    """Change fields, all together or none; running hosts follow at once. Values are read as YAML.

    Example: manage.py config set alarms.retraining=refit training.cooldown_minutes=120
    """
    document: dict[str, Any] = {}
    for change in changes:
        _put(document, change)
    store = current_services().configuration_store
    before, _ = store.current()
    version, configuration = store.patch(document, ACTOR)
    if as_json:
        emit_json({"version": version, "configuration": configuration.model_dump(mode="json")})
    elif version == before:
        say(f"Nothing is different: version {version} of the configuration stays in force.")
    else:
        say(f"Version {version} of the configuration is in force.")


@app.command("history")
@reports_errors
def history(
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20, as_json: JsonFlag = False
) -> None:
    """List the changes, newest first: who, when, and the values before and after.

    Example: manage.py config history
    """
    rows, total = current_services().configuration_store.history(limit=limit)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    lines = [
        (row.version, row.created_at, row.actor, field, change["before"], change["after"])
        for row in rows
        for field, change in row.changes.items()
    ]
    show_table(f"{total} version(s)", ("version", "at", "by", "field", "before", "after"), lines)


def _put(document: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    names = path.split(".")
    if not equals or not all(names):
        raise InvalidInput(
            f"{change[:100]!r} is no change.", remedy="Write field=value, such as alarms.retraining=refit."
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as unreadable:
        raise InvalidInput(
            f"The value of {path} cannot be read.",
            remedy="Write it as YAML: a number, a word, or a list such as [mlp, stacking].",
            errors=[{"field": path, "message": "no YAML value"}],
        ) from unreadable
    for name in names[:-1]:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidInput(
                f"{path} lies below a field that is given a value of its own.", remedy="Give one of the two."
            )
        document = inner
    document[names[-1]] = value


def _part(document: Any, section: str | None) -> Any:
    for name in section.split(".") if section else ():
        if not isinstance(document, dict) or name not in document:
            raise InvalidInput(
                f"The configuration has no {section}.",
                remedy="`manage.py config show` lists every field.",
                errors=[{"field": str(section), "message": "unknown field"}],
            )
        document = document[name]
    return document


def _flat(document: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in document.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", str(value)))
    return found
