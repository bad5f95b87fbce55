"""The opponents that a planner could be without any product: family habits, and the mean of the last ten orders."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import Asked, Floats, Proposal, Step, Times
from benchmarks.accuracy.plant import Label, Plant

LAST_ORDERS = 10
TAILS = (0.1, 0.9)

Key = tuple[str | None, ...]
Keys = Callable[[str, str, Label, str | None], Iterator[Key]]  # of item, family, operation and work centre
T = TypeVar("T")


class FamilyHabit:
    """The family's most frequent routings, its most frequent work centres, and its mean times."""

    name = "family"

    def __init__(self, plant: Plant) -> None:
        """Count the habits of the families of a plant."""
        family = dict(plant.items.select("item_code", "family").iter_rows())
        self._routings: dict[str | None, Counter[tuple[Label, ...]]] = defaultdict(Counter)
        for code, labels in plant.routings().items():
            for key in (family[code], None):
                self._routings[key][tuple(labels)] += 1
        self._centres: dict[tuple[str | None, Label], Counter[tuple[str | None, bool | None]]] = defaultdict(Counter)
        columns = ("item_code", "operation_code", "occurrence", "resource_code", "inside")
        for code, operation, occurrence, resource, inside in plant.steps.select(columns).iter_rows():
            for key in (family[code], None):
                self._centres[key, (operation, occurrence)][resource, inside] += 1
        self._times = _Means(plant, newest=None, keys=_family_keys)

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return the three most frequent routings of each item's family, or of all items where it has fewer."""
        return [self._proposal(family) for family in asked.families]

    def minutes(self, asked: Asked) -> Times:
        """Return the family's mean setup and mean run per piece at each order's quantity."""
        return self._times.minutes(asked)

    def _proposal(self, family: str) -> Proposal:
        best = _most_common(self._routings.get(family, Counter()), 3)
        best += [routing for routing in _most_common(self._routings[None], 6) if routing not in best]
        steps = []
        for label in best[0]:
            counted = self._centres.get((family, label)) or self._centres[None, label]
            resource, inside = _most_common(counted, 1)[0]
            steps.append(Step(label=label, resource=resource, inside=inside))
        return Proposal(
            signatures=tuple(tuple(code for code, _ in routing) for routing in best[:3]), steps=tuple(steps)
        )


class LastOrders:
    """The mean of the last ten orders of the same operation and work centre in the item's family.

    It is told the work centre of the item's own routing, which the product is not.
    """

    name = "last 10 orders"

    def __init__(self, plant: Plant, *, of_item: bool = False) -> None:
        """Take the newest orders of a plant; with `of_item` an item's own come before its family's."""
        self._times = _Means(plant, newest=LAST_ORDERS, keys=_item_keys if of_item else _centre_keys)

    def minutes(self, asked: Asked) -> Times:
        """Return mean setup and mean run per piece of those orders, at each asked order's quantity."""
        return self._times.minutes(asked)


def _family_keys(item: str, family: str, label: Label, centre: str | None) -> Iterator[Key]:
    del item, centre
    yield family, label[0], str(label[1])
    yield None, label[0], str(label[1])
    yield None, label[0]
    yield (None,)


def _item_keys(item: str, family: str, label: Label, centre: str | None) -> Iterator[Key]:
    yield "item", item, label[0], str(label[1])
    yield from _centre_keys(item, family, label, centre)


def _centre_keys(item: str, family: str, label: Label, centre: str | None) -> Iterator[Key]:
    del item
    yield family, label[0], centre or ""
    yield family, label[0]
    yield None, label[0], centre or ""
    yield None, label[0]
    yield (None,)


class _Means:
    """Means of setup and of run per piece by keys from narrow to wide, with the tails of what orders took."""

    def __init__(self, plant: Plant, *, newest: int | None, keys: Keys) -> None:
        self._keys = keys
        self._found: dict[Key, Floats] = {}
        gathered: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        for item, family, label, centre, setup, rate in _booked(plant):
            for key in keys(item, family, label, centre):
                gathered[key].append((setup, rate))
        for key, rows in gathered.items():
            self._found[key] = _summary(np.array(rows[-newest:] if newest else rows))

    def minutes(self, asked: Asked) -> Times:
        """Return the narrowest key's means at each asked order's quantity, with its 10 % and 90 % tails."""
        rows = np.full((len(asked.quantity), 6), np.nan)
        for row, label in enumerate(asked.order_label):
            item = int(asked.order_item[row])
            for key in self._keys(asked.codes[item], asked.families[item], label, asked.order_centre[row]):
                if key in self._found:
                    rows[row] = self._found[key]
                    break
        q = asked.quantity
        value = rows[:, 0] + rows[:, 1] * q
        return Times(
            value=value, low=np.minimum(rows[:, 2] + rows[:, 3] * q, value),
            high=np.maximum(rows[:, 4] + rows[:, 5] * q, value),
        )  # fmt: skip


def _summary(rows: Floats) -> Floats:
    """Return means of setup and run per piece, then their 10 % and their 90 % quantiles."""
    low, high = np.quantile(rows, TAILS, axis=0)
    return np.concatenate([rows.mean(axis=0), low, high])


def _booked(plant: Plant) -> Iterator[tuple[str, str, Label, str | None, float, float]]:
    """Yield item, family, operation, the routing's centre, setup and run per piece of every order, oldest first."""
    steps = plant.steps.select("item_code", "operation_code", "occurrence", "resource_code")
    rows = (
        plant.orders.join(steps, on=["item_code", "operation_code", "occurrence"], how="left")
        .join(plant.items.select("item_code", "family"), on="item_code")
        .sort("reported_at", "item_code", "order_key", nulls_last=False)
        .select(
            "item_code", "family", "operation_code", "occurrence", "resource_code", "setup",
            pl.col("run") / pl.col("quantity"),
        )
    )  # fmt: skip
    for item, family, operation, occurrence, centre, setup, rate in rows.iter_rows():
        yield item, family, (operation, occurrence), centre, setup, rate


def _most_common(counted: Counter[T], count: int) -> list[T]:
    """Return the most frequent, ties in the order of their text."""
    return sorted(counted, key=lambda thing: (-counted[thing], str(thing)))[:count]
