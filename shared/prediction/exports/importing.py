"""Files read back as planners' working copies: XLSX, CSV and JSON as exports write them, and the ERP's 52 columns.

What an export wrote comes back to the last digit, also where a spreadsheet program saved it again: columns may stand in
any order and others between them, rows may be blank, numbers may be text.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, Field, ValidationError

from shared.errors import InvalidInput, TooLarge
from shared.prediction.exports import erp_layout
from shared.prediction.exports.grids import Grid, csv_grid, workbook_grids
from shared.prediction.exports.working import MAX_COPY_OPERATIONS, CopyOperation, WorkingCopy

MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_FAULTS = 50
_MINUTES = ("setup_minutes", "run_minutes_per_unit", "wait_minutes", "move_minutes", "queue_minutes")
_NEEDED = ("item_code", "sequence", "operation_code")
_TEXTS = ("operation_code", "operation_name", "resource_code")
# The members of a copy by the ERP's columns; the layout has no place for a quantity.
_ERP_COLUMNS = {
    "ITEM_CD": "item_code", "CANDIDATE_ID": "candidate", "PROC_SEQ": "sequence",
    "dbo_BI_ROUTING_VIEW_JOB_CD": "operation_code", "JOB_NM": "operation_name", "RES_CD": "resource_code",
    "INSIDE_FLAG": "inside", "SETUP_TIME": "setup_minutes", "MACH_WORKED_HOURS": "run_minutes_per_unit",
    "WAIT_TIME": "wait_minutes", "MOVE_TIME": "move_minutes", "QUEUE_TIME": "queue_minutes",
    "TIME_UNIT": "time_unit", "RUN_TIME_QTY": "run_pieces",
}  # fmt: skip
_OWN_COLUMNS = (*_NEEDED, "quantity", "candidate", "operation_name", "resource_code", "inside", *_MINUTES)
_COLUMNS = {name.casefold(): member for name, member in _ERP_COLUMNS.items()} | {name: name for name in _OWN_COLUMNS}
_INSIDE = {"true": True, "false": False, "1": True, "0": False, "사내": True, "외주": False, "": None}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class ImportedCopy(BaseModel):
    """One item's routing as the file holds it."""

    item_code: str
    quantity: float | None = Field(description="null where the file says none, as the ERP's layout does")
    candidate: int | None = Field(description="which of the item's candidates, where the file holds several")
    operations: list[CopyOperation]


class ImportedCopies(BaseModel):
    """The answer of `POST /api/routings/imports`."""

    items: list[ImportedCopy]
    model_version: str | None = Field(None, description="that the file names; only JSON does")


@dataclass(frozen=True, kw_only=True)
class _Fault:
    sheet: str | None
    row: int | None  # as a spreadsheet program counts them
    column: str
    message: str

    def as_error(self) -> dict[str, Any]:
        where = [self.sheet, f"row {self.row}" if self.row else None, self.column]
        field = ", ".join(part for part in where if part)
        return {"field": field, "message": self.message, "sheet": self.sheet, "row": self.row, "column": self.column}


def read_copies(content: bytes) -> ImportedCopies:
    """Return the routings of a file, in its order.

    Raises:
        TooLarge: it has more than 5 MiB.
        InvalidInput: it is no file of routings; `errors` name sheet, row and column of each fault.
    """
    if len(content) > MAX_FILE_BYTES:
        raise TooLarge(f"The file has {len(content):,} bytes; the limit is {MAX_FILE_BYTES:,}.", remedy="Send less.")
    if not content.strip():
        raise InvalidInput(
            "The file is empty.", remedy="Send the bytes of a file.", errors=[{"field": "body", "message": "empty"}]
        )
    if content.startswith(b"PK"):
        return ImportedCopies(items=_copies_of(_routing_grid(workbook_grids(content))))
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"{", b"["):
        return _json_copies(content.removeprefix(b"\xef\xbb\xbf"))
    if start == b"<":
        raise InvalidInput(
            "XML is not read back.",
            remedy="Send the XLSX, CSV or JSON form.",
            errors=[{"field": "body", "message": "neither XLSX, CSV nor JSON"}],
        )
    return ImportedCopies(items=_copies_of(_routing_grid([csv_grid(content)])))


# -- tables


@dataclass(frozen=True, kw_only=True)
class _Row:
    place: int  # as a spreadsheet program counts rows
    cells: Mapping[str, str]  # by member
    numbers: Mapping[str, float | None]  # the same where the file knows numbers
    decimal_comma: bool

    def number(self, member: str) -> tuple[float | None, str | None]:
        """Return a cell's number, None for an empty one; or what is wrong with it."""
        known = self.numbers.get(member)
        return (known, None) if known is not None else _number(self.cells.get(member, ""), self.decimal_comma)


