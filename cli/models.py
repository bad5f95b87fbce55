"""`models`: installed versions and which of them serves."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cli import lineage
from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from cli.recording import changes
from cli.services import current_services, model_of
from shared.database.tables import ModelVersion
from shared.errors import InvalidInput, NotFound
from shared.platform import write_atomically
from shared.registry.lineage import event_facts

_SHOWN_LATER = "`manage.py models list` shows it once it is verified."

app = typer.Typer(help="Model versions.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="The version's name, as `models list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the event.")]
ACTOR = "command line"
UNSAID = "no reason given on the command line"
_OUTCOMES = {True: "ok", False: "FAILED", None: "not reached"}


@app.command("list")
@reports_errors
def list_versions(as_json: JsonFlag = False) -> None:
    """List installed versions, newest first.

    Example: manage.py models list
    """
    rows, total = current_services().model_versions.list(limit=500, offset=0)
    if as_json:
        emit_json({"items": [row.model_dump(mode="json") for row in rows], "total": total})
        return
    show_table(
        f"{total} model version(s)",
        ("version", "state", "pinned", "profile", "data as of", "kind", "parent"),
        [
            (
                row.version,
                row.state,
                "yes" if row.pinned else "",
                row.profile,
                row.data_as_of,
                row.model_kind,
                row.parent,
            )
            for row in rows
        ],
    )


@app.command("active")
@reports_errors
def show_active(
    at: Annotated[str | None, typer.Option(help="A time such as 2026-01-31T08:15:00+01:00; now unless given.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which version is active, or was at a time, since when, by whom and why.

    Example: manage.py models active --at 2026-01-31T08:15:00+01:00
    """
    versions = current_services().model_versions
    event = versions.activation_in_force() if at is None else versions.active_at(_moment(at))
    if event is None:
        raise NotFound(
            "No model is active." if at is None else f"No model was active at {at[:60]}.",
            remedy="`manage.py models list` shows all there are.",
        )
    if as_json:
        emit_json(event.model_dump(mode="json", exclude={"id"}))
    else:
        say(f"[bold]{shown(event.version)}[/], since {shown(event.at)}, by {shown(event.actor)}: {shown(event.reason)}")


def _moment(text: str) -> datetime:
    """Read a time; one without a zone is this machine's own."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise InvalidInput(
            f"{text[:60]!r} is not a time.",
            remedy="Write it as 2026-01-31T08:15:00+01:00; without a zone it is this machine's time.",
            errors=[{"field": "at", "message": "must be a time of ISO 8601"}],
        ) from wrong


@app.command("show")
@reports_errors
def show(version: Version, as_json: JsonFlag = False) -> None:
    """Show one version with its figures and what happened to it.

    Example: manage.py models show version_20261121_020000
    """
    versions = current_services().model_versions
    row, events = versions.get(version), versions.events(version)
    if as_json:
        emit_json(row.model_dump(mode="json") | {"events": [event_facts(event) for event in events]})
        return
    for name, value in row.model_dump(mode="json").items():
        say(f"[bold]{name}[/]: {shown(value)}")
    columns = ("at", "actor", "from_state", "to_state", "reason")
    show_table("What happened to it", columns, [[getattr(event, name) for name in columns] for event in events])


@app.command("lineage")
@reports_errors
def show_line(version: Version, as_json: JsonFlag = False) -> None:
    """Show where a version comes from: data, job, alarm and cycle, comparison, package, approver, and what followed.

    Example: manage.py models lineage version_20261121_020000
    """
    line = current_services().lineage.of(version)
    if as_json:
        emit_json(line)
        return
    lineage.show_lineage(line)


@app.command("activate")
@reports_errors
@changes("model.activate")
def activate(
    version: Version,
    reason: Reason = UNSAID,
    expected_active: Annotated[str | None, typer.Option(help="Refuse unless this version is active now.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify a version once more and let it serve; running hosts follow within seconds.

    Example: manage.py models activate version_20261121_020000 --reason "better on valves"
    """
    row = current_services().lifecycle.activate(version, actor=ACTOR, reason=reason, expected_active=expected_active)
    _report(row, as_json)


