"""The front end's own checks and tests, and that it knows the API as it is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FRONTEND = PROJECT / "frontend"
WRITE_OPENAPI = """
import json, sys
import function_app
from functions.openapi import openapi_document
json.dump(openapi_document(), sys.stdout)
"""


def _npm(*words: str, cwd: Path = FRONTEND) -> "subprocess.CompletedProcess[str]":
    npm = shutil.which("npm")
    assert npm is not None, "npm comes with Node.js, which Azurite needs, too"
    return subprocess.run([npm, "--silent", *words], cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_front_end_passes_its_own(script: str) -> None:
    done = _npm("run", script)
    assert done.returncode == 0, done.stdout + done.stderr


def _selectors(stylesheet: Path) -> set[str]:
    """Return what its rules are for; those within `@media` too."""
    rules = re.sub(r"/\*.*?\*/", "", stylesheet.read_text("utf-8"), flags=re.DOTALL)
    heads = re.findall(r"([^{};]+)\{", rules)
    return {each.strip() for head in heads if "@" not in head for each in head.split(",")}


def test_no_two_stylesheets_have_rules_for_the_same() -> None:
    """They end in one file: a page's own rule for what another page has too would change that one."""
    where: dict[str, list[str]] = {}
    for stylesheet in sorted((FRONTEND / "src").rglob("*.css")):
        for selector in _selectors(stylesheet):
            where.setdefault(selector, []).append(stylesheet.name)
    assert len(where) > 100
    assert {selector: names for selector, names in where.items() if len(names) > 1} == {}


def test_the_front_end_knows_the_api_as_it_is(tmp_path: Path) -> None:
    """`npm run types` writes the same declarations again."""
    told = subprocess.run(
        [sys.executable, "-c", WRITE_OPENAPI], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    document, written = tmp_path / "openapi.json", tmp_path / "schema.d.ts"
    document.write_text(json.dumps(json.loads(told.stdout.splitlines()[-1])), "utf-8")
    script = json.loads((FRONTEND / "package.json").read_bytes())["scripts"]["types"]
    options = [word for word in script.split() if word.startswith("--")]
    done = _npm("exec", "--", "openapi-typescript", str(document), "-o", str(written), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert written.read_text("utf-8") == (FRONTEND / "src" / "api" / "schema.d.ts").read_text("utf-8")
