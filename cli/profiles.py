"""`profiles`: the mapping from a factory's tables to the product's, looked at, checked and proposed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonFlag, emit_json, reports_errors, say, show_table, shown
from shared.errors import InvalidInput, ProfileError
from shared.settings import current_settings

if TYPE_CHECKING:
    from shared.erp.findings import CheckReport
    from shared.erp.sources.location import Location

app = typer.Typer(help="Mapping profiles: how a factory's tables are read.", no_args_is_help=True)
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="A folder, or an ODBC connection string; this instance's own when left out."),
]
_COLUMNS_SHOWN = 40


@app.command("list")
@reports_errors
def list_profiles(as_json: JsonFlag = False) -> None:
    """List the shipped profiles.

    Example: manage.py profiles list
    """
    from shared.erp.profiles.model import known_profiles, load_profile

    rows = [(name, load_profile(name).description) for name in known_profiles()]
    if as_json:
        emit_json({"items": [{"name": name, "description": said} for name, said in rows], "total": len(rows)})
        return
    show_table(f"{len(rows)} profile(s)", ("profile", "what it reads"), rows)


@app.command("show")
@reports_errors
def show(
    name: Annotated[str, typer.Argument(help="A shipped profile's name, or the path of a YAML file.")],
    as_json: JsonFlag = False,
) -> None:
    """Show a profile as it is written, once it is known to be valid.

    Example: manage.py profiles show demo
    """
    from shared.erp.profiles.model import load_profile, profile_path

    profile = load_profile(name)
    if as_json:
        emit_json(profile.model_dump(mode="json", exclude_defaults=True))
        return
    typer.echo(profile_path(name).read_text(encoding="utf-8-sig"), nl=False)


@app.command("check")
@reports_errors
def check(
    name: Annotated[str, typer.Argument(help="A shipped profile's name, or the path of a YAML file.")],
    source: SourceOption = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Read at most so many routing steps and work results.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a profile against its source, and say what is probably mapped wrongly; nothing is stored.

    Ends with exit code 8 where a finding is an error, else with 0.

    Example: manage.py profiles check demo --source /tmp/factory
    """
    from shared.erp.check.checking import check_profile
    from shared.erp.profiles.model import load_profile

    report = check_profile(load_profile(name), _location(source), now=datetime.now(UTC), rows=rows)
    if as_json:
        from dataclasses import asdict

        emit_json({**asdict(report), "has_errors": report.has_errors})
    else:
        _show_report(report)
    if report.has_errors:
        raise typer.Exit(ProfileError.exit_code)


@app.command("infer")
@reports_errors
def infer(
    source: SourceOption = None,
    name: Annotated[str, typer.Option(help="The new profile's name.")] = "my-factory",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; printed when left out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose a first profile for an unknown source: what each guess rests on stands beside it.

    Example: manage.py profiles infer --source /factory/export --name pumps --output pumps.yaml
    """
    from shared.erp.infer.inferring import propose_profile

    if output is not None and output.exists():
        raise InvalidInput(f"{output} exists already.", remedy="Give another name, or move the file away.")
    proposal = propose_profile(_location(source), name=name)
    if output is not None:
        output.write_text(proposal.text, encoding="utf-8")
    if as_json:
        emit_json({"name": name, "output": output, "notes": proposal.notes, "profile": proposal.text})
        return
    if output is None:
        typer.echo(proposal.text, nl=False)
        return
    for note in proposal.notes:
        say(f"- {shown(note)}")
    say(f"Wrote {shown(output)}. Read it, then: manage.py profiles check {shown(output)}")


def _location(source: str | None) -> "Location":
    from shared.erp.sources.location import location_of, own_location

    return own_location(current_settings()) if source is None else location_of(source)


def _show_report(report: "CheckReport") -> None:
    limit = "" if report.rows_limit is None else f", at most {report.rows_limit:,} steps and results"
    say(f"[bold]{shown(report.profile)}[/] on {shown(report.source)}{limit}")
    tables = report.tables.items()
    show_table(
        "rows",
        ("table", "from", "read", "kept", "left out"),
        [
            (name, t.origin, f"{t.rows_read:,}", f"{t.rows_kept:,}", f"{t.rows_read - t.rows_kept:,}")
            for name, t in tables
        ],
    )
    reasons = [(name, reason, f"{count:,}") for name, t in tables for reason, count in t.reasons.items()]
    if reasons:
        show_table("rows left out or merged, and values not used, by reason", ("table", "reason", "rows"), reasons)
    for title, section in (("joins", report.joins), ("coverage of actuals", report.coverage), ("times", report.times)):
        if section:
            show_table(title, ("what", "figure"), section.items())
    unused = [(name, c["column"], f"{c['filled']:.0%}", c["distinct"]) for name, t in tables for c in t.unused]
    telling = [row for row in unused if row[3] > 0][:_COLUMNS_SHOWN]
    if telling:
        said = f"columns not used: {len(unused)}; {len(telling)} of those that hold something"
        show_table(said, ("table", "column", "filled", "distinct"), telling)
    for finding in report.findings:
        say(f"[bold]{finding.severity.value}[/]  {shown(finding.field)}: {shown(finding.message)}")
        say(f"       {shown(finding.remedy)}")
    if not report.findings:
        say("Nothing looks wrong.")
