"""`storage`: where this installation's blobs and queues are, who may use them, and signatures for uploads."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.output import JsonFlag, emit_json, remark, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services
from shared.azurite.account import StorageAccount
from shared.bootstrap import Services
from shared.errors import InvalidInput, RoutingError

app = typer.Typer(help="Blob and queue storage.", no_args_is_help=True)
signatures = typer.Typer(invoke_without_command=True)
app.add_typer(signatures, name="sas")

DEFAULT_HOURS = 24.0


@app.command("connection-string")
@reports_errors
def connection_string(as_json: JsonFlag = False) -> None:
    """Print the connection string; it holds this installation's storage key.

    Example: AZURE_STORAGE_CONNECTION_STRING="$(python3 manage.py storage connection-string)" python3 drop.py
    """
    value = current_services().settings.storage_connection.get_secret_value()
    if as_json:
        emit_json({"connection_string": value, "container": "model-drop"})
    else:
        typer.echo(value)


@app.command("status")
@reports_errors
def status(as_json: JsonFlag = False) -> None:
    """Say which account is used, whether it answers, how old its keys are, and which signatures are in force.

    Example: manage.py storage status
    """
    from shared.storage.own_account import own_account

    services = current_services()
    document = _condition(services, own_account(services.settings))
    if as_json:
        emit_json(document)
        return
    answer = "answers" if document["answers"] else f"does not answer: {document['problem']}"
    whose = "made for this installation" if document["own"] else "set from elsewhere"
    say(f"Account [bold]{shown(document['account'] or 'none')}[/], {whose}, at {shown(document['blob_endpoint'])}.")
    say(f"It {shown(answer)}.")
    if document["known_to_everybody"]:
        remark("This is the emulator's own account: whoever reaches its port may read and change everything.")
    if document["public_access"]:
        remark(f"Anybody may read {document['public_access']} data of model-drop without a key.")
    if document["own"]:
        rows = [(key["fingerprint"], key["made_at"] or "by an older release", key["use"]) for key in document["keys"]]
        show_table("Keys", ("key", "made at", "use"), rows)
    columns = ("id", "expires_at", "version", "expired")
    listed = [[one[name] for name in columns] for one in document["signatures"]]
    show_table("Upload signatures", ("id", "valid until", "only for", "expired"), listed)


@app.command("rotate")
@reports_errors
@changes("storage-key.rotate")
def rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Refuse the present key from now on; the host is started again.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a new key for this installation's storage; the key before it stays valid until the next rotation.

    Example: manage.py storage rotate
    """
    from shared.storage.own_account import rotate_keys

    services = current_services()
    with services.audit.changing("storage-key.rotated", "storage", after={"at_once": at_once}) as after:
        rotation = rotate_keys(services.settings, services.storage, at_once=at_once, clock=services.clock)
        after |= {"account": rotation.account.name, "fingerprint": rotation.account.keys[0].fingerprint}
    if as_json:
        emit_json({"account": rotation.account.name, "keys": _keys(rotation.account), "taken": rotation.taken})
        return
    say(f"{rotation.account.name} has a new key, {rotation.account.keys[0].fingerprint}.")
    if rotation.taken is None:
        say("Storage does not run now; `manage.py up` takes the new key at its next start.")
    elif not rotation.taken:
        remark("The running storage has not taken it within a minute: end `manage.py up` and start it again.")
    if at_once:
        say("Every other key is refused, and every signature made with one: make new ones.")
    else:
        say("The key before it, and what was signed with it, is refused after the next rotation, or with --at-once.")