@app.command("rollback")
@reports_errors
@changes("model.rollback")
def rollback(reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Go back to the version that served before.

    Example: manage.py models rollback --reason "times off on sleeves"
    """
    _report(current_services().lifecycle.rollback(actor=ACTOR, reason=reason), as_json)


@app.command("reject")
@reports_errors
@changes("model.reject")
def reject(version: Version, reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Refuse a pending version.

    Example: manage.py models reject version_20261121_020000 --reason "trained on a test snapshot"
    """
    _report(current_services().lifecycle.reject(version, actor=ACTOR, reason=reason), as_json)


@app.command("sign")
@reports_errors
@changes("model.sign")
def sign(version: Version, reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Check the files of a version without a manifest, and vouch for them with this machine's key.

    Example: manage.py models sign version_20260131_081500 --reason "copied from the old server"
    """
    _report(current_services().legacy_packages.sign(version, actor=ACTOR, reason=reason), as_json)


@app.command("remove")
@reports_errors
@changes("model.remove")
def remove(version: Version, reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Remove a version's files; its row and history stay. Never the active, the previous or a pinned one.

    Example: manage.py models remove version_20261121_020000 --reason "superseded"
    """
    _report(current_services().retention.remove(version, actor=ACTOR, reason=reason), as_json)


@app.command("pin")
@reports_errors
@changes("model.pin")
def pin(version: Version, reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Keep a version whatever its age.

    Example: manage.py models pin version_20261121_020000 --reason "the one of the audit"
    """
    _report(current_services().model_versions.pin(version, pinned=True, actor=ACTOR, reason=reason), as_json)


@app.command("unpin")
@reports_errors
@changes("model.unpin")
def unpin(version: Version, reason: Reason = UNSAID, as_json: JsonFlag = False) -> None:
    """Let a version go when its time has come.

    Example: manage.py models unpin version_20261121_020000 --reason "audit over"
    """
    _report(current_services().model_versions.pin(version, pinned=False, actor=ACTOR, reason=reason), as_json)


@app.command("verify")
@reports_errors
def verify(version: Version, as_json: JsonFlag = False) -> None:
    """Run every check that activation would run and change nothing; exit code 10 where one fails.

    Example: manage.py models verify version_20261121_020000
    """
    report = current_services().lifecycle.verify(version)
    if as_json:
        emit_json(report)
    else:
        checks = [(check["check"], _OUTCOMES[check["ok"]], check.get("detail")) for check in report["checks"]]
        show_table(f"Checks of {version}", ("check", "outcome", "detail"), checks)
        _tell_difference(report.get("difference"))
    if not report["ok"]:
        raise typer.Exit(10)


@app.command("bom")
@reports_errors
def bom(
    version: Version,
    output: Annotated[Path | None, typer.Option(help="Write it to this file instead.")] = None,
    as_json: JsonFlag = False,  # noqa: ARG001 - a bill of materials is JSON
) -> None:
    """Print an installed version's bill of materials (CycloneDX 1.6, JSON), made from its manifest.

    Example: manage.py models bom version_20261121_020000 --output model.cdx.json
    """
    document = current_services().lifecycle.bill_of_materials(version)
    if output is None:
        emit_json(document)
    else:
        write_atomically(output, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        say(f"Wrote {shown(output)}.")


@app.command("push")
@reports_errors
@changes("model.push", unless="sas_url")
def push(
    folder: Annotated[Path, typer.Argument(help="A package, as `train --output` writes it.", exists=True)],
    sas_url: Annotated[
        str | None,
        typer.Option(
            envvar="ROUTING_UPLOAD_URL",
            show_envvar=True,
            help="What `storage sas` printed on the factory's machine; - reads it from standard input.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Upload a package to the `model-drop` container, its manifest last: here, or with a signature elsewhere.

    After an interruption only what is missing is sent.

    Example: manage.py train --output /tmp/package && manage.py models push /tmp/package
    """
    from shared.registry.manifest import parse_manifest, read_manifest_file, sha256_hex
    from shared.registry.verify import check_files

    data = read_manifest_file(folder)
    manifest = parse_manifest(data)
    check_files(folder, manifest)  # better found out here than after the upload
    if sas_url is None:
        sent, told = _push_here(folder, manifest.version, sha256_hex(data))
    else:
        sent, told = _push_signed(folder, manifest.version, sys.stdin.readline() if sas_url == "-" else sas_url)
    if as_json:
        emit_json({"version": manifest.version, "container": "model-drop", "files_sent": sent})
    else:
        say(told)


def _push_here(folder: Path, version: str, manifest_sha256: str) -> tuple[int, str]:
    services = current_services()
    if services.registrations.is_installed(version, manifest_sha256):
        return 0, f"{version} is installed already; nothing was uploaded."
    with services.audit.changing("package.uploaded", version):
        sent = services.packages.upload_package(folder, version)
    return sent, f"Uploaded {version} ({sent} files); {_SHOWN_LATER}"


def _push_signed(folder: Path, version: str, url: str) -> tuple[int, str]:
    from shared.storage.uploads import SignedUpload

    done = SignedUpload(url).push(folder, version)
    kept = f" {done.kept} were there already, of an earlier attempt, and are as they were." if done.kept else ""
    return done.written, f"Uploaded {version} ({done.written} files).{kept} On the factory's machine, {_SHOWN_LATER}"


@app.command("misses")
@reports_errors
def list_misses(
    version: Annotated[str | None, typer.Option(help="An installed version; the active one if left out.")] = None,
    items: Annotated[int, typer.Option(min=1, max=100_000, help="Items to search for, drawn by the seed.")] = 1_000,
    count: Annotated[int, typer.Option(min=1, max=500, help="Near items wanted for each.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Draws the items.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Search for near items as predictions do and exactly, and list what the first way missed.

    Example: manage.py models misses --items 5000
    """
    from shared.similarity.misses import misses_of_sample

    name, model = model_of(current_services(), version)
    sample, missed = misses_of_sample(model.index, items, count, seed)
    codes = model.index.item_codes
    asked = [codes[place] for place in sample[missed.asked].tolist()]
    found = [codes[place] for place in missed.places.tolist()]
    rows = list(zip(asked, found, missed.similarities.tolist(), strict=True))
    if as_json:
        listed = [{"item_code": one, "missed": other, "similarity": near} for one, other, near in rows]
        emit_json({"model_version": name, "backend": model.backend, "searched": len(sample), "misses": listed})
        return
    show_table(f"Near items that {name} ({model.backend}) misses", ("item", "missed", "similarity"), rows)
    say(f"{len(rows)} missed of {count} near items each of {len(sample)} items.")


def _tell_difference(found: dict[str, Any] | None) -> None:
    if found is None:
        return
    pairs = [(name, *pair) for name, pair in found.items() if isinstance(pair, list)]
    for part in ("rows", "metrics", "runtime"):
        pairs += [(f"{part}: {name}", *pair) for name, pair in found[part].items()]
    files = found["files"]
    if not pairs and not any(files.values()):
        say("Nothing would be other than with the active version.")
        return
    show_table(f"Other than with the active {found['active']}", ("what", "now", "then"), pairs)
    say(f"Files: {len(files['changed'])} changed, {len(files['added'])} added, {len(files['removed'])} removed.")


def _report(row: ModelVersion, as_json: bool) -> None:
    if as_json:
        emit_json(row.model_dump(mode="json"))
    else:
        say(f"[bold]{row.version}[/] is now {row.state}{' and pinned' if row.pinned else ''}.")
