"""How fast models answer beside the first of them, one item a call: all meet the same moments of the machine.

The machine serves predictions meanwhile, so any single answer may be disturbed. What decides is therefore the *ratio*
of two answers to the same item given one after the other, its median over all such pairs and over those of the
slowest tenth of the items; and a model near the limit is asked again before it is called too slow.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import Cancelled
from shared.prediction.answers import ItemQuery
from shared.prediction.model import RoutingModel
from shared.training.compare import Latency

Floats = NDArray[np.float64]

ANSWERS = 80  # distinct items
SLOWEST = 0.10  # of the items, judged apart
LEAST_ROUNDS, MOST_ROUNDS = 3, 12
NEAR, FAR = 0.9, 1.5  # times the limit: between them more rounds are asked


def measure_latencies(
    models: Sequence[RoutingModel],
    item_codes: Sequence[str],
    *,
    limit: float,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Latency]:
    """Return each model's time for one answer as if unknown, over the same items, beside the first model's.

    Args:
        models: the one that others are set against, and the others.
        item_codes: what is asked; the first `ANSWERS` of them.
        limit: the greatest slowdown that is accepted; who is near it is measured longer.
        cancelled: answers whether to stop.
        clock: seconds.

    Raises:
        Cancelled: between two items.
    """
    asked = [ItemQuery(item_code=code) for code in item_codes[:ANSWERS]]
    for model in models:
        model.predict(asked[:1], as_if_unknown=True)  # what is made at the first question is not in the figures
    rounds: list[Floats] = []
    places = list(range(len(models)))
    while len(places) > 1 or len(rounds) < LEAST_ROUNDS:
        rounds.append(_round(models, places, asked, cancelled, clock))
        places.reverse()  # being the first to be asked is a drawback
        if len(rounds) == MOST_ROUNDS:
            break
        if len(rounds) >= LEAST_ROUNDS:
            seconds = np.stack(rounds)
            near = [p for p in places if p and NEAR * limit < _slowdown(seconds, p) < FAR * limit]
            places = [0, *near] if places[0] == 0 else [*near, 0]
    return _figures(np.stack(rounds))


def _round(
    models: Sequence[RoutingModel],
    places: Sequence[int],
    asked: Sequence[ItemQuery],
    cancelled: Callable[[], bool],
    clock: Callable[[], float],
) -> Floats:
    """Return (models, items) seconds; nan for models that are not asked any more."""
    seconds = np.full((len(models), len(asked)), np.nan)
    for number, query in enumerate(asked):
        if cancelled():
            raise Cancelled("The training was cancelled while contenders were being timed; nothing was kept.")
        for place in places:
            started = clock()
            models[place].predict([query], as_if_unknown=True)
            seconds[place, number] = clock() - started
    return seconds


def _slowdown(seconds: Floats, place: int) -> float:
    """Return how many times the first model's time another takes, of (rounds, models, items) seconds."""
    both = seconds[:, [0, place]]
    both = both[~np.isnan(both).any(axis=(1, 2))]
    ratios = both[:, 1] / np.maximum(both[:, 0], 1e-9)
    cost = both.min(axis=0).sum(axis=0)  # the quickest answers tell which items are slow, whatever disturbed the others
    slow = np.argsort(cost)[-max(1, round(SLOWEST * len(cost))) :]
    return float(max(np.median(ratios), np.median(ratios[:, slow])))


def _figures(seconds: Floats) -> list[Latency]:
    """Return what is told of each model; its milliseconds are of the rounds that all were asked in."""
    best = 1_000 * seconds[:LEAST_ROUNDS].min(axis=0)
    middle, slow = np.percentile(best, [50, 95], axis=1)
    return [
        Latency(
            p50_ms=float(middle[place]),
            p95_ms=float(slow[place]),
            answers=best.shape[1],
            slowdown=_slowdown(seconds, place) if place else 1.0,
        )
        for place in range(len(best))
    ]
