"""Tables in several files, and the rows that a condition asks for."""

import gzip
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceRules, SourceTable, parse_profile
from shared.erp.sources.folder import Folder
from shared.erp.sources.source import Condition, Value
from shared.errors import SourceError
from tests.erp.erp_support import FILES, NOW, TinyFactory

HEADER, *LINES = FILES["reports.csv"].splitlines()


def _in_parts(factory: TinyFactory) -> None:
    (factory.source / "reports.csv").unlink()
    factory.document["work_results"]["table"] = "reports_*"
    for year, line in enumerate(LINES, start=2024):
        factory.write(f"Reports_{year}.csv", f"{HEADER}\n{line}\n")


def test_files_of_one_pattern_are_one_table(factory: TinyFactory) -> None:
    plain = factory.extract()
    _in_parts(factory)
    assert factory.extract().fingerprint == plain.fingerprint


def test_parts_may_have_other_columns_orders_types_and_names_that_the_profile_knows(factory: TinyFactory) -> None:
    _in_parts(factory)
    factory.document["work_results"]["columns"]["operation_code"] = ["job", "operation"]
    pl.DataFrame(
        {
            "DAY": [date(2025, 5, 3)],
            "operation": ["SAW"],
            "code": [8],
            "pieces": [2],
            "run_hours": [1.5],
            "extra": ["x"],
        }
    ).write_parquet(factory.source / "reports_2026.parquet")
    snapshot = factory.extract()
    assert snapshot.issues == {}
    rows = snapshot.work_results().select("item_code", "sequence", "operation_code", "setup_minutes", "run_minutes")
    assert rows.rows() == [
        ("007", 10, "TURN", 6.0, 12.0), ("8", 10, "TURN", 30.0, 60.0), ("8", None, "SAW", None, 90.0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reports_2020.csv", b""),
        ("reports_2020.csv", b"code,job,day,pieces\n8,A,2025-05-01,1\n"),
        ("reports_2020.parquet", b"no parquet"),
        ("reports_2020.xlsx", b"no workbook"),
        (
            "reports_2020.csv.gz",
            gzip.compress("\n".join([HEADER, *(f"8,10,A,2025-05-01,{row},0,1" for row in range(9000))]).encode())[:-99],
        ),
    ],
)
def test_a_part_that_cannot_be_read_or_lacks_a_key_column_is_left_out_whole_and_counted(
    factory: TinyFactory, name: str, content: bytes
) -> None:
    plain = factory.extract()
    _in_parts(factory)
    factory.write(name, content)
    snapshot = factory.extract(now=NOW + timedelta(days=1))
    assert snapshot.issues == {f"file {name}": {"cannot be read, left out": 1}}
    assert snapshot.fingerprint == plain.fingerprint


def test_a_pattern_none_of_whose_parts_can_be_read_is_an_error(factory: TinyFactory) -> None:
    _in_parts(factory)
    for path in factory.source.glob("Reports_*"):
        path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"Reports_202\d\.csv is empty"):
        factory.extract()


def test_a_pattern_that_nothing_matches_is_named(factory: TinyFactory) -> None:
    factory.document["work_results"]["table"] = "report_of_*"
    with pytest.raises(SourceError, match=r"no file report_of_\*\.csv"):
        factory.extract()


def test_one_part_in_two_files_is_ambiguous(factory: TinyFactory) -> None:
    _in_parts(factory)
    factory.write("reports_2024.csv.gz", gzip.compress(FILES["reports.csv"].encode()))
    with pytest.raises(SourceError, match="ambiguous"):
        factory.extract()


def _listed(factory: TinyFactory) -> None:
    """Put the second report into a file whose name and columns are others."""
    (factory.source / "reports.csv").unlink()
    factory.write("reports 2024.csv", f"{HEADER}\n{LINES[0]}\n")
    factory.write("reports_2025-26.csv", f"{HEADER.replace('job', 'task').replace('code', 'PART')}\n{LINES[1]}\n")
    factory.document["work_results"] |= {"table": None, "tables": ["reports 2024", "Reports_2025-26"]}
    factory.document["work_results"]["columns"] |= {"operation_code": ["job", "task"], "item_code": ["code", "part"]}


def test_listed_files_are_one_table_whatever_their_columns_are_called(factory: TinyFactory) -> None:
    plain = factory.extract()
    _listed(factory)
    assert factory.extract().fingerprint == plain.fingerprint
    origin = parse_profile(factory.document, source="tiny.yaml").work_results
    with Folder(factory.source, SourceRules(), IssueLog()) as source:
        assert source.count(origin) == 2
        where = Condition("code", "=", ("8",))
        assert [frame.rows() for frame in source.batches(origin, ["pieces"], where=where)] == [[("2",)]]


