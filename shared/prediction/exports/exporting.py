"""An export of predictions in any of its forms: a pure function of the answers, and the writers behind it."""

import io
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import IO

from shared.prediction.exports.carried import Carried
from shared.prediction.exports.csv_text import CsvWriter
from shared.prediction.exports.entries import Entry, Head
from shared.prediction.exports.erp_layout import carrying_item, erp_table
from shared.prediction.exports.json_text import JsonWriter
from shared.prediction.exports.tables import CANDIDATES, FLAT, OPERATIONS
from shared.prediction.exports.workbook import WorkbookWriter
from shared.prediction.exports.writers import Writer
from shared.prediction.exports.xml_text import XmlWriter


class Form(StrEnum):
    """The form of an export, which is also how its file's name ends."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"
    XML = "xml"
    ERP_CSV = "erp.csv"
    ERP_XLSX = "erp.xlsx"

    @property
    def is_erp_layout(self) -> bool:
        """Whether it has the 52 columns of the ERP."""
        return self in (Form.ERP_CSV, Form.ERP_XLSX)

    @property
    def media_type(self) -> str:
        """The form's media type."""
        return _MEDIA_TYPES[self.rpartition(".")[2]]


_MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "xml": "application/xml",
}


def export(entries: Sequence[Entry], form: Form, head: Head, *, carried: Carried | None = None) -> bytes:
    """Return predictions in a form; the same predictions give the same bytes.

    Args:
        entries: one for each asked item. Those without a routing are rows of their own with status and message; only
            the ERP's layout, which has no place for them, leaves them out.
        form: the form.
        head: where the predictions come from.
        carried: the reference items' own steps, which the ERP's layout takes columns from.
    """
    stream = io.BytesIO()
    writer = open_writer(stream, form, head, carried=carried)
    writer.add(entries)
    writer.finish()
    return stream.getvalue()


def open_writer(stream: IO[bytes], form: Form, head: Head, *, carried: Carried | None = None) -> Writer:
    """Return what writes an export into a stream, entry by entry; the caller finishes it and closes the stream."""
    match form:
        case Form.CSV:
            return CsvWriter(stream, FLAT)
        case Form.XLSX:
            return WorkbookWriter(stream, (OPERATIONS, CANDIDATES), made_at=head.data_as_of)
        case Form.JSON:
            return JsonWriter(stream, head)
        case Form.XML:
            return XmlWriter(stream, head)
        case Form.ERP_CSV:
            return CsvWriter(stream, erp_table(carried or Carried()))
    return WorkbookWriter(stream, (erp_table(carried or Carried()),), made_at=head.data_as_of)


def reference_items(entries: Iterable[Entry]) -> set[str]:
    """Return the items whose own steps the ERP's layout takes columns from."""
    found = {carrying_item(entry.item_code, candidate) for entry in entries for candidate in entry.candidates}
    return {code for code in found if code is not None}