@signatures.callback()
@reports_errors
@changes("upload-signature.make")
def make_signature(
    context: typer.Context,
    hours: Annotated[float, typer.Option(help="How long it is valid, at most 168.")] = DEFAULT_HOURS,
    version: Annotated[str | None, typer.Option(help="Only for this version, which travels as one archive.")] = None,
    ip: Annotated[
        str | None, typer.Option(help="Only from this IPv4 address or range (a-b); Azurite does not look at it.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="host[:port] by which the training machine reaches this storage.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a signature to upload into model-drop: no reading, listing or deleting. Its URL is shown once.

    Example: manage.py storage sas --hours 8 --version version_20261121_020000
    """
    if context.invoked_subcommand is not None:
        return
    from shared.registry.versions import check_version_name

    services, only = current_services(), check_version_name(version) if version else None
    asked = {"hours": hours, "version": only, "ip": ip}
    with services.audit.changing("upload-signature.made", "model-drop", after=asked) as after:
        made = services.upload_signatures.make(hours=hours, version=only, ip=ip, address=address)
        facts = made.signature
        after |= {"id": facts.id, "expires_at": facts.expires_at}
    if made.clocks_differ:
        remark(
            f"This machine's clock is {made.clock_difference.total_seconds():+.0f} s off storage's. "
            "The signature ends by storage's."
        )
    if as_json:
        emit_json(asdict(facts) | {"url": made.url})
        return
    typer.echo(made.url)
    remark(f"Signature {facts.id}, valid until {facts.expires_at} by storage's clock. It is a secret, shown only now.")
    remark("On the training machine: ROUTING_UPLOAD_URL='…' python3 manage.py models push FOLDER")
    remark(f"To end it before its time: manage.py storage sas revoke {facts.id}")
    if address is None and "//127.0.0.1:" in made.url:
        port = made.url.split(":")[2].split("/")[0]
        remark(f"It leads to this machine's loopback; from elsewhere: ssh -L {port}:127.0.0.1:{port} THIS_MACHINE")


@signatures.command("revoke")
@reports_errors
@changes("upload-signature.revoke")
def revoke_signature(
    id: Annotated[str | None, typer.Argument(help="As `storage status` shows it.")] = None,  # noqa: A002
    every: Annotated[bool, typer.Option("--all", help="Every signature.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a signature worthless before its time.

    Example: manage.py storage sas revoke upload-1f2e3d4c
    """
    if (id is None) is not every:
        raise InvalidInput("Name one signature, or give --all.", remedy="`manage.py storage status` lists them.")
    services = current_services()
    with services.audit.changing("upload-signature.revoked", id or "every one") as after:
        if id is None:
            revoked = services.upload_signatures.revoke_all()
        else:
            services.upload_signatures.revoke(id)
            revoked = [id]
        after["revoked"] = revoked
    if as_json:
        emit_json({"revoked": revoked})
    else:
        say(f"{len(revoked)} signature(s) revoked: {shown(', '.join(revoked) or 'there was none')}.")


def _condition(services: Services, account: StorageAccount | None) -> dict[str, Any]:
    """Return what is known of storage; nothing in it is secret."""
    storage, found = services.storage, services.upload_signatures
    document: dict[str, Any] = {
        "account": None, "own": False, "blob_endpoint": None, "known_to_everybody": storage.is_known_to_everybody,
        "answers": False, "problem": None, "keys": [], "public_access": None, "signatures": [],
    }  # fmt: skip
    try:
        document["blob_endpoint"] = str(storage.blobs.url).partition("?")[0].rstrip("/")
        document["account"] = storage.account_name
        storage.ping()
        document |= {"answers": True, "public_access": found.public_access}
        document["signatures"] = [asdict(one) for one in found.known()]
    except RoutingError as error:
        document["problem"] = str(error)
    if account is not None and document["account"] in (account.name, None):
        document |= {"account": account.name, "own": True, "keys": _keys(account)}
    return document


def _keys(account: StorageAccount) -> list[dict[str, Any]]:
    uses = ("in use", "accepted until the next rotation")
    return [
        {"fingerprint": key.fingerprint, "made_at": key.made_at, "use": use}
        for key, use in zip(account.keys, uses, strict=False)
    ]
