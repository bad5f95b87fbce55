"""The 52 columns in which an ERP takes proposed routings, in their exact order; one row an operation of a candidate.

All times are minutes, as `TIME_UNIT` says, and run times are those of `RUN_TIME_QTY` = 1 piece. A time that nothing is
known of is 0; any other column of which nothing is known stays empty. docs/PREDICTIONS.md explains each column.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from shared.prediction.answers import SIGNATURE_SEPARATOR, Candidate, PredictedOperation, Source
from shared.prediction.exports.carried import Carried, CarriedStep
from shared.prediction.exports.entries import Entry
from shared.prediction.exports.tables import Cell, Row, Table
from shared.prediction.exports.working import WorkingOperation, WorkingRouting

COLUMNS = (
    "ITEM_CD", "CANDIDATE_ID", "ROUTING_SIGNATURE", "PRIORITY", "SIMILARITY_TIER", "PROC_SEQ", "INSIDE_FLAG",
    "dbo_BI_ROUTING_VIEW_JOB_CD", "JOB_NM", "RES_CD", "RES_DIS", "TIME_UNIT", "MFG_LT", "QUEUE_TIME", "SETUP_TIME",
    "MACH_WORKED_HOURS", "ACT_SETUP_TIME", "ACT_RUN_TIME", "WAIT_TIME", "MOVE_TIME", "RUN_TIME_QTY", "RUN_TIME_UNIT",
    "BATCH_OPER", "BP_CD", "dbo_BI_ROUTING_VIEW_CUST_NM", "CUR_CD", "SUBCONTRACT_PRC", "TAX_TYPE", "MILESTONE_FLG",
    "INSP_FLG", "ROUT_ORDER", "VALID_FROM_DT", "VALID_TO_DT", "dbo_BI_ROUTING_VIEW_REMARK", "ROUT_DOC", "DOC_INSIDE",
    "DOC_NO", "NC_PROGRAM", "NC_PROGRAM_WRITER", "NC_WRITER_NM", "NC_WRITE_DATE", "NC_REVIEWER", "NC_REVIEWER_NM",
    "NC_REVIEW_DT", "RAW_MATL_SIZE", "JAW_SIZE", "VALIDITY", "PROGRAM_REMARK", "OP_DRAW_NO", "MTMG_NUMB",
    "REFERENCE_ITEM_CD", "SIMILARITY_SCORE",
)  # fmt: skip
LONGEST_SIGNATURE = 200  # characters of the column that takes it
HIGH_SIMILARITY = 0.8  # SIMILARITY_TIER is HIGH from here on
_INSIDE = {True: "사내", False: "외주"}
_MINUTES = "분(Min.)"
_VALID_FROM, _VALID_TO = "2001-01-01", "2999-12-31"  # of a routing that no ERP holds yet
_JOINT = "+"
# What a profile may call a column that is carried along, beside the layout's own name.
_CARRIED_AS = {
    "dbo_BI_ROUTING_VIEW_CUST_NM": ("CUST_NM",),
    "dbo_BI_ROUTING_VIEW_REMARK": ("VIEW_REMARK", "REMARK"),
}
_PASSED_THROUGH = (*COLUMNS[COLUMNS.index("RUN_TIME_UNIT") : COLUMNS.index("VALID_FROM_DT")],
                   *COLUMNS[COLUMNS.index("VALID_TO_DT") + 1 : COLUMNS.index("REFERENCE_ITEM_CD")])  # fmt: skip


def erp_table(carried: Carried) -> Table:
    """Return the layout's table for one export: its candidates are numbered by item as they come.

    Args:
        carried: the reference items' own steps, for the columns that no prediction makes.
    """
    layout = _Layout(carried)
    return Table(name="routing", columns=COLUMNS, rows=layout.rows)


def short_signature(signature: str) -> str:
    """Return a routing's operation codes joined with `+`, in at most 200 characters.

    A longer one keeps its beginning and ends in a digest of the whole, so that two routings never share a signature.
    """
    joined = signature.replace(SIGNATURE_SEPARATOR, _JOINT)
    if len(joined) <= LONGEST_SIGNATURE:
        return joined
    digest = "~" + hashlib.sha256(joined.encode()).hexdigest()[:12]
    return joined[: LONGEST_SIGNATURE - len(digest)] + digest


class _Layout:
    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._numbers: Counter[str] = Counter()  # an item may be asked for more than once

    def rows(self, entry: Entry) -> Iterator[Row]:
        for candidate in entry.candidates:
            self._numbers[entry.item_code] += 1
            number = self._numbers[entry.item_code]
            yield from self._candidate_rows(entry.item_code, number, candidate)

    def _candidate_rows(self, item_code: str, number: int, candidate: Candidate | WorkingRouting) -> Iterator[Row]:
        score = None if candidate.similarity is None else round(min(max(candidate.similarity, 0.0), 1.0), 4)
        reference = reference_item(item_code, candidate)
        shared: dict[str, Cell] = {
            "ITEM_CD": item_code,
            "CANDIDATE_ID": f"{item_code}_C{number:02d}",
            "ROUTING_SIGNATURE": short_signature(candidate.routing_signature),
            "PRIORITY": "primary" if number == 1 else "fallback",
            "SIMILARITY_TIER": None if score is None else "HIGH" if score >= HIGH_SIMILARITY else "LOW",
            "REFERENCE_ITEM_CD": reference,
            "SIMILARITY_SCORE": score,
        }
        holder = carrying_item(item_code, candidate)
        seen: Counter[str] = Counter()
        operations: Sequence[PredictedOperation | WorkingOperation] = candidate.operations
        for sequence, operation in zip(_sequences(candidate), operations, strict=True):
            code = operation.operation_code
            step = self._carried.step(holder, code, seen[code])
            seen[code] += 1
            cells = shared | {"PROC_SEQ": sequence} | _made(operation) | _passed_through(step, own=holder == item_code)
            yield tuple(cells.get(column) for column in COLUMNS)


def carrying_item(item_code: str, candidate: Candidate | WorkingRouting) -> str | None:
    """Return the item whose own steps a candidate's pass-through columns come from; a working copy's are its item's."""
    return item_code if isinstance(candidate, WorkingRouting) else reference_item(item_code, candidate)