def test_a_listed_file_that_is_not_there_is_an_error(factory: TinyFactory) -> None:
    _listed(factory)
    factory.document["work_results"]["tables"].append("reports_2027")
    with pytest.raises(SourceError, match=r"no file reports_2027\.csv"):
        factory.extract()


def test_numbers_of_a_typed_part_keep_their_value_beside_text_with_a_decimal_comma(factory: TinyFactory) -> None:
    factory.document["source"] = {"decimal_comma": True}
    factory.document["work_results"] |= {"table": None, "tables": ["reports", "typed"]}
    rows = pl.DataFrame({"code": ["8"], "seq": [10], "job": ["T"], "day": ["2025-05-01"], "pieces": [1]})
    rows.with_columns(run_hours=pl.lit(1.125)).write_parquet(factory.source / "typed.parquet")
    factory.write("reports.csv", f'{HEADER}\n8,10,T,2025-05-01,1,0,"1,25"\n')
    assert factory.extract().work_results()["run_minutes"].sort().to_list() == [67.5, 75.0]


TYPED = pl.DataFrame(
    {
        "code": [7, 8, None],
        "price": [Decimal("1.50"), Decimal("20.00"), None],
        "day": [date(2025, 5, 1), date(2025, 6, 1), None],
        "at": [datetime.fromisoformat("2025-05-01T08:30:00"), datetime.fromisoformat("2025-05-01T09:00:00"), None],
    }
)
TEXT = "code,price,day,at\n 7 ,1.50,2025-05-01,2025-05-01 08:30:00\n8,20,20250601,2025-05-01T09:00\n,,,\n"


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(
    ("condition", "codes"),
    [
        (Condition("code", "=", ("7",)), ["7"]),
        (Condition("code", "=", (" 8 ",)), ["8"]),
        (Condition("code", "=", (8,)), ["8"]),
        (Condition("code", "in", ("8", "7", "nobody")), ["7", "8"]),
        (Condition("code", "=", ("nobody",)), []),
        (Condition("price", ">=", (9,)), ["8"]),
        (Condition("day", ">=", (date(2025, 5, 2),)), ["8"]),
        (Condition("day", ">=", (date(2025, 5, 1),)), ["7", "8"]),
        (Condition("at", ">=", (datetime.fromisoformat("2025-05-01T08:31:00"),)), ["8"]),
        (Condition("at", ">=", ("2025-05-01",)), ["7", "8"]),
    ],
)
def test_a_condition_finds_the_same_rows_in_text_and_in_typed_columns(
    factory: TinyFactory, typed: bool, condition: Condition, codes: list[str]
) -> None:
    if typed:
        TYPED.write_parquet(factory.source / "rows.parquet")
    else:
        factory.write("rows.csv", TEXT)
    with Folder(factory.source, SourceRules(), IssueLog()) as source:
        found = list(source.batches(SourceTable(table=("rows",)), ["code"], where=condition))
    assert [str(code).strip() for frame in found for code in frame["code"]] == codes


def test_a_key_is_found_in_any_block_of_a_large_file(factory: TinyFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.erp.sources.csv_files._SEARCHED_BYTES", 100)
    lines = [f"{row:05},ring,{row},mm" for row in range(500)]
    factory.write("parts.csv", "code,kind,diameter,diameter_unit\n" + "\n".join(lines) + "\n")
    origin = parse_profile(factory.document, source="tiny.yaml").items
    with Folder(factory.source, SourceRules(), IssueLog()) as source:
        for code in ("00000", "00123", "00499"):
            where = Condition("code", "=", (code,))
            assert [frame.rows() for frame in source.batches(origin, ["diameter"], where=where)] == [
                [(str(int(code)),)]
            ]


@pytest.mark.parametrize("value", ["사내", '6" ring'])
def test_a_key_that_a_file_may_write_in_another_way_is_found_too(factory: TinyFactory, value: Value) -> None:
    raw = 'code,note\n1,사내\n2,"6"" ring"\n'
    factory.write("notes.csv", raw.encode("cp949"))
    with Folder(factory.source, SourceRules(), IssueLog()) as source:
        found = list(source.batches(SourceTable(table=("notes",)), ["note"], where=Condition("note", "=", (value,))))
    assert [frame.rows() for frame in found] == [[(value,)]]