@dataclass(frozen=True, kw_only=True)
class _Routings:
    grid: Grid
    header_row: int
    place_of: Mapping[str, int]  # member -> column
    title_of: Mapping[str, str]  # member -> what the file calls it

    def rows(self) -> Iterator[_Row]:
        """Yield the rows that are not blank."""
        for number, row in enumerate(self.grid.rows[self.header_row :], self.header_row + 1):
            if any(row):
                known = self.grid.numbers[number - 1] if self.grid.numbers else ()
                yield _Row(
                    place=number, decimal_comma=self.grid.decimal_comma,
                    cells={name: row[place] if place < len(row) else "" for name, place in self.place_of.items()},
                    numbers={name: known[place] for name, place in self.place_of.items() if place < len(known)},
                )  # fmt: skip

    def fault(self, number: int | None, member: str, message: str) -> _Fault:
        title = self.title_of.get(member, member)
        return _Fault(sheet=self.grid.sheet, row=number, column=title, message=message)


def _routing_grid(grids: Sequence[Grid]) -> _Routings:
    """Return the first table that has the columns of routings."""
    for grid in grids:
        header_row = next((number for number, row in enumerate(grid.rows, 1) if any(row)), 0)
        titles = grid.rows[header_row - 1] if header_row else []
        known = [
            (_COLUMNS[title.casefold()], place) for place, title in enumerate(titles) if title.casefold() in _COLUMNS
        ]
        found = _Routings(
            grid=grid, header_row=header_row, place_of=dict(known),
            title_of={member: titles[place] for member, place in known},
        )  # fmt: skip
        if all(name in found.place_of for name in _NEEDED):
            twice = sorted({member for member, _ in known if [name for name, _ in known].count(member) > 1})
            if twice:
                raise _refused([found.fault(header_row, member, "stands in two columns") for member in twice])
            return found
    sheets = ", ".join(repr(grid.sheet) for grid in grids if grid.sheet) or "the file"
    needed = ", ".join(_NEEDED)
    raise InvalidInput(
        f"No table of routings is in {sheets}: one has the columns {needed}, or ITEM_CD, PROC_SEQ and "
        f"{erp_layout.COLUMNS[7]}.",
        remedy="Send a file as an export writes it; its columns may be in any order.",
        errors=[{"field": "header", "message": f"must have {needed}"}],
    )


@dataclass
class _Copy:
    item_code: str
    candidate: int | None
    quantity: float | None
    operations: list[CopyOperation]


def _copies_of(table: _Routings) -> list[ImportedCopy]:
    copies: dict[tuple[str, str], _Copy] = {}
    faults: list[_Fault] = []
    for row in table.rows():
        faults += _take(row, table, copies)
        if len(faults) >= MAX_FAULTS:
            break
    if not copies and not faults:
        faults.append(table.fault(None, "item_code", "there is no row below the header"))
    if faults:
        raise _refused(faults)
    return [
        ImportedCopy(
            item_code=copy.item_code, candidate=copy.candidate, quantity=copy.quantity, operations=copy.operations
        )
        for copy in copies.values()
    ]


def _take(row: _Row, table: _Routings, copies: dict[tuple[str, str], _Copy]) -> list[_Fault]:
    """Add a row's operation to its copy; return what is wrong with it."""
    cells = row.cells
    quantity, wrong = row.number("quantity")
    faults = [table.fault(row.place, "quantity", wrong)] if wrong else []
    if not wrong and quantity is not None and not 0 < quantity <= 1e9:
        faults.append(table.fault(row.place, "quantity", "must be greater than 0 and at most 1,000,000,000"))
    item_code = cells["item_code"]
    if not item_code or len(item_code) > 200:
        faults.append(table.fault(row.place, "item_code", "must have 1 to 200 characters"))
    copy = copies.setdefault(
        (item_code, cells.get("candidate", "")),
        _Copy(item_code=item_code, candidate=_candidate(cells.get("candidate", "")), quantity=quantity, operations=[]),
    )
    if copy.quantity != quantity:
        faults.append(table.fault(row.place, "quantity", "is not that of the item's rows above"))
    if not any(cells.get(name) for name in ("sequence", *_TEXTS, *_MINUTES)):
        return faults  # an item that an export knew no routing for
    if len(copy.operations) >= MAX_COPY_OPERATIONS:
        faults.append(table.fault(row.place, "item_code", f"has more than {MAX_COPY_OPERATIONS} operations"))
    operation, wrong_cells = _operation(row)
    if operation is not None:
        copy.operations.append(operation)
    return faults + [table.fault(row.place, member, message) for member, message in wrong_cells.items()]


