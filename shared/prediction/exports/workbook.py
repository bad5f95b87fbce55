"""XLSX workbooks: text stays text, numbers are numbers, headers stay in sight and columns are wide enough to read."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import IO, Any

from shared.errors import InvalidInput
from shared.prediction.exports.entries import Entry
from shared.prediction.exports.tables import Cell, Row, Table
from shared.prediction.exports.text import lawful

_MOST_ROWS = 1_048_576  # of a sheet
_MOST_CHARACTERS = 32_767  # of a cell
_WIDTHS = {"message": 40, "evidence": 40, "because": 60, "routing_signature": 40, "ROUTING_SIGNATURE": 40}
_NARROWEST, _WIDEST = 8, 24  # characters, of a column that is named nowhere above
_OPTIONS = {
    "constant_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}
_NO_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)  # of making, where the same predictions must give the same bytes


class WorkbookWriter:
    """Writes one sheet a table."""

    def __init__(self, stream: IO[bytes], tables: Iterable[Table], *, made_at: datetime | None = None) -> None:
        """Begin a workbook; `made_at` is the moment that its properties show."""
        import xlsxwriter

        self._book = xlsxwriter.Workbook(stream, _OPTIONS)
        self._book.worksheet_class = _exact_sheets()
        self._book.set_properties({"created": (made_at or _NO_MOMENT).astimezone(UTC).replace(tzinfo=None)})
        bold = self._book.add_format({"bold": True})
        self._sheets = [_Sheet(self._book.add_worksheet(table.name), table, bold) for table in tables]

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries' rows, each into its sheet.

        Raises:
            InvalidInput: a sheet has no room for more rows.
        """
        for entry in entries:
            for sheet in self._sheets:
                sheet.add(entry)

    def finish(self) -> None:
        """Put the workbook together."""
        for sheet in self._sheets:
            sheet.finish()
        self._book.close()


@cache
def _exact_sheets() -> type:
    """Return a worksheet that writes numbers to their last digit; the library's own stops after sixteen."""
    from xlsxwriter.worksheet import Worksheet

    class Exact(Worksheet):  # type: ignore[misc]  # the library has no types
        def _xml_number_element(self, number: float, attributes: Iterable[tuple[str, Any]] = ()) -> None:
            shown = "".join(f' {name}="{value}"' for name, value in attributes)  # places and numbers of formats only
            self.fh.write(f"<c{shown}><v>{number!r}</v></c>")

    return Exact


class _Sheet:
    def __init__(self, sheet: Any, table: Table, bold: Any) -> None:
        self._sheet = sheet
        self._table = table
        self._rows = 1
        sheet.freeze_panes(1, 1)
        for place, column in enumerate(table.columns):
            width = _WIDTHS.get(column) or min(max(len(column) + 2, _NARROWEST), _WIDEST)
            sheet.set_column(place, place, width)
        for place, column in enumerate(table.columns):
            sheet.write_string(0, place, column, bold)

    def add(self, entry: Entry) -> None:
        for row in self._table.rows(entry):
            if self._rows >= _MOST_ROWS:
                raise InvalidInput(
                    f"A sheet holds {_MOST_ROWS:,} rows, and these predictions have more.",
                    remedy="Export as CSV, or ask for fewer items at a time.",
                )
            self._write(row)
            self._rows += 1

    def finish(self) -> None:
        self._sheet.autofilter(0, 0, self._rows - 1, len(self._table.columns) - 1)

    def _write(self, row: Row) -> None:
        for place, cell in enumerate(row):
            self._write_cell(place, cell)

    def _write_cell(self, place: int, cell: Cell) -> None:
        match cell:
            case None:
                return
            case bool():
                self._sheet.write_boolean(self._rows, place, cell)
            case str():
                self._sheet.write_string(self._rows, place, lawful(cell)[:_MOST_CHARACTERS])
            case _ if math.isfinite(cell):
                self._sheet.write_number(self._rows, place, cell)
