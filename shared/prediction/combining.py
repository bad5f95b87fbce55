"""Answers small requests that wait at the same time in one call of the model.

A call for many items costs a fraction of as many calls for one, and the interpreter's lock lets only one thread compute
anyway. So whoever finds nobody computing computes for all who wait; nobody waits for others to come. Large requests go
by themselves: nobody small waits behind them.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.prediction.answers import ItemPrediction, ItemQuery, PredictionRequest

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

SMALL_ITEMS = 8  # of a request that is combined with others
MOST_REQUESTS = 32  # of one call: the last of them waits for the work of all


class _Waiting:
    """One request in the queue."""

    def __init__(self, model: "RoutingModel", asked: PredictionRequest) -> None:
        self.model = model
        self.asked = asked
        self.answers: list[ItemPrediction] | None = None
        self.error: Exception | None = None
        self.turn = threading.Semaphore(0)  # given when it is answered, or when it is this one's turn to compute

    @property
    def kind(self) -> tuple[int, int, float, bool]:
        """What requests must have in common to be answered in one call."""
        return id(self.model), self.asked.candidates, self.asked.quantity, self.asked.as_if_unknown


class Combiner:
    """Asks models on behalf of many threads at once."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._computing = False

    def predict(self, model: "RoutingModel", asked: PredictionRequest) -> list[ItemPrediction]:
        """Return what `model.predict` answers to the request.

        Raises:
            InvalidInput: as `model.predict`; a wrong request costs no other one its answer.
        """
        if len(asked.items) > SMALL_ITEMS:
            return _answers(model, asked, asked.items)
        own = _Waiting(model, asked)
        with self._lock:
            self._queue.append(own)
            leads, self._computing = not self._computing, True
        if not leads:
            own.turn.acquire()
        if own.answers is None and own.error is None:
            self._lead()
        if own.error is not None:
            raise own.error
        assert own.answers is not None
        return own.answers

    def _lead(self) -> None:
        """Answer those who wait, the caller's own request first among them, and hand on to the next who came."""
        with self._lock:
            taken, self._queue = self._queue[:MOST_REQUESTS], self._queue[MOST_REQUESTS:]
        try:
            for alike in _by_kind(taken):
                _answer(alike)
        finally:
            with self._lock:
                following = self._queue[0] if self._queue else None
                self._computing = following is not None
            for waiting in taken[1:]:
                waiting.turn.release()
            if following is not None:
                following.turn.release()


def _by_kind(taken: Sequence[_Waiting]) -> list[list[_Waiting]]:
    kinds: dict[tuple[int, int, float, bool], list[_Waiting]] = {}
    for waiting in taken:
        kinds.setdefault(waiting.kind, []).append(waiting)
    return list(kinds.values())


def _answer(alike: Sequence[_Waiting]) -> None:
    """Answer requests of one kind in one call; where that fails each by itself, so that each gets its own error."""
    first = alike[0]
    try:
        found = iter(_answers(first.model, first.asked, [item for one in alike for item in one.asked.items]))
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        if len(alike) == 1:
            first.error = error
            return
        for one in alike:
            _answer([one])
        return
    for one in alike:
        one.answers = [next(found) for _ in one.asked.items]


def _answers(model: "RoutingModel", asked: PredictionRequest, items: Sequence[ItemQuery]) -> list[ItemPrediction]:
    return model.predict(items, candidates=asked.candidates, quantity=asked.quantity, as_if_unknown=asked.as_if_unknown)
