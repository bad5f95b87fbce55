"""Requests that wait together are answered together, each as if it had been alone."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from shared.errors import InvalidInput
from shared.prediction.answers import ItemPrediction, ItemQuery, PredictionRequest, Status
from shared.prediction.combining import MOST_REQUESTS, SMALL_ITEMS, Combiner
from shared.prediction.model import RoutingModel


class Slow:
    """A model that answers when it is let, and remembers how it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, Any]]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()

    def predict(self, queries: Sequence[ItemQuery], **how: Any) -> list[ItemPrediction]:
        codes = [query.item_code for query in queries]
        self.calls.append((codes, how))
        self.begun.release()
        assert self.let.wait(30)
        if "WRONG" in codes:
            raise InvalidInput(f"items[{codes.index('WRONG')}] is wrong.")
        if "BROKEN" in codes:
            raise RuntimeError("broken")
        return [ItemPrediction(item_code=code, status=Status.OK, message=str(how["quantity"])) for code in codes]


def _request(*codes: str, quantity: float = 1.0) -> PredictionRequest:
    return PredictionRequest(items=[ItemQuery(item_code=code) for code in codes], quantity=quantity)


def _ask_together(model: Slow, requests: Sequence[PredictionRequest]) -> list[Any]:
    """Ask the first, and all the others while it computes; return each one's codes and messages, or its error."""
    combiner, served = Combiner(), cast("RoutingModel", model)

    async def ask(request: PredictionRequest) -> Any:
        return await combiner.predict(served, request, lambda found: [(one.item_code, one.message) for one in found])

    async def ask_all() -> list[Any]:
        first = asyncio.create_task(ask(requests[0]))
        assert await asyncio.to_thread(model.begun.acquire, timeout=30)
        others = [asyncio.create_task(ask(request)) for request in requests[1:]]
        await asyncio.sleep(0)  # each of them runs until it waits
        model.let.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return [str(told) if isinstance(told, Exception) else told for told in asyncio.run(ask_all())]


def test_those_who_come_while_one_computes_are_answered_in_one_call() -> None:
    model = Slow()
    told = _ask_together(model, [_request("A"), _request("B", "C"), _request("D"), _request("E")])
    assert told == [[("A", "1.0")], [("B", "1.0"), ("C", "1.0")], [("D", "1.0")], [("E", "1.0")]]
    assert len(model.calls) == 2
    assert sorted(model.calls[1][0]) == ["B", "C", "D", "E"]


def test_requests_that_ask_differently_are_not_mixed() -> None:
    model = Slow()
    told = _ask_together(model, [_request("A"), _request("B", quantity=5), _request("C", quantity=7)])
    assert told == [[("A", "1.0")], [("B", "5.0")], [("C", "7.0")]]
    assert len(model.calls) == 3


@pytest.mark.parametrize(("code", "message"), [("WRONG", "items[0] is wrong."), ("BROKEN", "broken")])
def test_a_wrong_request_gets_its_own_error_and_costs_no_other_one(code: str, message: str) -> None:
    told = _ask_together(Slow(), [_request("A"), _request("B"), _request(code), _request("C")])
    assert told == [[("A", "1.0")], [("B", "1.0")], message, [("C", "1.0")]]


def test_a_large_request_waits_for_nobody() -> None:
    model, codes = Slow(), [f"L{number}" for number in range(SMALL_ITEMS + 1)]
    told = _ask_together(model, [_request("A"), _request(*codes)])
    assert [len(one) for one in told] == [1, len(codes)]
    assert [len(asked) for asked, _ in model.calls] == [1, len(codes)]


def test_many_more_than_one_call_takes_are_all_answered() -> None:
    model, count = Slow(), 2 * MOST_REQUESTS + 5
    told = _ask_together(model, [_request(f"I{number}") for number in range(count)])
    assert told == [[(f"I{number}", "1.0")] for number in range(count)]
    assert max(len(asked) for asked, _ in model.calls) <= MOST_REQUESTS
    assert len(model.calls) < count


def test_what_cannot_be_finished_is_the_error_of_that_request_alone() -> None:
    model, combiner = Slow(), Combiner()
    model.let.set()

    def finish(found: list[ItemPrediction]) -> str:
        if found[0].item_code == "B":
            raise OSError("no room")
        return found[0].item_code

    async def ask_all() -> list[Any]:
        served = cast("RoutingModel", model)
        asked = [combiner.predict(served, _request(code), finish) for code in "ABC"]
        return await asyncio.gather(*asked, return_exceptions=True)

    told = asyncio.run(ask_all())
    assert [str(one) for one in told] == ["A", "no room", "C"]
    assert len(model.calls) == 1


def test_whoever_gave_up_keeps_no_other_one_waiting() -> None:
    model, combiner = Slow(), Combiner()

    async def ask_all() -> list[str]:
        served = cast("RoutingModel", model)
        asked = [
            asyncio.create_task(combiner.predict(served, _request(code), lambda found: found[0].item_code))
            for code in "ABC"
        ]
        assert await asyncio.to_thread(model.begun.acquire, timeout=30)
        asked[1].cancel()
        model.let.set()
        return [await asked[0], await asked[2]]

    assert asyncio.run(ask_all()) == ["A", "C"]
