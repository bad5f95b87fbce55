"""Files that people send back as grids of text: what a spreadsheet program wrote, however it wrote it, within bounds.

A workbook is taken apart and checked before its cells are read: a small file can unpack to gigabytes, and two cells
far enough apart make a grid that no memory holds.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from shared.errors import InvalidInput
from shared.prediction.exports.csv_text import unguarded

if TYPE_CHECKING:
    import fastexcel

MAX_ROWS = 20_000  # of a table, the header and blank rows too
MAX_COLUMNS = 300
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_MAX_MEMBERS = 500
_MAX_CELL = 32_767  # characters, as many as a spreadsheet's cell holds
_COLUMN_LETTERS = 26
_DELIMITERS = ",;\t"
_ENCODINGS = (("utf-8-sig", b""), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"), ("cp949", b""))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One table: rows of stripped text, "" where a cell is empty."""

    sheet: str | None  # None for a text file
    rows: list[list[str]]
    numbers: list[tuple[float | None, ...]] | None = None  # of a workbook: the cells as numbers, to their last digit
    decimal_comma: bool = False  # numbers may be written so


def csv_grid(content: bytes) -> Grid:
    """Return the table of a CSV file: UTF-8, UTF-16 or Korean Windows text, with commas, semicolons or tabs.

    Raises:
        InvalidInput: it is no such text, or has more than a table may have.
    """
    text = _decoded(content)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(_MAX_CELL)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            _check_size(len(rows) + 1, len(row), "The file")
            rows.append([unguarded(cell).strip() for cell in row])
    except csv.Error as broken:
        raise InvalidInput(
            f"Row {len(rows) + 1} of the file cannot be read: {broken}.",
            remedy="Save the table as CSV or XLSX again.",
            errors=[{"field": f"row {len(rows) + 1}", "message": str(broken)}],
        ) from broken
    return Grid(sheet=None, rows=rows, decimal_comma=delimiter == ";")


def _decoded(content: bytes) -> str:
    for encoding, mark in _ENCODINGS:
        if content.startswith(mark):
            try:
                text = content.decode(encoding)
            except UnicodeDecodeError:
                continue
            if "\x00" not in text:
                return text
    raise InvalidInput(
        "The file is no text in UTF-8, UTF-16 or CP949.",
        remedy="Send an XLSX, CSV or JSON file.",
        errors=[{"field": "body", "message": "neither XLSX, CSV nor JSON"}],
    )


def workbook_grids(content: bytes) -> list[Grid]:
    """Return the tables of an XLSX workbook, one for each sheet that is not empty.

    Raises:
        InvalidInput: it is no workbook, or unpacks to more than is read.
    """
    import fastexcel

    checked = _repacked(content)
    try:
        book = fastexcel.read_excel(checked)
        grids = [_sheet_grid(book, name) for name in book.sheet_names]
    except fastexcel.FastExcelError as broken:
        raise _no_workbook(str(broken)) from broken
    return [grid for grid in grids if any(any(row) for row in grid.rows)]


def _sheet_grid(book: "fastexcel.ExcelReader", name: str) -> Grid:
    """Return a sheet's cells: as text, which keeps leading zeros, and as numbers, since a number's text is rounded."""
    texts, numbers = (
        book.load_sheet(name, header_row=None, skip_rows=0, dtypes=kind).to_polars().rows()
        for kind in ("string", "float")
    )
    return Grid(sheet=name, rows=[[(cell or "").strip() for cell in row] for row in texts], numbers=numbers)


def _repacked(content: bytes) -> bytes:
    """Return a workbook whose members are not compressed, after a look at each: nothing unpacks to more than this."""
    out, left = io.BytesIO(), MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as plain:
            if len(archive.infolist()) > _MAX_MEMBERS:
                raise _no_workbook(f"it has more than {_MAX_MEMBERS} parts")
            for member in archive.infolist():
                with archive.open(member) as stream:
                    unpacked = stream.read(left + 1)
                left -= len(unpacked)
                if left < 0:
                    raise _no_workbook(f"it unpacks to more than {MAX_UNPACKED_BYTES // 1024**2} MiB")
                if member.filename.startswith("xl/worksheets/") and member.filename.endswith(".xml"):
                    _check_cells(member.filename, unpacked)
                plain.writestr(member.filename, unpacked)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as broken:
        raise _no_workbook(str(broken)) from broken
    return out.getvalue()


def _check_cells(name: str, sheet: bytes) -> None:
    """Refuse a sheet with cells further out than a table may reach, or with the error of a formula in one.

    Such an error would be read as an empty cell.
    """
    if b"<!DOCTYPE" in sheet or b"<!ENTITY" in sheet:
        raise _no_workbook("a sheet declares a document type")
    row = column = 0
    try:
        # No document type, so nothing is expanded.
        for event, element in ElementTree.iterparse(io.BytesIO(sheet), events=("start", "end")):  # noqa: S314
            kind = element.tag.rpartition("}")[2]
            if event == "end":
                element.clear()
            elif kind == "row":
                row, column = _row_number(element.get("r"), row + 1), 0
            elif kind == "c":
                place = element.get("r")
                column = column + 1 if place is None else _column_number(place)
                own_row = row if place is None else _row_number(place.lstrip(_LETTERS), row)
                _check_size(max(row, own_row), column, "A sheet")
                if element.get("t") == "e":
                    raise _formula_error(name, place or f"row {row}")
    except ElementTree.ParseError as broken:
        raise _no_workbook(f"a sheet is no XML ({broken})") from broken


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _row_number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else otherwise


def _column_number(place: str) -> int:
    number = 0
    for letter in _leading_letters(place):
        number = number * _COLUMN_LETTERS + ord(letter.upper()) - ord("A") + 1
    return number


def _leading_letters(place: str) -> Iterator[str]:
    for character in place[:8]:
        if character not in _LETTERS:
            return
        yield character


def _check_size(rows: int, columns: int, what: str) -> None:
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise InvalidInput(
            f"{what} reaches to row {rows:,} and column {columns:,}; at most {MAX_ROWS:,} and {MAX_COLUMNS} are read.",
            remedy="Leave only the routings in it.",
            errors=[{"field": "body", "message": "too large a table"}],
        )


def _formula_error(sheet: str, place: str) -> InvalidInput:
    where = f"{sheet.rpartition('/')[2].removesuffix('.xml')}, {place[:20]}"
    return InvalidInput(
        f"A cell holds the error of a formula: {where}.",
        remedy="Mend the formula, or empty the cell.",
        errors=[{"field": where, "message": "holds the error of a formula"}],
    )


def _no_workbook(why: str) -> InvalidInput:
    return InvalidInput(
        f"The file is no workbook that is read here: {why[:300]}.",
        remedy="Save it as XLSX again, or send CSV.",
        errors=[{"field": "body", "message": "no readable workbook"}],
    )
