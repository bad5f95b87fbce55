"""The items of a batch, from a CSV file, a workbook or a JSON document.

A table has a header: a column of item codes, and where wanted one of quantities, one for each attribute, and one
`<ATTRIBUTE>_UNIT` for a size's unit. A wrong row is kept with its problem; only a file that says nothing is an error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from shared.erp.canonical import Attribute
from shared.erp.issues import IssueLog
from shared.erp.profiles.errors import nearest
from shared.erp.profiles.model import SourceRules
from shared.erp.sources.csv_files import CsvFile
from shared.erp.sources.files import WORKBOOK_ENDINGS, TableFile, table_name
from shared.erp.sources.workbooks import Workbook
from shared.errors import InvalidInput, SourceError
from shared.prediction.batch.cells import Read, read_attribute, read_numbers
from shared.prediction.batch.rows import BatchRow, make_row, refused_row

_CODE_NAMES = ("item_code", "item_cd", "item", "code", "item_no", "part_no", "품번", "품목코드")
_QUANTITY_NAMES = ("quantity", "qty", "order_qty", "수량")
_UNIT = "_UNIT"
_DELIMITERS = (",", ";", "\t")
_MEMBERS = ("item_code", "attributes", "quantity")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The asked items, and what was left out of the file."""

    rows: list[BatchRow]
    remarks: list[str]


def read_batch(path: Path, attributes: Sequence[Attribute], *, quantity: float) -> Batch:
    """Read the items of a file.

    Args:
        path: a .csv (.csv.gz), .xlsx (.xlsm) or .json file.
        attributes: the model's.
        quantity: pieces of an order whose row says nothing of them.

    Raises:
        SourceError: the file cannot be read.
        InvalidInput: it has no column of codes, none of the known attributes, or a column whose name is nearly one.
    """
    if path.suffix.lower() == ".json":
        return Batch(rows=list(_json_rows(path, quantity)), remarks=[])
    if table_name(path) is None or path.suffix.lower() == ".parquet":
        raise InvalidInput(f"{path.name} is no file of items.", remedy="Give a .csv, .csv.gz, .xlsx or .json file.")
    if not path.is_file():
        raise SourceError(f"{path} is not there.", remedy="Check the path.")
    issues = IssueLog()
    table = _table(path, issues)
    columns = _Columns(path.name, list(table.schema), attributes)
    cells = _cells(table, columns.wanted)
    rows = _table_rows(cells, columns, quantity)
    return Batch(rows=rows, remarks=[*columns.remarks, *_left_out(issues)])


def _table(path: Path, issues: IssueLog) -> TableFile:
    if path.suffix.lower() in WORKBOOK_ENDINGS:
        workbook = Workbook(path, SourceRules())
        sheet = workbook.only_sheet
        if sheet is None:
            filled = ", ".join(workbook.sheets) or "none that can be read"
            raise InvalidInput(
                f"{path.name} must have one filled sheet; it has {filled}.", remedy="Keep the items' sheet alone."
            )
        return sheet
    rules = [SourceRules(delimiter=delimiter) for delimiter in _DELIMITERS]
    best = max(rules, key=lambda each: len(CsvFile(path, rules=each, issues=IssueLog()).schema))
    return CsvFile(path, rules=best, issues=issues)


def _cells(table: TableFile, wanted: Sequence[str]) -> pl.DataFrame:
    schema = dict.fromkeys(wanted, pl.String())
    return pl.concat([pl.DataFrame(schema=schema), *(batch.select(wanted) for batch in table.batches(wanted))])


def _left_out(issues: IssueLog) -> list[str]:
    return [
        f"{count} line(s) left out or damaged ({reason}), such as: {issues.samples[table][reason][0]}"
        for table, reasons in issues.counts.items()
        for reason, count in reasons.items()
    ]


