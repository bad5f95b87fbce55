"""Minutes of past or planned orders, each at its own quantity, beside the prediction of their item."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.prediction.answers import ItemPrediction
from shared.prediction.memory import Floats
from shared.prediction.minutes.estimates import Estimates
from shared.prediction.plans import Plan


@dataclass(frozen=True, kw_only=True)
class OrdersPrediction:
    """One item's prediction, and what its first candidate's operations take at each asked quantity."""

    prediction: ItemPrediction
    minutes: Floats  # (operations, quantities, 3): low, central and high minutes of one order, 80 % between the ends


def without_orders(prediction: ItemPrediction) -> OrdersPrediction:
    """Return a prediction that has no candidate, so no minutes either."""
    return OrdersPrediction(prediction=prediction, minutes=np.zeros((0, 0, 3)))


def order_minutes(
    estimates: Estimates, plans: Sequence[Sequence[Plan]], quantities: Sequence[Sequence[float]]
) -> list[Floats]:
    """Return each item's minutes (operations of its first candidate, quantities, 3), worked out all together.

    Args:
        estimates: of every operation of the batch.
        plans: each item's candidates, best first.
        quantities: each item's quantities, in pieces.
    """
    firsts = [mine[0].operations if mine else [] for mine in plans]
    pairs = list(zip(firsts, quantities, strict=True))
    which = np.concatenate([np.repeat(np.array(first, dtype=np.int64), len(pieces)) for first, pieces in pairs])
    pieces = np.concatenate([np.tile(np.array(pieces, dtype=np.float64), len(first)) for first, pieces in pairs])
    found = estimates.order(pieces, which)
    ends = np.cumsum([len(first) * len(asked) for first, asked in pairs])
    return [
        part.reshape(len(first), len(asked), 3)
        for part, (first, asked) in zip(np.split(found, ends[:-1]), pairs, strict=True)
    ]
