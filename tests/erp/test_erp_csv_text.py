"""Large text files are read block by block: the rows are those of the whole, wherever the blocks are cut."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceRules, SourceTable
from shared.erp.sources.csv_files import CsvFile
from shared.erp.sources.csv_text import encoding_of, row_blocks
from shared.erp.sources.folder import Folder

ORIGIN = SourceTable(table=("rows",))
FIELD = st.text(st.sampled_from('ab,"\n가 '), max_size=4)
ROWS = st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=8)


def _read(folder: Path) -> tuple[list[tuple[str | None, ...]], dict[str, dict[str, int]]]:
    issues = IssueLog()
    with Folder(folder, SourceRules(), issues) as source:
        batches = list(source.batches(ORIGIN, source.columns(ORIGIN)))
    return [row for batch in batches for row in batch.rows()], issues.counts


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.erp.sources.csv_files.BLOCK_BYTES", 16)
    monkeypatch.setattr("shared.erp.sources.csv_files._HEADER_BYTES", 8)


@given(rows=ROWS, size=st.integers(1, 20))
def test_blocks_end_where_rows_end_and_lose_nothing(rows: list[tuple[str, ...]], size: int) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    raw = written.getvalue().encode()
    blocks = list(row_blocks(io.BytesIO(raw), size))
    assert b"".join(blocks) == raw
    parsed = [row for block in blocks for row in csv.reader(io.StringIO(block.decode(), newline=""))]
    assert parsed == [list(row) for row in rows]


@settings(max_examples=30, deadline=None)
@given(
    rows=ROWS, size=st.integers(1, 40), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), zipped=st.booleans()
)
def test_rows_are_those_of_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], size: int, encoding: str, zipped: bool
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("x", "y\nz", "w"), *rows])
    raw = written.getvalue().encode(encoding)
    (folder / ("rows.csv.gz" if zipped else "rows.csv")).write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.erp.sources.csv_files.BLOCK_BYTES", size)
        assert _read(folder) == (rows, {})


def _lines(count: int, text: str = "ring") -> bytes:
    return "".join(f"{row},{text}\n" for row in range(count)).encode()


@pytest.mark.parametrize("before", [0, 1, 40])
def test_korean_of_another_encoding_may_begin_in_any_block(tmp_path: Path, before: int) -> None:
    korean = "가,나\n다,라\n".encode("cp949")
    (tmp_path / "rows.csv").write_bytes(b"a,b\n" + _lines(before) + korean + _lines(3))
    rows, issues = _read(tmp_path)
    assert rows[before : before + 2] == [("가", "나"), ("다", "라")]
    assert len(rows) == before + 5
    assert issues == {}


def test_damaged_and_ragged_lines_are_counted_in_whichever_block_they_are(tmp_path: Path) -> None:
    good = _lines(30, "사내")
    raw = b"a,b\n" + good + b"x,\xff\n" + good + b"1,2,3\n" + good + b"1,2,3,4\n"
    (tmp_path / "rows.csv").write_bytes(raw)
    rows, issues = _read(tmp_path)
    assert len(rows) == 91
    assert issues == {"file rows.csv": {"bytes that are not utf-8": 1, "more fields than the header": 2}}


def test_a_quote_within_a_field_does_not_swallow_the_rows_behind_it(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b'a,b\n1,6" pipe\n' + _lines(20) + b'2,3" pipe\n')
    rows, _ = _read(tmp_path)
    assert (rows[0], rows[-1], len(rows)) == (("1", '6" pipe'), ("2", '3" pipe'), 22)


def test_a_header_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    names = [f"column {place}" for place in range(50)]
    (tmp_path / "rows.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    with Folder(tmp_path, SourceRules(), IssueLog()) as source:
        assert source.columns(ORIGIN) == names
        assert source.count(ORIGIN) == 1


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("CODE;NOME\n1;perché no\n2;Türbänder\n", "cp1252"),
        ("코드;이름\n1;절단\n2;연삭\n", "cp949"),
        ("CODE;NOME\n1;Türbänder\n2;절단\n", "utf-8"),
    ],
)
def test_the_encoding_of_a_file_is_found_out(text: str, encoding: str) -> None:
    assert encoding_of(text.encode(encoding)) == (encoding, [])


def test_a_stated_encoding_is_taken_at_its_word(tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    file.write_bytes("CODE,NAZWA\n1,łożysko\n2,wałek\n".encode("cp1250"))
    rules = SourceRules(encoding="windows-1250")
    (frame,) = CsvFile(file, rules=rules, issues=IssueLog()).batches(["CODE", "NAZWA"])
    assert frame["NAZWA"].to_list() == ["łożysko", "wałek"]


def test_an_encoding_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown encoding 'klingon'; such as utf-8"):
        SourceRules(encoding="klingon")
