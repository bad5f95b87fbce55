"""CSV that a spreadsheet program opens as it is meant: UTF-8 with its mark, and no text that is taken for a formula."""

import csv
import io
import re
from collections.abc import Iterable
from typing import IO

from shared.prediction.exports.entries import Entry
from shared.prediction.exports.tables import Cell, Table

# Text that a spreadsheet program would run: it begins with one of these, whatever blanks come before (the wide forms
# are what an East Asian input method writes). Text that looks guarded already is guarded again, so that nothing is lost
# when the guard is taken off.
_RUN = re.compile(r"'*\s*[=+\-@|%\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")
_GUARD = "'"


class CsvWriter:
    """Writes one table."""

    def __init__(self, stream: IO[bytes], table: Table) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="", write_through=False)
        self._rows = csv.writer(self._text)
        self._table = table
        self._rows.writerow(table.columns)

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries' rows."""
        for entry in entries:
            self._rows.writerows([_shown(cell) for cell in row] for row in self._table.rows(entry))

    def finish(self) -> None:
        """Hand everything to the stream, which stays open."""
        self._text.flush()
        self._text.detach()


def _shown(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return guarded(cell)
    return repr(cell)


def guarded(text: str) -> str:
    """Return text with an apostrophe before it where a spreadsheet program would take it for a formula."""
    return _GUARD + text if _RUN.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given."""
    return text[1:] if text.startswith(_GUARD) and guarded(text[1:]) == text else text
