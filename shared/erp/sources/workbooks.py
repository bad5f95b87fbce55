"""XLSX workbooks: each sheet that is not empty is a table of text, its first filled row the header.

Cells that hold text stay as they are, so that codes keep their leading zeros; whole numbers have no decimal point, days
are ISO days, formulas are their last result. A sheet is read into memory whole: it has at most a million rows.
"""

import html
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import fastexcel
import polars as pl
import structlog

from shared.erp.profiles.model import SourceRules
from shared.erp.sources.files import even_slices, header_names, unreadable
from shared.errors import SourceError

log = structlog.get_logger()

_SHEET = re.compile(r"<(?:\w+:)?sheet\s[^>]*?\bname=\"([^\"]*)\"")
_MIDNIGHT = r"^(\d{4}-\d{2}-\d{2}) 00:00:00$"
_DIRECTORY = "xl/workbook.xml"


class Workbook:
    """One workbook; its sheets' names are read at once, its cells when a sheet is asked for."""

    def __init__(self, path: Path, rules: SourceRules) -> None:
        self.path = path
        self.rules = rules

    @cached_property
    def sheet_names(self) -> tuple[str, ...]:
        """The names of all sheets, also of empty ones; none where the workbook cannot be read."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                directory = archive.read(_DIRECTORY).decode("utf-8")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            log.warning("source.workbook_unreadable", file=self.path.name, error=str(error))
            return ()
        return tuple(html.unescape(name) for name in _SHEET.findall(directory))

    @cached_property
    def sheets(self) -> dict[str, "Sheet"]:
        """The sheets that are not empty, by name; none where the workbook cannot be read."""
        sheets = {name: Sheet(self, name) for name in self.sheet_names if self._is_readable}
        return {name: sheet for name, sheet in sheets.items() if not sheet.is_empty}

    @property
    def only_sheet(self) -> "Sheet | None":
        """The sheet that is also known by the file's name: the only one that is not empty."""
        return next(iter(self.sheets.values())) if len(self.sheets) == 1 else None

    def sheet(self, name: str, *, by_file_name: bool) -> "Sheet | None":
        """Return the filled sheet of a case-folded name, or the only one where the name is the file's.

        In a workbook that cannot be read it is one that cannot be read either, so that it matters if it is asked for.
        """
        named = [known for known in self.sheet_names if known.casefold() == name]
        if not named and not by_file_name:
            return None
        if not self._is_readable:
            return Sheet(self, name)
        found = next((self.sheets[known] for known in named if known in self.sheets), None)
        return found or (self.only_sheet if by_file_name else None)

    @cached_property
    def _is_readable(self) -> bool:
        try:
            return self.reader is not None
        except SourceError:
            return False

    @cached_property
    def reader(self) -> fastexcel.ExcelReader:
        """The workbook opened; SourceError where it cannot be."""
        try:
            return fastexcel.read_excel(self.path)
        except (OSError, fastexcel.FastExcelError) as error:
            raise unreadable(self.path, error) from error


class Sheet:
    """A sheet of a workbook as a table."""

    def __init__(self, workbook: Workbook, name: str) -> None:
        self.path = workbook.path
        self.name = name
        self._skipped = workbook.rules.skipped(name) or workbook.rules.skipped(workbook.path.stem)
        self._workbook = workbook
        self._cells: pl.DataFrame | None = None  # from the first question until the rows have been read

    @property
    def is_empty(self) -> bool:
        """Whether no cell of the sheet is filled."""
        return self._loaded().is_empty()

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns by their trimmed names; SourceError when the workbook cannot be read."""
        return {name: pl.String() for name in self._header() if name}

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:  # noqa: ARG002
        """Yield the rows with the wanted columns in the sheet's order; rows without any cell are no rows."""
        named = dict(zip(self._loaded().columns, self._header(), strict=True))
        chosen = {column: name for column, name in named.items() if name in wanted}
        rows = self._loaded().slice(1).filter(~pl.all_horizontal(pl.all().is_null()))
        self._cells = None
        log.info("source.sheet_read", file=self.path.name, sheet=self.name, rows=rows.height, columns=len(chosen))
        yield from even_slices(rows.select(pl.col(list(chosen)).str.replace(_MIDNIGHT, "$1")).rename(chosen))

    def _header(self) -> list[str]:
        names = self._loaded().row(0) if self._loaded().height else ()
        return header_names([name or "" for name in names])

    def _loaded(self) -> pl.DataFrame:
        if self._cells is None:
            try:
                sheet = self._workbook.reader.load_sheet(self.name, header_row=None, dtypes="string")
                self._cells = _from_first_filled(sheet.to_polars().slice(self._skipped))
            except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
                raise unreadable(self.path, error) from error
        return self._cells


def _from_first_filled(cells: pl.DataFrame) -> pl.DataFrame:
    filled = cells.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    first = filled.arg_max()
    return cells.slice(first) if first is not None and filled.any() else cells.clear()
