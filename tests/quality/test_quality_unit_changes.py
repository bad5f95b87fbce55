"""Another unit in the booked minutes is told, and ordinary scatter and slips of the pen are not."""

import numpy as np
import pytest

from shared.quality.observations import OrderObservation
from shared.quality.unit_changes import find_unit_changes


def booked(code: str, ratios: list[float], items: int = 12) -> list[OrderObservation]:
    return [
        OrderObservation(f"item-{n % items}", "F", code, 10, n, 1.0, 1.0, 40.0, 20.0, 80.0, 40.0 * ratio)
        for n, ratio in enumerate(ratios)
    ]


def scatter(seed: int, count: int) -> list[float]:
    return [float(ratio) for ratio in np.random.default_rng(seed).lognormal(0, 0.4, count)]


@pytest.mark.parametrize("factor", [60.0, 1 / 60, 3_600.0, 0.01])
def test_an_operation_booked_in_another_unit_is_named_with_the_factor(factor: float) -> None:
    some = scatter(1, 60) + [factor * ratio for ratio in scatter(2, 30)]
    [found] = find_unit_changes(booked("AS90", some) + booked("MC10", scatter(3, 90)))

    assert found.operation_code == "AS90"
    assert found.factor == pytest.approx(factor)
    assert found.share == pytest.approx(1 / 3, abs=0.12)
    assert found.items == 12
    assert "AS90" in found.message


def test_slips_stoppages_and_few_items_are_no_other_unit() -> None:
    slips = scatter(4, 200) + [60.0] * 6
    slow = [8 * ratio for ratio in scatter(5, 40)]
    one_item = booked("LP40", [60.0] * 30, items=3)

    assert find_unit_changes(booked("AS90", slips) + booked("MC10", slow) + one_item) == []
    assert find_unit_changes([]) == []
