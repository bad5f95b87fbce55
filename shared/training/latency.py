"""How fast models answer, one item a call, measured in turns: all meet the same moments of the machine."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from shared.errors import Cancelled
from shared.prediction.answers import ItemQuery
from shared.prediction.model import RoutingModel
from shared.training.compare import Latency

ANSWERS = 80  # distinct items
_ROUNDS = 3  # of which each item's quickest counts: the others were disturbed by something else


def measure_latencies(
    models: Sequence[RoutingModel], item_codes: Sequence[str], *, cancelled: Callable[[], bool] = lambda: False
) -> list[Latency]:
    """Return each model's time for one answer as if unknown, over the same items.

    Raises:
        Cancelled: between two items.
    """
    asked = [ItemQuery(item_code=code) for code in item_codes[:ANSWERS]]
    for model in models:
        model.predict(asked[:1], as_if_unknown=True)  # what is made at the first question is not in the figures
    seconds = np.full((len(models), len(asked), _ROUNDS), np.nan)
    for turn in range(_ROUNDS):
        for number, query in enumerate(asked):
            if cancelled():
                raise Cancelled("The training was cancelled while contenders were being timed; nothing was kept.")
            for place, model in enumerate(models):
                started = time.perf_counter()
                model.predict([query], as_if_unknown=True)
                seconds[place, number, turn] = time.perf_counter() - started
    best = 1_000 * seconds.min(axis=2)
    middle, slow = np.percentile(best, [50, 95], axis=1)
    return [
        Latency(p50_ms=float(p50), p95_ms=float(p95), answers=len(asked)) for p50, p95 in zip(middle, slow, strict=True)
    ]
