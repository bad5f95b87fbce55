"""Answering a batch part by part: rows of one quantity together, and a wrong row costs no other its answer."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from shared.errors import InvalidInput
from shared.prediction.answers import PredictionRequest
from shared.prediction.batch.rows import BatchRow
from shared.prediction.exports.entries import INVALID, Entry, entry_of
from shared.prediction.fresh import predict_asked

if TYPE_CHECKING:
    from shared.erp.lookup.item_lookup import ItemLookup
    from shared.prediction.model import RoutingModel

PART_ROWS = 500
_LOOKED_UP_ROWS = 100  # of items that the model's data lacks: as many as one reading of the ERP finds
_ITEM = re.compile(r"items\[(\d+)\]\.?(.*)", re.DOTALL)


class BatchAnswers:
    """Answers rows with one model."""

    def __init__(
        self, model: "RoutingModel", *, candidates: int, as_if_unknown: bool, lookup: "Callable[[], ItemLookup]"
    ) -> None:
        """Answer as a request with these options would be; `lookup` gives what reads the ERP."""
        self._model = model
        self._candidates = candidates
        self._as_if_unknown = as_if_unknown
        self._lookup = lookup

    def parts(self, rows: Sequence[BatchRow]) -> Iterator[list[Entry]]:
        """Yield one entry for each row, in order, some hundred at a time."""
        for start in range(0, len(rows), PART_ROWS):
            part = rows[start : start + PART_ROWS]
            entries = {row.number: _refused(row, row.problem) for row in part if row.problem is not None}
            for together in self._groups([row for row in part if row.problem is None]):
                entries.update(self._answer(together))
            yield [entries[row.number] for row in part]

    def _groups(self, rows: Sequence[BatchRow]) -> Iterator[list[BatchRow]]:
        """Split rows into those that are one request: of one quantity, and no more unknown ones than are looked up."""
        groups: dict[tuple[float, bool], list[BatchRow]] = {}
        for row in rows:
            groups.setdefault((row.quantity, self._model.knows(row.item_code)), []).append(row)
        for (_quantity, is_known), group in groups.items():
            size = PART_ROWS if is_known else _LOOKED_UP_ROWS
            yield from (group[start : start + size] for start in range(0, len(group), size))

    def _answer(self, rows: list[BatchRow]) -> dict[int, Entry]:
        """Return the rows' entries by number; rows that the model refuses are told apart and the others asked again."""
        entries: dict[int, Entry] = {}
        while rows:
            asked = PredictionRequest(
                items=[row.query for row in rows if row.query is not None], candidates=self._candidates,
                quantity=rows[0].quantity, as_if_unknown=self._as_if_unknown,
            )  # fmt: skip
            try:
                answers = predict_asked(self._model, asked, self._lookup)
            except InvalidInput as wrong:
                problems = _by_place(wrong)
                if not problems:
                    raise
                entries.update((rows[place].number, _refused(rows[place], said)) for place, said in problems.items())
                rows = [row for place, row in enumerate(rows) if place not in problems]
            else:
                pairs = zip(rows, answers, strict=True)
                entries.update((row.number, entry_of(answer, row.quantity)) for row, answer in pairs)
                return entries
        return entries


def _by_place(wrong: InvalidInput) -> dict[int, str]:
    """Return what is wrong with each item of a refused request, by its place there."""
    problems: dict[int, str] = {}
    for error in wrong.facts.get("errors", ()):
        found = _ITEM.fullmatch(error["field"])
        if found is not None:
            said = f"{found[2].removeprefix('attributes.')}: {error['message']}"
            place = int(found[1])
            problems[place] = f"{problems[place]}; {said}" if place in problems else said
    return problems


def _refused(row: BatchRow, problem: str | None) -> Entry:
    quantity = row.quantity if row.problem is None else None
    return Entry(item_code=row.item_code, status=INVALID, quantity=quantity, message=f"row {row.number}: {problem}")
