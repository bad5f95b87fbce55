"""The host's page stays true: its settings, modules and tests are those that exist."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "FUNCTIONS_HOST.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.split("## Row by row")[1].splitlines()
    if re.match(r"\| [2-9]\.", line)
]
NOTED = {2: 3, 3: 20, 4: 16, 5: 11, 6: 11, 7: 9, 8: 14, 9: 6}


def test_the_page_has_every_setting_and_no_other() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in (PROJECT / "funchost").glob("*.py"))
    read = set(re.findall(r"\bFUNCHOST_[A-Z_]*[A-Z]\b", source))
    assert set(re.findall(r"^\| `(FUNCHOST_[A-Z_]+)`", PAGE, re.MULTILINE)) == read


def test_every_row_names_modules_and_tests_that_exist() -> None:
    for _, _, modules, tests in ROWS:
        for module in re.findall(r"`([a-z_/]+)`", modules):
            place = PROJECT / module if module.endswith("/") else PROJECT / "funchost" / f"{module}.py"
            assert place.exists(), module
        for test in re.findall(r"`([a-z_/.]+)`", tests):
            name = f"tests/{test}" if "/" in test else f"tests/conformance/test_conformance_{test}.py"
            assert (PROJECT / name).is_file(), name


def test_no_row_is_left_out() -> None:
    found: set[tuple[int, int]] = set()
    for rows, *_ in ROWS:
        for first, last in re.findall("(\\d+\\.\\d+)(?:\N{EN DASH}(\\d+\\.\\d+))?", rows):
            part, low = map(int, first.split("."))
            high = int(last.split(".")[1]) if last else low
            found |= {(part, number) for number in range(low, high + 1)}
    assert found == {(part, number) for part, count in NOTED.items() for number in range(1, count + 1)}
