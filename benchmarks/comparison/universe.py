"""Several models' answers for one set of items, from which comparisons are drawn as samples of whole drawings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shared.quality.evaluate import Evaluation
from shared.quality.intervals import trimmed_means
from shared.quality.observations import OrderObservation, RoutingObservation

Floats = NDArray[np.float64]

TRIM_SHARE = 0.1


@dataclass(frozen=True)
class Answers:
    """One model's answers: by item its booked orders beside the predicted minutes, and its routing."""

    orders: Mapping[str, Sequence[OrderObservation]]
    routings: Mapping[str, RoutingObservation]
    factor: float = 1.0  # every error is so many times what it was
    of_family: Mapping[str, float] = field(default_factory=dict)  # … and so many times besides

    @cached_property
    def errors(self) -> dict[str, Floats]:
        """Each item's absolute errors in minutes."""
        return {
            item: self._times(rows[0].family)
            * np.array([abs(row.predicted_minutes - row.booked_minutes) for row in rows])
            for item, rows in self.orders.items()
        }

    @cached_property
    def true_trim_mae(self) -> float:
        """The trimmed MAE over all items in minutes."""
        return self.trim_mae(tuple(self.orders))

    def trim_mae(self, items: Sequence[str]) -> float:
        """Return the trimmed MAE over these items in minutes."""
        values = np.sort(np.concatenate([self.errors[item] for item in items if item in self.errors] or [np.zeros(0)]))
        return float(trimmed_means(values, np.ones((1, len(values))), TRIM_SHARE)[0])

    def of(self, items: Sequence[str]) -> tuple[OrderObservation, ...]:
        """Return these items' orders, the errors as great as `factor` and `of_family` say."""
        if self.factor == 1.0 and not self.of_family:
            return tuple(row for item in items for row in self.orders.get(item, ()))
        return tuple(
            row._replace(
                predicted_minutes=row.booked_minutes
                + self._times(row.family) * (row.predicted_minutes - row.booked_minutes)
            )
            for item in items
            for row in self.orders.get(item, ())
        )

    def _times(self, family: str) -> float:
        return self.factor * self.of_family.get(family, 1.0)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Items drawn for one comparison, sisters together."""

    items: tuple[str, ...]
    drawings: Mapping[str, str]  # item -> what its sisters share


@dataclass(frozen=True, kw_only=True)
class Universe:
    """Models of one recipe, and the items that all of them were asked as if unknown."""

    drawings: Mapping[str, Sequence[str]]  # a drawing's items
    models: tuple[Answers, ...]

    @cached_property
    def items(self) -> tuple[str, ...]:
        """Every item once."""
        return tuple(item for items in self.drawings.values() for item in items)

    @cached_property
    def largest_families(self) -> list[str]:
        """The families' names, those with most items first."""
        count: dict[str, int] = {}
        for routing in self.models[0].routings.values():
            count[routing.family] = count.get(routing.family, 0) + 1
        return sorted(count, key=lambda name: (-count[name], name))

    @cached_property
    def _names(self) -> list[str]:
        return list(self.drawings)

    def samples(self, rng: np.random.Generator, *sizes: int) -> list[Sample]:
        """Draw samples of so many items each, whole drawings, none twice: a family has few, which are no more alike.

        Raises:
            ValueError: there are not so many items.
        """
        if sum(sizes) > len(self.items):
            raise ValueError(f"{sum(sizes)} items were asked for, and there are {len(self.items)}.")
        order = iter(rng.permutation(len(self._names)))
        return [self._sample(order, size) for size in sizes]

    def _sample(self, order: Iterator[int], items: int) -> Sample:
        sisters: dict[str, str] = {}
        while len(sisters) < items:
            drawing = self._names[next(order)]
            sisters.update(dict.fromkeys(self.drawings[drawing], drawing))
        return Sample(items=tuple(sisters), drawings=sisters)


def evaluation(answers: Answers, sample: Sample) -> Evaluation:
    """Return what `shared.quality.evaluate` would have returned for the sample."""
    return Evaluation(
        orders=answers.of(sample.items),
        routings=tuple(answers.routings[item] for item in sample.items if item in answers.routings),
        asked=len(sample.items),
        abstained=(),
        incomparable=(),
        failed={},
        failed_count=0,
    )
