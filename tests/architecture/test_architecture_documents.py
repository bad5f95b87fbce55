"""The documents stay true: what they list is compared with the code, and what they link to is there."""

import re
from pathlib import Path

import functions.access
import functions.pages  # declares an error of its own
import shared.training.jobs  # noqa: F401 - declares an error of its own
from shared.errors import RoutingError

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("funchost/*.md")])


def _every_error() -> set[type[RoutingError]]:
    found, waiting = set(), [RoutingError]
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting += [kind for kind in error.__subclasses__() if not kind.__module__.startswith(("tests", "test_"))]
    return found


def test_the_table_of_errors_is_the_error_tree() -> None:
    text = (PROJECT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| (\d+) \|", text, re.MULTILINE)
    assert {functions.access.WrongHost, functions.pages.PagesNotBuilt} <= _every_error()
    assert {(code, int(status), int(exit_code)) for code, status, exit_code in rows} == {
        (error.code, error.status, error.exit_code) for error in _every_error()
    }


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if not (document.parent / target).exists():
                broken.append(f"{document.name} -> {target}")
    assert not broken


def test_every_command_that_the_documents_name_exists() -> None:
    from typer.main import get_command

    from cli.__main__ import app

    root = get_command(app)
    own = {"up", "test", "doctor"}
    unknown = []
    for document in DOCUMENTS:
        for words in re.findall(
            r"manage\.py ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", document.read_text(encoding="utf-8")
        ):
            first, _, second = words.partition(" ")
            command = getattr(root, "commands", {}).get(first)
            subcommands = getattr(command, "commands", None)
            known = first in own or (command is not None and (not second or not subcommands or second in subcommands))
            if not known:
                unknown.append(f"{document.name}: {words}")
    assert not unknown
