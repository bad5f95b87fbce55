"""Which routing rows each fitted figure may have seen.

A *view* leaves out one fold, the last view nothing. Every view's own choices are measured on rows that its figures have
not seen: the factory is dealt into *parts* (the folds; halves of them where there are only two), and each view is also
fitted without one part more. Such *pairs* are shared by the views they serve.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Ints, Items


def halves(numbers: Ints) -> Ints:
    """Deal numbers into two halves, 0 and 1, whatever order or rhythm they come in ("lowbias32", Wellons 2018)."""
    mixed = numbers.astype(np.uint32)
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x7FEB352D)
    mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x846CA68B)
    return np.asarray((mixed ^ (mixed >> np.uint32(16))) & np.uint32(1), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Views:
    """The parts of the factory and which of them each fitted set leaves out."""

    fold_count: int
    parts: Ints  # item -> part

    @classmethod
    def of(cls, items: Items) -> "Views":
        """Deal the items, those of one drawing together."""
        folds = items.folds.astype(np.int64)
        parts = folds if items.fold_count > 2 else 2 * folds + halves(items.groups)
        return cls(fold_count=items.fold_count, parts=parts)

    @property
    def count(self) -> int:
        """How many views there are."""
        return self.fold_count + 1

    @property
    def part_count(self) -> int:
        """How many parts there are."""
        return self.fold_count if self.fold_count > 2 else 2 * self.fold_count

    def without(self, view: int) -> frozenset[int]:
        """Return the parts that a view leaves out."""
        if view == self.fold_count:
            return frozenset()
        return frozenset({view}) if self.fold_count > 2 else frozenset({2 * view, 2 * view + 1})

    def outside_parts(self, view: int) -> npt.NDArray[np.bool_]:
        """Tell which parts a view may know."""
        return np.asarray(~np.isin(np.arange(self.part_count), list(self.without(view))), dtype=np.bool_)

    def outside(self, view: int) -> npt.NDArray[np.bool_]:
        """Tell which items a view may know."""
        return self.outside_parts(view)[self.parts]

    def fold_of(self, part: int) -> int:
        """Return the fold that a part belongs to."""
        return part if self.fold_count > 2 else part // 2

    def apart(self, view: int, part: int) -> frozenset[int]:
        """Return what is left out where a view's figures are measured on a part it has seen."""
        return self.without(self.fold_of(part)) if view == self.fold_count else self.without(view) | {part}

    @cached_property
    def measured(self) -> list[frozenset[int]]:
        """Return all sets that leave out what figures are measured on."""
        return [*self.pairs, *(self.without(fold) for fold in range(self.fold_count))]

    @cached_property
    def pairs(self) -> list[frozenset[int]]:
        """Return the sets that leave out a fold and one part more."""
        found = {
            self.apart(view, part)
            for view in range(self.fold_count)
            for part in range(self.part_count)
            if part not in self.without(view)
        }
        return sorted(found, key=sorted)
