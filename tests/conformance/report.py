"""`--scenarios FILE`: writes the scenarios, the tests that show them and how they went to a page.

A run writes the results of its own kind of host and keeps those of the other, which it reads from the page that is
there. It looks at reports only, so it works where several processes run the tests.
"""

import ast
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance.hosts import ASKED_ELSEWHERE
from tests.conformance.scenarios import SCENARIOS

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent.parent / "docs" / "CONFORMANCE.md"
NEVER_RUN = {
    "embedded": "not run",
    "core-tools": "not run: `func` could not be installed where this page was made",
}
NAMES = {"embedded": "embedded host", "core-tools": "Core Tools"}
_ROW = re.compile(r"^\| (?P<number>\d+) \|.*\| (?P<embedded>[^|]*) \| (?P<coretools>[^|]*) \|$")
_MADE = re.compile(r"^- (?P<name>embedded host|Core Tools): (?P<text>.*)$")
HEAD = """# Conformance

What an Azure Functions host promises to an app, as fifty scenarios. This project's embedded host
([FUNCTIONS_HOST](FUNCTIONS_HOST.md)) and Microsoft's, which Core Tools (`func`) runs, are asked the same: each scenario
is tried on a real host process, with apps written for it and a real Azurite. `tests/conformance` holds the tests; this
page is written by

```
pytest tests/conformance --scenarios docs/CONFORMANCE.md                      # the embedded host
pytest tests/conformance --host core-tools --scenarios docs/CONFORMANCE.md    # Microsoft's, where `func` is on PATH
```

Each run writes its own column and keeps the other; a scenario of which only some tests ran keeps what it had.

**What Core Tools is not asked.** A test that carries `@pytest.mark.embedded("why")` asks for what only the embedded
host has: its log (one JSON object a line), the workers in its status, its strict start, and its settings `FUNCHOST_…`.
These shorten the ten minutes for which a received message stays invisible, the ten seconds between two scans for blobs
and the minute until a lost lease is asked for again; Microsoft's host knows no setting for them, so what hangs on them
would take it minutes. Where only such tests show a scenario, its column says so.

"""


@dataclass
class Tally:
    """How the tests of one function went."""

    passed: int = 0
    failed: int = 0
    not_asked: int = 0  # since this kind of host cannot be asked
    skipped: int = 0  # since this machine lacks what it needs


@dataclass
class Page:
    """What a page said: a result for each kind and scenario, and how each kind's was made."""

    results: dict[str, dict[int, str]] = field(default_factory=lambda: {kind: {} for kind in NEVER_RUN})
    made: dict[str, str] = field(default_factory=dict)


class ScenarioReport:
    """A pytest plugin that notes how each test function of the suite went and writes the page at the end."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._tallies: dict[str, Tally] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, test = report.nodeid.partition("::")
        tally = self._tallies.setdefault(f"{Path(file).stem}::{test.partition('[')[0]}", Tally())
        if report.failed:
            tally.failed += 1
        elif report.skipped and ASKED_ELSEWHERE in str(report.longrepr):
            tally.not_asked += 1
        elif report.skipped:
            tally.skipped += 1
        elif report.when == "call":
            tally.passed += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self.write()

    def write(self) -> None:
        """Write the page with this run's results; a scenario of which not all tests ran keeps what it had."""
        page = read_page(self._path)
        for number, tests in shown_by().items():
            ran = [self._tallies[test] for test in tests if test in self._tallies]
            if len(ran) == len(tests) > 0:
                page.results[self._kind][number] = result_of(ran)
        python = f"Python {platform.python_version()}, {platform.system()}"
        page.made[self._kind] = f"{datetime.now(UTC):%Y-%m-%d}, {python}"
        self._path.write_text(page_text(page), encoding="utf-8")


def result_of(tallies: list[Tally]) -> str:
    """Return a scenario's result in words."""
    passed, failed, not_asked, skipped = (
        sum(getattr(tally, name) for tally in tallies) for name in ("passed", "failed", "not_asked", "skipped")
    )
    if failed:
        return f"**failed** ({failed} of {failed + passed})"
    parts = [f"passed ({passed})"] if passed else []
    parts += [f"{not_asked} not asked of it" if passed else "not asked of it"] if not_asked else []
    parts += [f"{skipped} skipped for want of what they need"] if skipped else []
    return ", ".join(parts)


def shown_by() -> dict[int, list[str]]:
    """Return the test functions of each scenario as `file::function`, read from their `@scenario(...)` lines."""
    found: dict[int, list[str]] = {number: [] for number in sorted(SCENARIOS)}
    for file in sorted(FOLDER.glob("test_*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for number in _numbers_of(function):
                    found[number].append(f"{file.stem}::{function.name}")
    return found


def _numbers_of(function: ast.FunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "scenario":
            yield from (int(ast.unparse(argument)) for argument in decorator.args)


def read_page(path: Path) -> Page:
    """Return what a page says; a page that is not there says nothing."""
    page = Page()
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        if (row := _ROW.match(line)) is not None:
            for kind, cell in (("embedded", row["embedded"]), ("core-tools", row["coretools"])):
                if not cell.startswith("not run"):
                    page.results[kind][int(row["number"])] = cell
        elif (made := _MADE.match(line)) is not None and not made["text"].startswith("not run"):
            page.made[next(kind for kind, name in NAMES.items() if name == made["name"])] = made["text"]
    return page


def page_text(page: Page) -> str:
    """Write the page."""
    tests = shown_by()
    parts = [HEAD, *(f"- {name}: {page.made.get(kind, NEVER_RUN[kind])}\n" for kind, name in NAMES.items())]
    area = ""
    for number, scenario in sorted(SCENARIOS.items()):
        if scenario.area != area:
            area = scenario.area
            kinds = " | ".join(_column(page, kind) for kind in NAMES)
            parts.append(f"\n## {area}\n\n| | scenario | what is seen | tests | {kinds} |\n")
            parts.append("|---|---|---|---|---|---|\n")
        cells = [str(number), scenario.title, scenario.seen, _listed(tests[number]), *_results(page, number)]
        parts.append("| " + " | ".join(cells) + " |\n")
    return "".join(parts)


def _listed(tests: list[str]) -> str:
    by_file: dict[str, list[str]] = {}
    for test in tests:
        file, _, name = test.partition("::")
        by_file.setdefault(file, []).append(f"`{name.removeprefix('test_')}`")
    return "; ".join(f"{file.removeprefix('test_conformance_')}: {', '.join(names)}" for file, names in by_file.items())


def _column(page: Page, kind: str) -> str:
    return NAMES[kind] if kind in page.made else f"{NAMES[kind]} ({NEVER_RUN[kind]})"


def _results(page: Page, number: int) -> list[str]:
    return [page.results[kind].get(number, "not run") for kind in NAMES]


def lists_of(text: str) -> Mapping[int, str]:
    """Return each scenario's row of a page without its results."""
    rows = (line for line in text.splitlines() if _ROW.match(line))
    return {int(row.split(" | ")[0].removeprefix("| ")): row.rsplit(" | ", 2)[0] for row in rows}


if __name__ == "__main__":  # the list anew, with the results that the page has
    PAGE.write_text(page_text(read_page(PAGE)), encoding="utf-8")
