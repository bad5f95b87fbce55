"""Contenders are timed on a busy machine: an equal model is not called too slow, and a slow one always."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from shared.errors import Cancelled
from shared.prediction.answers import ItemQuery
from shared.prediction.model import RoutingModel
from shared.training.latency import ANSWERS, LEAST_ROUNDS, MOST_ROUNDS, measure_latencies

LIMIT = 1.25
ITEMS = [str(number) for number in range(2 * ANSWERS)]


@dataclass
class Machine:
    """A machine whose seconds pass only while models answer, some answers several times as long as they should take."""

    seed: int
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._draw = np.random.default_rng(self.seed)

    def clock(self) -> float:
        return self.seconds

    def work(self, seconds: float) -> None:
        disturbed = 1 + 2 * self._draw.pareto(1.5) if self._draw.random() < 0.3 else 1.0
        self.seconds += seconds * disturbed * self._draw.lognormal(0, 0.05)


@dataclass
class Model:
    """Takes 2 ms for an answer, more for each later item, times `factor`; `slow_items` another half as much again."""

    machine: Machine
    factor: float = 1.0
    slow_items: frozenset[str] = frozenset()
    answered: list[str] = field(default_factory=list)

    def predict(self, queries: Sequence[ItemQuery], *, as_if_unknown: bool) -> Any:
        assert as_if_unknown
        (query,) = queries
        code = str(query.item_code)
        self.answered.append(code)
        self.machine.work(0.002 * (1 + int(code) / 100) * self.factor * (1.5 if code in self.slow_items else 1.0))


def measure(machine: Machine, *models: Model) -> list[Any]:
    real = [cast(RoutingModel, model) for model in models]
    return measure_latencies(real, ITEMS, limit=LIMIT, clock=machine.clock)


def slowdowns(factor: float, slow_items: frozenset[str] = frozenset(), repeats: int = 40) -> list[float]:
    found = []
    for seed in range(repeats):
        machine = Machine(seed)
        found.append(measure(machine, Model(machine), Model(machine, factor, slow_items))[1].slowdown)
    return found


@pytest.mark.parametrize("factor", [1.0, 1.15])
def test_a_model_that_is_fast_enough_is_hardly_ever_called_too_slow(factor: float) -> None:
    found = slowdowns(factor)

    assert sum(one > LIMIT for one in found) <= 1
    assert np.median(found) == pytest.approx(factor, rel=0.05)


def test_a_model_that_is_too_slow_is_always_called_so() -> None:
    assert min(slowdowns(1.4)) > LIMIT


def test_a_model_that_is_slow_for_the_slowest_items_only_is_too_slow() -> None:
    """The slowest tenth takes half as long again, which the middle does not show."""
    slowest = frozenset(ITEMS[:ANSWERS][-ANSWERS // 10 :])

    assert sum(one > LIMIT for one in slowdowns(1.0, slowest)) >= 38


def test_only_who_is_near_the_limit_is_asked_more_often() -> None:
    machine = Machine(1)
    active, equal, near, far = (Model(machine, factor) for factor in (1.0, 1.0, LIMIT, 3.0))
    found = measure(machine, active, equal, near, far)

    rounds = [len(model.answered) // ANSWERS for model in (active, equal, near, far)]
    assert rounds[1] == rounds[3] == LEAST_ROUNDS
    assert LEAST_ROUNDS < rounds[2] == rounds[0] <= MOST_ROUNDS
    assert found[0].slowdown == 1.0
    assert found[0].p50_ms < found[2].p50_ms < found[3].p50_ms < found[3].p95_ms
    assert {one.answers for one in found} == {ANSWERS}


def test_timing_ends_when_the_job_is_cancelled() -> None:
    machine = Machine(1)
    models = [cast(RoutingModel, Model(machine)) for _ in range(2)]
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 5

    with pytest.raises(Cancelled):
        measure_latencies(models, ITEMS, limit=LIMIT, cancelled=cancelled, clock=machine.clock)