class _Columns:
    """Which column of a table means what."""

    def __init__(self, file: str, names: list[str], attributes: Sequence[Attribute]) -> None:
        self._file = file
        self._of = {name.casefold(): name for name in names}
        self.code = self._first(_CODE_NAMES)
        self.quantity = self._first(_QUANTITY_NAMES)
        self.attributes = {
            self._of[each.name.casefold()]: each for each in attributes if each.name.casefold() in self._of
        }
        self.units = {
            name: self._of[(name + _UNIT).casefold()]
            for name in self.attributes
            if (name + _UNIT).casefold() in self._of and self._of[(name + _UNIT).casefold()] not in self.attributes
        }
        known = [*(each.name for each in attributes), _CODE_NAMES[0], _QUANTITY_NAMES[0]]
        self.remarks = self._unused(names, known)
        if self.code is None and not self.attributes:
            raise InvalidInput(
                f"{file} has neither a column item_code nor one of the model's attributes; its columns are "
                f"{', '.join(names)[:500]}.",
                remedy=f"Name a column item_code, or columns as the attributes: {', '.join(known[:-2])[:1000]}.",
            )

    @property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        found = [self.code, self.quantity, *self.attributes, *self.units.values()]
        return list(dict.fromkeys(name for name in found if name is not None))

    def _first(self, names: Sequence[str]) -> str | None:
        return next((self._of[name] for name in names if name in self._of), None)

    def _unused(self, names: Sequence[str], known: Sequence[str]) -> list[str]:
        """Say which columns mean nothing here; one that is nearly an attribute's name is more likely a slip."""
        unused = [name for name in names if name not in self.wanted]
        slips = {name: nearest(name, known) for name in unused}
        missing = [f"{name}{guess}" for name, guess in slips.items() if guess and not self._is_taken(guess)]
        if missing:
            raise InvalidInput(
                f"{self._file} has a column that the model does not know: {', '.join(missing)[:1000]}.",
                remedy="Rename it, or take it out of the file.",
                errors=[{"field": name, "message": f"no such attribute{slips[name]}"} for name in slips if slips[name]],
            )
        return [f"No attribute of the model, so left out: {', '.join(unused)[:1000]}."] if unused else []

    def _is_taken(self, guess: str) -> bool:
        """Tell whether the file has the guessed column anyway, so that this one is another."""
        return any(repr(name) in guess for name in [*self.attributes, self.code, self.quantity] if name is not None)


def _table_rows(cells: pl.DataFrame, columns: _Columns, quantity: float) -> list[BatchRow]:
    read: dict[str, Read] = {}
    for name, attribute in columns.attributes.items():
        units = cells[columns.units[name]] if name in columns.units else None
        read[attribute.name] = read_attribute(attribute, cells[name], units)
    nothing: Read = ([None] * cells.height, {})
    pieces = read_numbers(cells[columns.quantity]) if columns.quantity is not None else nothing
    codes = cells[columns.code].to_list() if columns.code is not None else nothing[0]
    rows = []
    for place, code in enumerate(codes):
        values = {name: found[0][place] for name, found in read.items() if found[0][place] is not None}
        problems = {name: found[1][place] for name, found in read.items() if place in found[1]}
        if place in pieces[1]:
            problems["quantity"] = pieces[1][place]
        asked = quantity if pieces[0][place] is None else pieces[0][place]
        said = str(code or "").strip()
        if said or values or problems or pieces[0][place] is not None:
            rows.append(_row(place + 2, said, values, problems, asked))
    return rows


def _row(number: int, code: str, values: Mapping[str, Any], problems: Mapping[str, str], quantity: Any) -> BatchRow:
    if problems:
        return refused_row(number, code, "; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    if not code and not values:
        return refused_row(number, code, "item_code: neither a code nor any attribute")
    return make_row(number, code or f"(row {number})", dict(values) or None, quantity)


def _json_rows(path: Path, quantity: float) -> Iterator[BatchRow]:
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as unreadable:
        raise SourceError(f"{path} cannot be read: {unreadable.strerror}.") from unreadable
    except orjson.JSONDecodeError as broken:
        raise InvalidInput(f"{path.name} is not JSON: {broken}.", remedy="Give a list of items.") from broken
    items = document.get("items") if isinstance(document, dict) else document
    unknown = sorted(set(document) - {"items"}) if isinstance(document, dict) else []
    if not isinstance(items, list) or unknown:
        what = f"says {', '.join(unknown)[:200]}, which the options say here" if unknown else "is no list of items"
        raise InvalidInput(
            f"{path.name} {what}.", remedy='Write [{"item_code": "A1"}, …]; each may have attributes and a quantity.'
        )
    for place, item in enumerate(items):
        yield _json_row(place + 1, item, quantity)


def _json_row(number: int, item: Any, quantity: float) -> BatchRow:
    if not isinstance(item, dict):
        return refused_row(number, "", "is no object with an item_code")
    code = item.get("item_code", f"(row {number})" if item.get("attributes") else "")
    unknown = sorted(str(name) for name in item if name not in _MEMBERS)
    if unknown:
        return refused_row(number, str(code), f"{', '.join(unknown)[:200]}: no such member")
    asked = item.get("quantity")
    return make_row(number, code, item.get("attributes"), quantity if asked is None else asked)
