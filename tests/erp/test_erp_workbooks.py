from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceRules, SourceTable
from shared.erp.sources.files import table_name
from shared.erp.sources.folder import Folder
from shared.erp.sources.source import Condition
from shared.errors import SourceError
from tests.erp.erp_support import FILES, TinyFactory

Fill = Callable[[Worksheet], None]


def write_workbook(path: Path, **sheets: Fill | None) -> None:
    """Write a workbook with the given sheets; None leaves a sheet empty."""
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        for name, fill in sheets.items():
            sheet = book.add_worksheet(name)
            if fill is not None:
                fill(sheet)


def rows_of(*rows: tuple[object, ...]) -> Fill:
    """Return what fills a sheet with rows: texts stay texts, numbers numbers."""

    def fill(sheet: Worksheet) -> None:
        for at, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write_string(at, place, value) if isinstance(value, str) else sheet.write(at, place, value)

    return fill


def sheet_of(csv: str) -> Fill:
    return rows_of(*(tuple(line.split(",")) for line in csv.splitlines()))


def read(folder: Path, table: str) -> list[dict[str, str | None]]:
    origin = SourceTable(table=(table,))
    with Folder(folder, SourceRules(), IssueLog()) as source:
        return [row for batch in source.batches(origin, source.columns(origin)) for row in batch.to_dicts()]


def tables(folder: Path) -> tuple[str, ...]:
    with Folder(folder, SourceRules(), IssueLog()) as source:
        return source.tables


def test_sheets_of_a_workbook_give_the_same_snapshot_as_text_files(factory: TinyFactory) -> None:
    plain = factory.extract()
    names = ("parts", "steps", "reports")
    for name in names:
        (factory.source / f"{name}.csv").unlink()
    write_workbook(factory.source / "factory.xlsx", **{name: sheet_of(FILES[f"{name}.csv"]) for name in names})
    assert factory.extract().fingerprint == plain.fingerprint


def test_codes_numbers_days_and_formulas_are_read_as_a_person_sees_them(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        rows_of(("품번", "as number", "size", "day", "moment", "flag", "sum"), ("007", 7, 1.5))(sheet)
        sheet.write_datetime(1, 3, date(2025, 5, 1))
        sheet.write_datetime(1, 4, datetime.fromisoformat("2025-05-01T13:45:00"))
        sheet.write_boolean(1, 5, True)
        sheet.write_formula(1, 6, "=B2+1", None, 8)

    write_workbook(tmp_path / "book.xlsx", only=fill)
    assert read(tmp_path, "book") == [
        {
            "품번": "007",
            "as number": "7",
            "size": "1.5",
            "day": "2025-05-01",
            "moment": "2025-05-01 13:45:00",
            "flag": "true",
            "sum": "8",
        }
    ]


def test_header_and_rows_may_begin_anywhere_and_blank_rows_are_no_rows(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        for at, row in {3: (" code ", "", "kind"), 4: ("1", "x", "ring"), 7: ("2", "", "seal")}.items():
            for place, value in enumerate(row):
                sheet.write_string(at, 1 + place, value)

    write_workbook(tmp_path / "book.xlsx", only=fill)
    assert read(tmp_path, "book") == [{"code": "1", "kind": "ring"}, {"code": "2", "kind": "seal"}]


def test_an_empty_sheet_is_no_table_and_the_only_filled_one_has_the_files_name_too(tmp_path: Path) -> None:
    write_workbook(tmp_path / "one.xlsx", Sheet1=rows_of(("a",), ("1",)), leer=None)
    write_workbook(tmp_path / "two.xlsx", first=rows_of(("a",), ("2",)), second=rows_of(("a",), ("3",)))
    assert tables(tmp_path) == ("one", "first", "second")
    assert read(tmp_path, "ONE") == read(tmp_path, "sheet1") == [{"a": "1"}]
    assert read(tmp_path, "second") == [{"a": "3"}]
    for missing in ("leer", "two"):
        with pytest.raises(SourceError, match=f"no sheet {missing}"):
            read(tmp_path, missing)


def test_a_sheet_with_nothing_but_a_header_is_a_table_without_rows(tmp_path: Path) -> None:
    write_workbook(tmp_path / "book.xlsx", only=rows_of(("code", "kind")))
    assert read(tmp_path, "book") == []


def test_a_sheet_and_a_file_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    write_workbook(tmp_path / "book.xlsx", parts=rows_of(("a",), ("1",)), steps=rows_of(("a",), ("1",)))
    (tmp_path / "parts.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match=r"The table parts is ambiguous: parts\.csv, book\.xlsx"):
        read(tmp_path, "parts")
    assert read(tmp_path, "steps") == [{"a": "1"}]


def test_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    write_workbook(tmp_path / "book.xlsx", only=rows_of(("code", "kind", "kind "), ("1", "a", "b")))
    assert read(tmp_path, "book") == [{"code": "1", "kind_1": "a", "kind_2": "b"}]


def test_titles_above_a_header_are_skipped(tmp_path: Path) -> None:
    titled = rows_of(("Work centres",), ("of 2025",), (), ("code", "kind"), ("1", "a"))
    write_workbook(tmp_path / "book.xlsx", centres=titled, plain=rows_of(("b",), ("2",)))
    for skipped in (2, 3):
        with Folder(tmp_path, SourceRules(skip_rows={"CENTRES": skipped}), IssueLog()) as source:
            (rows,) = source.batches(SourceTable(table=("centres",)), ["code", "kind"])
            (others,) = source.batches(SourceTable(table=("plain",)), ["b"])
        assert (rows.rows(), others.rows()) == ([("1", "a")], [("2",)])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no workbook", b"code\n1\n"])
def test_a_broken_workbook_matters_only_to_who_asks_for_it(factory: TinyFactory, content: bytes) -> None:
    factory.write("broken.xlsx", content)
    factory.write("~$parts.xlsx", content)  # lies there while somebody has parts.xlsx open
    assert factory.extract().issues == {}
    assert tables(factory.source) == ("parts", "reports", "steps", "broken")
    with pytest.raises(SourceError, match=r"broken\.xlsx cannot be read"):
        read(factory.source, "broken")


def test_a_torn_workbook_whose_sheets_are_still_listed_is_named_when_one_is_asked_for(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "torn.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", '<workbook><sheets><sheet name="R&amp;D" sheetId="1"/></sheets></workbook>')
    with pytest.raises(SourceError, match=r"torn\.xlsx cannot be read"):
        read(tmp_path, "R&D")


def test_one_row_of_a_sheet_is_found_by_its_key(tmp_path: Path) -> None:
    write_workbook(tmp_path / "book.xlsx", only=rows_of(("code", "kind"), ("007", "ring"), (8, "seal")))
    origin = SourceTable(table=("book",))
    with Folder(tmp_path, SourceRules(), IssueLog()) as source:
        found = list(source.batches(origin, ["kind"], where=Condition("code", "in", ("8", "9"))))
    assert [frame.to_dicts() for frame in found] == [[{"kind": "seal"}]]


def test_only_files_that_can_be_read_are_tables() -> None:
    names = {name: table_name(Path(name)) for name in ("a.XLSX", "a.b.csv", "a.csv.gz", "a.txt", "~$a.xlsx", "a.xlsm")}
    assert names == {"a.XLSX": "a", "a.b.csv": "a.b", "a.csv.gz": "a", "a.txt": None, "~$a.xlsx": None, "a.xlsm": "a"}
