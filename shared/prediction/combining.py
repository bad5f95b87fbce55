"""Answers small requests that wait at the same time in one call of the model.

A call for many items costs a fraction of as many calls for one, and the interpreter's lock lets only one thread compute
anyway. So one thread answers small requests: whoever comes while it computes is answered in its next call, and nobody
waits for others to come. Requests wait on the event loop and not in threads, which would fight for that lock. Large
requests go by themselves: nobody small waits behind them.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from shared.prediction.answers import ItemPrediction, ItemQuery, PredictionRequest

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

SMALL_ITEMS = 8  # of a request that is combined with others
MOST_REQUESTS = 32  # of one call: the last of them waits for the work of all
_LARGE_AT_ONCE = 32  # requests that go by themselves

T = TypeVar("T")
Finish = Callable[[list[ItemPrediction]], T]  # what is made of a request's answers, on the thread that found them


class _Waiting:
    """One request in the queue."""

    def __init__(
        self, model: "RoutingModel", asked: PredictionRequest, finish: Finish[Any], future: "asyncio.Future[Any]"
    ) -> None:
        self.model = model
        self.asked = asked
        self.finish = finish
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    @property
    def kind(self) -> tuple[int, int, float, bool]:
        """What requests must have in common to be answered in one call."""
        return id(self.model), self.asked.candidates, self.asked.quantity, self.asked.as_if_unknown

    def take(self, answers: list[ItemPrediction]) -> None:
        """Finish with these answers."""
        try:
            self.result = self.finish(answers)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self.error = error

    def tell(self) -> None:
        """Hand over the outcome, on the event loop; whoever asked may have given up."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Combiner:
    """Asks models on behalf of many requests at once; all of one event loop."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._queue: list[_Waiting] = []
        self._computing = False
        self._small = ThreadPoolExecutor(1, thread_name_prefix="predictions")
        self._large = ThreadPoolExecutor(_LARGE_AT_ONCE, thread_name_prefix="large-predictions")

    async def predict(self, model: "RoutingModel", asked: PredictionRequest, finish: Finish[T]) -> T:
        """Return what `finish` makes of the answers of `model.predict` to the request.

        Raises:
            InvalidInput: as `model.predict`; a wrong request costs no other one its answer.
        """
        if len(asked.items) > SMALL_ITEMS:
            return await self.alone(lambda: finish(_answers(model, asked, asked.items)))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Waiting(model, asked, finish, future))
        if not self._computing:
            self._computing = True
            loop.call_soon(self._compute, loop)  # requests that have arrived as well come along
        return await future

    async def alone(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done on a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._large, copy_context().run, work)

    def _compute(self, loop: asyncio.AbstractEventLoop) -> None:
        taken, self._queue = self._queue[:MOST_REQUESTS], self._queue[MOST_REQUESTS:]
        computing = loop.run_in_executor(self._small, _answer_all, taken)
        computing.add_done_callback(lambda _: self._tell(loop, taken))

    def _tell(self, loop: asyncio.AbstractEventLoop, answered: Sequence[_Waiting]) -> None:
        for waiting in answered:
            waiting.tell()
        self._computing = bool(self._queue)
        if self._computing:
            self._compute(loop)


def _answer_all(taken: Sequence[_Waiting]) -> None:
    kinds: dict[tuple[int, int, float, bool], list[_Waiting]] = {}
    for waiting in taken:
        kinds.setdefault(waiting.kind, []).append(waiting)
    for alike in kinds.values():
        _answer(alike)


def _answer(alike: Sequence[_Waiting]) -> None:
    """Answer requests of one kind in one call; where that fails each by itself, so that each gets its own error."""
    first = alike[0]
    try:
        found = _answers(first.model, first.asked, [item for one in alike for item in one.asked.items])
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        if len(alike) == 1:
            first.error = error
            return
        for one in alike:
            _answer([one])
        return
    start = 0
    for one in alike:
        end = start + len(one.asked.items)
        one.take(found[start:end])
        start = end


def _answers(model: "RoutingModel", asked: PredictionRequest, items: Sequence[ItemQuery]) -> list[ItemPrediction]:
    return model.predict(items, candidates=asked.candidates, quantity=asked.quantity, as_if_unknown=asked.as_if_unknown)
