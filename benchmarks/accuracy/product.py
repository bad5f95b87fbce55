"""The product as it answers for items that it has never seen made."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from benchmarks.accuracy.asking import Asked, Proposal, Step, Times, labelled
from shared.prediction.answers import MAX_ITEMS, Candidate, ItemPrediction, ItemQuery, Source, Tier
from shared.prediction.model import RoutingModel

CANDIDATES = 3


class Product:
    """Asks a fitted model, in batches as a user of the product would."""

    name = "product"

    def __init__(self, model: RoutingModel, *, as_if_unknown: bool = False, own: bool = False) -> None:
        """Take a model that was fitted without the items it is asked for, or tell it to leave them out.

        With `own`, an item's own routing counts as an answer: known items are asked for their next orders.
        """
        self._model = model
        self._as_if_unknown = as_if_unknown
        self._own = own

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return a proposal for each item."""
        answers = self._predict(asked, range(len(asked.codes)), 1.0)
        return [_proposal(self._candidates(answer)) for answer in answers]

    def minutes(self, asked: Asked) -> Times:
        """Return each asked order's minutes, asked for at that order's quantity."""
        wanted: dict[float, list[int]] = defaultdict(list)
        for row, quantity in enumerate(asked.quantity.tolist()):
            wanted[quantity].append(row)
        found = np.full((len(asked.quantity), 3), np.nan)
        for quantity, rows in sorted(wanted.items()):
            items = sorted({int(asked.order_item[row]) for row in rows})
            answers = dict(zip(items, self._predict(asked, items, quantity), strict=True))
            for row in rows:
                found[row] = _order_minutes(
                    self._candidates(answers[int(asked.order_item[row])]), asked.order_label[row]
                )
        return Times(low=found[:, 0], value=found[:, 1], high=found[:, 2])

    def _candidates(self, answer: ItemPrediction) -> list[Candidate]:
        return [candidate for candidate in answer.candidates if self._own or candidate.source is Source.PREDICTED]

    def _predict(self, asked: Asked, items: Sequence[int], quantity: float) -> list[ItemPrediction]:
        queries = [_query(asked, item) for item in items]
        answers: list[ItemPrediction] = []
        for start in range(0, len(queries), MAX_ITEMS):
            answers += self._model.predict(
                queries[start : start + MAX_ITEMS], candidates=CANDIDATES, quantity=quantity,
                as_if_unknown=self._as_if_unknown,
            )  # fmt: skip
        return answers


def _query(asked: Asked, item: int) -> ItemQuery:
    if not asked.by_attributes:
        return ItemQuery(item_code=asked.codes[item])
    row = asked.items.row(item, named=True)
    own = {name: _plain(value) for name, value in row.items() if name not in {"item_code", "family", "group"}}
    return ItemQuery(item_code=asked.codes[item], attributes=own)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _proposal(candidates: Sequence[Candidate]) -> Proposal:
    if not candidates:
        return Proposal()
    first = candidates[0]
    labels = labelled([operation.operation_code for operation in first.operations])
    return Proposal(
        signatures=tuple(tuple(op.operation_code for op in candidate.operations) for candidate in candidates),
        steps=tuple(
            Step(label=label, resource=operation.resource_code, inside=operation.inside)
            for label, operation in zip(labels, first.operations, strict=True)
        ),
        probability=float(first.probability), high=first.tier is Tier.HIGH,
    )  # fmt: skip


def _order_minutes(candidates: Sequence[Candidate], label: tuple[str, int]) -> tuple[float, float, float]:
    """Return low, value and high of an operation, from the first candidate that holds it."""
    for candidate in candidates:
        labels = labelled([operation.operation_code for operation in candidate.operations])
        if label in labels:
            minutes = candidate.operations[labels.index(label)].order_minutes
            return minutes.low, minutes.value, minutes.high
    return np.nan, np.nan, np.nan
