"""Copy of the most alike item: weighted agreement over the declared attributes, as a planner would look for one."""

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.accuracy.asking import Asked, Ints, Proposal, Step, Times
from benchmarks.accuracy.plant import Label, Plant
from benchmarks.accuracy.simple import FamilyHabit
from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.demo.check import word_sets

_CELLS = 5_000_000  # comparisons at a time
_CODE_BEGINNING = 4
_RATIO_SHARPNESS = 3.0  # sizes agree by exp(-3 |log of their ratio|)

Scores = npt.NDArray[np.float32]


class NearestCopy:
    """Copies routing, work centres and booked times of the most alike item; the next most alike come second, third."""

    name = "nearest copy"

    def __init__(self, plant: Plant) -> None:
        """Keep the items of a plant that have a routing."""
        self._items = plant.items.filter(pl.col("item_code").is_in(plant.routed)).sort("item_code")
        self._attributes = [a for a in plant.attributes if a.weight > 0 and not a.drawing]
        self._codes = self._items["item_code"].to_list()
        self._steps: dict[str, list[Step]] = {}
        columns = ("item_code", "operation_code", "occurrence", "resource_code", "inside")
        for code, operation, occurrence, resource, inside in plant.steps.select(columns).iter_rows():
            step = Step(label=(operation, occurrence), resource=resource, inside=inside)
            self._steps.setdefault(code, []).append(step)
        self._times = _item_times(plant)
        self._family = FamilyHabit(plant)

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return what the three different routings nearest to each item are."""
        proposals = []
        for found in self._ranked(asked, 30):
            codes = [self._codes[place] for place in found]
            signatures = [tuple(step.label[0] for step in self._steps[code]) for code in codes]
            distinct = list(dict.fromkeys(signatures))[:3]
            proposals.append(Proposal(signatures=tuple(distinct), steps=tuple(self._steps[codes[0]])))
        return proposals

    def minutes(self, asked: Asked) -> Times:
        """Return the most alike item's mean times where it did the operation, else its family's."""
        nearest = [self._codes[found[0]] for found in self._ranked(asked, 1)]
        times = self._family.minutes(asked)
        value = times.value.copy()
        for row, label in enumerate(asked.order_label):
            own = self._times.get((nearest[int(asked.order_item[row])], label))
            if own is not None:
                value[row] = own[0] + own[1] * asked.quantity[row]
        return Times(value=value, low=np.minimum(times.low, value), high=np.maximum(times.high, value))

    def _ranked(self, asked: Asked, count: int) -> list[list[int]]:
        together = pl.concat([self._items, asked.items], how="vertical_relaxed")
        compared = [_Compared(together[a.name], a, self._items.height) for a in self._attributes]
        at_a_time = max(1, _CELLS // self._items.height)
        found: list[list[int]] = []
        for start in range(0, len(asked.codes), at_a_time):
            part = np.arange(start, min(start + at_a_time, len(asked.codes)))
            score = np.zeros((len(part), self._items.height), dtype=np.float32)
            for each in compared:
                score += each.agreement(part)
            order = np.argsort(-score, axis=1, kind="stable")[:, :count]
            found += order.tolist()
        return found


def _item_times(plant: Plant) -> dict[tuple[str, Label], tuple[float, float]]:
    """Return mean setup and mean run per piece of each item's operations."""
    means = plant.orders.group_by("item_code", "operation_code", "occurrence").agg(
        pl.col("setup").mean(), (pl.col("run") / pl.col("quantity")).mean().alias("rate")
    )
    return {(code, (operation, occurrence)): (setup, rate) for code, operation, occurrence, setup, rate in means.rows()}


class _Compared:
    """One attribute of the known items, then of the asked ones, ready to be compared: 0 to 1, times its weight."""

    def __init__(self, values: pl.Series, attribute: Attribute, known: int) -> None:
        self._weight = np.float32(attribute.weight)
        self._kind, self._known = attribute.kind, known
        if self._kind is AttributeKind.NUMERIC:
            positive = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
            with np.errstate(invalid="ignore", divide="ignore"):
                self._logs = np.log(positive).astype(np.float32)
        elif self._kind is AttributeKind.TEXT:
            sets, self._likeness = word_sets(values.str.to_uppercase())
            self._ranks = sets.astype(np.int64)
        else:
            self._ranks = _ranks(values.cast(pl.String))
            self._beginnings = _ranks(values.cast(pl.String).str.head(_CODE_BEGINNING))

    def agreement(self, asked: Ints) -> Scores:
        """Return asked x known agreement."""
        if self._kind is AttributeKind.NUMERIC:
            with np.errstate(invalid="ignore"):
                apart = np.abs(self._logs[self._known + asked][:, None] - self._logs[None, : self._known])
            return np.asarray(
                np.nan_to_num(np.exp(-_RATIO_SHARPNESS * apart) * self._weight, nan=0.0), dtype=np.float32
            )
        if self._kind is AttributeKind.TEXT:
            alike = self._likeness[self._ranks[self._known + asked]]
            return np.asarray(alike[:, self._ranks[: self._known]] * self._weight, dtype=np.float32)
        same = self._same(self._ranks, asked)
        if self._kind is AttributeKind.CODE:
            same = (same + self._same(self._beginnings, asked)) / np.float32(2)
        return np.asarray(same * self._weight, dtype=np.float32)

    def _same(self, ranks: Ints, asked: Ints) -> Scores:
        own = np.where(ranks[self._known + asked] > 0, ranks[self._known + asked], -1)  # unknown is like no other
        return np.asarray(own[:, None] == ranks[None, : self._known], dtype=np.float32)


def _ranks(values: pl.Series) -> Ints:
    return values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
