"""Errors drawn by chance: log-normal, alike within an item and within a drawing, and shared between models."""

from dataclasses import dataclass

import numpy as np

from benchmarks.comparison.universe import Answers, Universe
from shared.quality.observations import OrderObservation, RoutingObservation, Tally

FAMILIES = 40
OPERATIONS = 6


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """How errors scatter, as standard deviations of logarithms; the shares of an item's are common to all models."""

    between_items: float
    between_orders: float
    of_model: float  # each model's own, by item
    of_model_by_step: float  # … and by the item's operation
    orders_an_item: float = 8.0
    sisters: float = 0.2  # chance that an item belongs to the drawing of the one before


# As the demo factory's models of disjoint halves scatter: errors correlate by 0.93 (in logarithms).
ALIKE = Scatter(between_items=0.7, between_orders=0.75, of_model=0.15, of_model_by_step=0.25)
# As two learners of another kind: half of the scatter that is not an order's own luck is each one's own.
UNLIKE = Scatter(between_items=0.7, between_orders=0.75, of_model=0.30, of_model_by_step=0.45)


def invent(rng: np.random.Generator, *, items: int, models: int, scatter: Scatter) -> Universe:
    """Return a universe of models that err equally much in the long run."""
    weights = 1.0 / np.arange(1, FAMILIES + 1)
    family = rng.choice(FAMILIES, items, p=weights / weights.sum())
    orders = 1 + rng.geometric(1 / scatter.orders_an_item, items)
    place = np.repeat(np.arange(items), orders)
    common = rng.normal(0, scatter.between_items, items)[place] + rng.normal(0, scatter.between_orders, len(place))
    booked = np.exp(rng.normal(4.5, 0.8, items)[place] + rng.normal(0, 0.3, len(place)))
    sign = np.where(rng.random(len(place)) < 0.5, -1.0, 1.0)
    drawing = np.cumsum(rng.random(items) >= scatter.sisters)
    codes = [f"item-{number:05}" for number in range(items)]
    starts = np.concatenate([[0], np.cumsum(orders)])
    step = rng.integers(0, OPERATIONS, len(place))
    answers = []
    for _ in range(models):
        own = rng.normal(0, scatter.of_model, items)[place]
        own += rng.normal(0, scatter.of_model_by_step, (items, OPERATIONS))[place, step]
        predicted = booked + sign * np.exp(2.5 + common + own)
        hits = rng.binomial(OPERATIONS, 0.95, items)
        answers.append(
            Answers(
                {
                    code: [
                        OrderObservation(
                            code, f"F{family[i]:02}", "TURN", 10, number - int(starts[i]), 1.0, 1.0,
                            float(predicted[number]), 0.0, 0.0, float(booked[number]),
                        )
                        for number in range(starts[i], starts[i + 1])
                    ]
                    for i, code in enumerate(codes)
                },
                {code: _routing(code, f"F{family[i]:02}", int(hits[i])) for i, code in enumerate(codes)},
            )
        )  # fmt: skip
    drawings: dict[str, list[str]] = {}
    for code, number in zip(codes, drawing, strict=True):
        drawings.setdefault(f"drawing-{number}", []).append(code)
    return Universe(drawings=drawings, models=tuple(answers))


def _routing(code: str, family: str, hits: int) -> RoutingObservation:
    actual = tuple(f"OP{number}" for number in range(OPERATIONS))
    nothing = Tally(0, 0)
    return RoutingObservation(
        item_code=code, family=family, weight=1.0, actual_codes=actual, predicted_codes=actual[:hits],
        matched=Tally(hits, OPERATIONS), exact_first=hits == OPERATIONS, exact_among_three=hits == OPERATIONS,
        edit_distance=1 - hits / OPERATIONS, precedence=nothing, work_centres=nothing, in_house=nothing,
        outsourced=nothing, unpredicted_orders=0, matched_by_operation=(),
    )  # fmt: skip
