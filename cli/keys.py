"""`keys`: the administrator key and the keys that sign model packages."""

from dataclasses import asdict

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table
from shared.bootstrap import current_services
from shared.errors import SetupError

app = typer.Typer(help="Keys of this installation.", no_args_is_help=True)

KEY_FILE = "administrator.key"


@app.command("show")
@reports_errors
def show(as_json: JsonFlag = False) -> None:
    """Print the administrator key that changes over HTTP need.

    Example: curl -H "x-api-key: $(python3 manage.py keys show)" -X POST http://127.0.0.1:7071/api/quality/cycles
    """
    file = current_services().settings.keys / KEY_FILE
    try:
        key = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SetupError(
            "This installation has no administrator key yet.", remedy="`manage.py up` makes one at its first start."
        ) from None
    except PermissionError:
        raise SetupError(f"{file} belongs to another user.", remedy="Run this as the user who ran `up`.") from None
    if as_json:
        emit_json({"administrator_key": key, "file": str(file)})
    else:
        typer.echo(key)


@app.command("list")
@reports_errors
def list_keys(as_json: JsonFlag = False) -> None:
    """List the keys whose signatures are trusted.

    Example: manage.py keys list
    """
    keys = current_services().keys
    signing = keys.signing_key()
    signing_id = signing.key_id if signing else None
    trusted = keys.list()
    if as_json:
        emit_json({"signs_here": signing_id, "trusted": [asdict(key) for key in trusted]})
        return
    show_table(
        "Trusted signing keys",
        ("key id", "label", "made", "signs here"),
        [(key.key_id, key.label, key.created_at, "yes" if key.key_id == signing_id else "") for key in trusted],
    )
    if any(key.development for key in trusted):
        say("A development key was made by this machine itself; it proves that a package was made here, no more.")
