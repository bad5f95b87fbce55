"""`keys`: the administrator key and the keys that sign model packages."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import JsonFlag, emit_json, remark, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.errors import SetupError
from shared.registry.signing import TrustedKey

app = typer.Typer(help="Keys of this installation.", no_args_is_help=True)

Label = Annotated[str, typer.Option(help="Whose key it is, for whoever reads the list.")]


@app.command("show")
@reports_errors
def show(as_json: JsonFlag = False) -> None:
    """Print the administrator key that changes over HTTP need.

    Example: curl -H "x-api-key: $(python3 manage.py keys show)" -X POST http://127.0.0.1:7071/api/quality/cycles
    """
    services = current_services()
    file = services.settings.administrator_key
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
    if services.api_keys.holder_of(key) is None:
        remark("This key counts no more, or not before the next `up`; `manage.py access keys new` makes another.")


@app.command("list")
@reports_errors
def list_keys(as_json: JsonFlag = False) -> None:
    """List the keys whose signatures are trusted, with the public half that another machine needs to trust them.

    Example: manage.py keys list
    """
    services = current_services()
    signing = services.keys.signing_key()
    signing_id = signing.key_id if signing else None
    trusted = services.keys.list()
    signed = {key.key_id: services.key_changes.signed_by(key.key_id) for key in trusted}
    if as_json:
        listed = [{**asdict(key), "versions": signed[key.key_id]} for key in trusted]
        emit_json({"signs_here": signing_id, "trusted": listed})
        return
    show_table(
        "Trusted signing keys",
        ("key id", "label", "made", "signs here", "signed", "public key"),
        [
            (
                key.key_id, key.label, key.created_at[:10], "yes" if key.key_id == signing_id else "",
                f"{len(signed[key.key_id])} version(s)", key.public,
            )
            for key in trusted
        ],
    )  # fmt: skip
    if any(key.development for key in trusted):
        say("A development key was made by this machine itself; it proves that a package was made here, no more.")


@app.command("new")
@reports_errors
@changes("signing-key.new")
def new(label: Label, as_json: JsonFlag = False) -> None:
    """Make a signing key of this machine, in place of the development key; older keys stay trusted.

    Example: manage.py keys new --label "factory server, 2026"
    """
    services = current_services()
    _tell(services.keys.new_key(label=label), "signs here from now on", as_json)


@app.command("trust")
@reports_errors
@changes("signing-key.trust")
def trust(
    public: Annotated[str, typer.Argument(help="The other machine's public key: 64 digits of its `keys list`.")],
    label: Label,
    as_json: JsonFlag = False,
) -> None:
    """Trust packages that another machine signs. Compare the digits by another way than they came.

    Example: manage.py keys trust 3b6a27bc…e29 --label "laboratory"
    """
    _tell(current_services().keys.trust(public, label=label), "is trusted from now on", as_json)


@app.command("rotate")
@reports_errors
@changes("signing-key.rotate")
def rotate(label: Label, as_json: JsonFlag = False) -> None:
    """Sign with a new key from now on, and say which installed versions still need an older one.

    Example: manage.py keys rotate --label "factory server, 2027"
    """
    rotation = current_services().key_changes.rotate(label)
    if as_json:
        emit_json({"key": asdict(rotation.key), "still_needed": rotation.still_needed})
        return
    _tell(rotation.key, "signs here from now on", as_json=False)
    for key_id, versions in rotation.still_needed.items():
        say(f"{shown(key_id)} is still needed by {len(versions)} version(s), among them {shown(versions[-1])}.")
    say("Once no version needs an older key: manage.py keys distrust KEY_ID")


@app.command("distrust")
@reports_errors
@changes("signing-key.distrust")
def distrust(
    key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.")],
    even_if_used: Annotated[bool, typer.Option("--even-if-used", help="Also where versions need it to serve.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trust a key no more; what it signed is refused from then on. Its private half, if it is here, is removed.

    Example: manage.py keys distrust 0f1e2d3c4b5a69788796a5b4c3d2e1f0
    """
    used = current_services().key_changes.distrust(key_id, even_if_used=even_if_used)
    if as_json:
        emit_json({"distrusted": key_id, "versions": used})
        return
    say(f"{shown(key_id)} is not trusted any more.")
    if used:
        say(f"These versions cannot be loaded again: {shown(', '.join(used))}.")


def _tell(key: TrustedKey, what: str, as_json: bool) -> None:
    if as_json:
        emit_json(asdict(key))
        return
    say(f"[bold]{key.key_id}[/] ({shown(key.label)}) {what}.")
    say(f"Its public key, for machines that are to trust it: {key.public}")