def reference_item(item_code: str, candidate: Candidate | WorkingRouting) -> str | None:
    """Return the item whose routing a candidate shows: itself, the nearest one that has it, or none."""
    if candidate.source == Source.ERP:
        return item_code
    return candidate.evidence[0].item_code if candidate.evidence else None


def _sequences(candidate: Candidate | WorkingRouting) -> list[int]:
    """Return the steps' numbers, new ones (10, 20, …) where those of the answer do not rise."""
    numbers = [operation.sequence for operation in candidate.operations]
    rising = all(before < after for before, after in zip([0, *numbers], numbers, strict=False))
    return numbers if rising else [10 * (place + 1) for place in range(len(numbers))]


def _made(operation: PredictedOperation | WorkingOperation) -> dict[str, Cell]:
    setup, run = _time(operation.setup_minutes.value), _time(operation.run_minutes_per_unit.value)
    booked = bool(operation.samples)
    return {
        "INSIDE_FLAG": None if operation.inside is None else _INSIDE[operation.inside],
        "dbo_BI_ROUTING_VIEW_JOB_CD": operation.operation_code,
        "JOB_NM": operation.operation_name,
        "RES_CD": operation.resource_code,
        "RES_DIS": operation.resource_name,
        "TIME_UNIT": _MINUTES,
        "QUEUE_TIME": _time(operation.queue_minutes),
        "SETUP_TIME": setup,
        "MACH_WORKED_HOURS": run,
        "ACT_SETUP_TIME": setup if booked else 0.0,
        "ACT_RUN_TIME": run if booked else 0.0,
        "WAIT_TIME": _time(operation.wait_minutes),
        "MOVE_TIME": _time(operation.move_minutes),
        "RUN_TIME_QTY": 1,
    }


def _passed_through(step: CarriedStep | None, *, own: bool) -> dict[str, Cell]:
    """Return the columns that the reference item's own step says; the days of validity only of the item's own."""
    cells: dict[str, Cell] = {"MFG_LT": 0.0, "VALID_FROM_DT": _VALID_FROM, "VALID_TO_DT": _VALID_TO}
    if step is None:
        return cells
    for column in _PASSED_THROUGH:
        names = (column, *_CARRIED_AS.get(column, ()))
        cells[column] = next((step.texts[name] for name in names if step.texts.get(name) is not None), None)
    cells["MFG_LT"] = _lead_time(step.texts)
    if own:
        cells["VALID_FROM_DT"] = step.valid_from.isoformat() if step.valid_from else _VALID_FROM
        cells["VALID_TO_DT"] = step.valid_to.isoformat() if step.valid_to else _VALID_TO
    return cells


def _lead_time(texts: Mapping[str, str | None]) -> float:
    try:
        return _time(float(texts.get("MFG_LT") or 0.0))
    except ValueError:
        return 0.0


def _time(value: float | None) -> float:
    """Return a time that an ERP takes: never missing, negative or infinite."""
    return value if value is not None and math.isfinite(value) and value > 0 else 0.0