def _operation(row: _Row) -> tuple[CopyOperation | None, dict[str, str]]:
    """Return a row's operation, or what is wrong with it by member."""
    cells = row.cells
    values: dict[str, Any] = {name: cells.get(name, "") or None for name in _TEXTS}
    wrong: dict[str, str] = {}
    for name in ("sequence", *_MINUTES):
        values[name], problem = row.number(name)
        if problem:
            wrong[name] = problem
    sequence = values["sequence"]
    if sequence is not None and float(sequence).is_integer():
        values["sequence"] = int(sequence)
    inside = cells.get("inside", "").lower()
    if inside not in _INSIDE:
        wrong["inside"] = "must be true or false, 사내 or 외주, or empty"
    values["inside"] = _INSIDE.get(inside)
    if cells.get("time_unit") and "min" not in cells["time_unit"].lower():
        wrong["time_unit"] = "must be minutes"
    if cells.get("run_pieces") and row.number("run_pieces")[0] != 1:
        wrong["run_pieces"] = "must be 1: run times are per piece"
    try:
        operation = CopyOperation.model_validate(values)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False, include_context=False):
            wrong.setdefault(
                str(error["loc"][0]), "is missing" if not cells.get(str(error["loc"][0])) else error["msg"]
            )
        return None, wrong
    return (None if wrong else operation), wrong


def _number(text: str, decimal_comma: bool) -> tuple[float | None, str | None]:
    """Return the number of a cell, None for an empty one; or what is wrong with it."""
    if not text:
        return None, None
    if _NUMBER.fullmatch(text):
        plain = text
    elif decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        plain = text.replace(",", ".")
    elif not decimal_comma and _THOUSANDS.fullmatch(text):
        plain = text.replace(",", "")
    else:
        return None, f"{text[:60]!r} is no number"
    value = float(plain)
    return (value, None) if math.isfinite(value) else (None, f"{text[:60]!r} is too large")


def _candidate(text: str) -> int | None:
    """Return the number of a candidate: as it stands, or at the end of the ERP's id such as `A1_C02`."""
    digits = text.rpartition("_C")[2].removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 4 else None


# -- JSON


def _json_copies(content: bytes) -> ImportedCopies:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as broken:
        raise InvalidInput(
            f"The file is not JSON: {broken}.", errors=[{"field": "body", "message": "is not JSON"}]
        ) from broken
    version = document.get("model_version") if isinstance(document, dict) else None
    faults: list[_Fault] = []
    items = list(_json_items(document, faults))
    if not items and not faults:
        faults.append(_json_fault("predictions", "must be a list with at least one item"))
    if faults:
        raise _refused(faults)
    return ImportedCopies(items=items, model_version=str(version)[:64] if version else None)


def _json_items(document: Any, faults: list[_Fault]) -> Iterator[ImportedCopy]:
    """Yield the copies of an export (`predictions` with `candidates`) or of an import's own answer (`items`)."""
    name = next((key for key in ("predictions", "items") if isinstance(document, dict) and key in document), None)
    entries = document.get(name) if name else document
    if not isinstance(entries, list):
        faults.append(_json_fault(name or "predictions", "must be a list"))
        return
    for place, entry in enumerate(entries):
        where = f"{name or ''}[{place}]"
        if not isinstance(entry, dict):
            faults.append(_json_fault(where, "must be an object"))
            continue
        candidates = entry.get("candidates", [entry])
        if not isinstance(candidates, list):
            faults.append(_json_fault(f"{where}.candidates", "must be a list"))
            continue
        for number, candidate in enumerate(candidates):
            inner = where if candidate is entry else f"{where}.candidates[{number}]"
            yield from _json_copy(entry, candidate, inner, faults)
            if len(faults) >= MAX_FAULTS:
                return


def _json_copy(entry: dict[str, Any], candidate: Any, where: str, faults: list[_Fault]) -> Iterator[ImportedCopy]:
    operations = candidate.get("operations") if isinstance(candidate, dict) else None
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        faults.append(_json_fault(f"{where}.operations", "must be a list of objects"))
        return
    quantity = entry.get("quantity")
    plain = [{name: _plain(each.get(name)) for name in CopyOperation.model_fields} for each in operations]
    try:
        copy = WorkingCopy.model_validate(
            {
                "item_code": entry.get("item_code"),
                "quantity": 1.0 if quantity is None else quantity,
                "operations": plain,
            },
            strict=True,
        )
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False, include_context=False):
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
            faults.append(_json_fault(f"{where}{path}", error["msg"]))
        return
    rank = candidate.get("rank", candidate.get("candidate"))
    yield ImportedCopy(
        item_code=copy.item_code, quantity=None if quantity is None else copy.quantity,
        candidate=rank if type(rank) is int else None, operations=copy.operations,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a time's value, with or without its interval."""
    return value.get("value") if isinstance(value, dict) else value


def _json_fault(field: str, message: str) -> _Fault:
    return _Fault(sheet=None, row=None, column=field, message=message)


def _refused(faults: Sequence[_Fault]) -> InvalidInput:
    errors = [fault.as_error() for fault in faults[:MAX_FAULTS]]
    named = "; ".join(f"{error['field']}: {error['message']}" for error in errors[:5])
    return InvalidInput(f"The file cannot be taken over: {named}.", remedy="Mend these cells.", errors=errors)
