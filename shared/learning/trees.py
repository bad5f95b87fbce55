"""Boosted trees as flat arrays, walked by bit masks with numpy alone.

Every tree has at most 16 leaves, one bit each, from left to right. A split whose condition fails strikes out the leaves
on its left side; of the leaves that no split has struck out, the leftmost is the one the row falls into (Lucchese et
al., "QuickScorer", SIGIR 2015). So all splits of all trees are judged at once, whatever their depth.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LEAVES = 16
_ROWS_AT_ONCE = 16  # keeps the words of a pass within the processor's cache

Ints32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def _lowest_bits() -> npt.NDArray[np.uint8]:
    """Return, for every word of 16 bits, the number of its lowest set bit."""
    words = np.arange(1 << MOST_LEAVES)
    words[0] = 1  # a word without bits never occurs: no split strikes out the leaf that the row falls into
    return np.asarray(np.log2(words & -words).astype(np.uint8))


_LOWEST = _lowest_bits()


@dataclass(frozen=True, kw_only=True)
class BoostedTrees:
    """Sums of trees, one sum an output; a row's value is the baseline and one leaf of each of the output's trees.

    A *condition* sends a row to the left: numeric ones (`column`, `threshold`) come first, then, by column, those
    that ask whether a category is among some. Missing values and categories that training never saw go where the split
    sends missing ones. Splits are laid out by their rank in their tree, trees with many splits first, so that the trees
    of a rank follow each other and one operation strikes out leaves of all of them.
    """

    columns: int  # of the rows
    baseline: Floats  # (outputs,)
    column: Ints32  # (numeric,) of the row, plus `columns` where missing values go to the left
    threshold: Floats  # (numeric,)
    category_columns: Ints32  # (category columns,) of the row
    asking: Ints32  # (category columns,) how many conditions ask about it
    slots: Ints32  # (category columns,) codes below this are told apart; one slot more is for all others
    among: npt.NDArray[np.bool_]  # column by column (slots + 1, asking): whether the category goes to the left
    condition: Ints32  # (splits,)
    kept: npt.NDArray[np.uint16]  # (splits,) leaves that are left if the condition fails
    ranks: Ints32  # how many trees have a split of rank 0, 1, ...
    tree: Ints32  # (trees,) where an output's next tree stands in the layout
    first_leaf: Ints32  # (trees,)
    leaves: Floats
    grown: Ints32  # outputs that have trees
    first_tree: Ints32  # (grown,)

    def values(self, rows: npt.NDArray[np.float32]) -> Floats:
        """Return the raw scores (n, outputs) of rows (n, columns); NaN is a missing value."""
        found = np.repeat(self.baseline[None, :], len(rows), axis=0)
        if len(self.grown):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                found[part, self.grown] += self._sums(rows[part].astype(np.float64))
        return found

    def _sums(self, rows: Floats) -> Floats:
        words = np.negative(self._conditions(rows).view(np.uint8), dtype=np.uint16)
        left = words.take(self.condition, axis=1)
        left |= self.kept
        struck = left[:, : self.ranks[0]]
        start = int(self.ranks[0])
        for trees in self._later_ranks:
            struck[:, :trees] &= left[:, start : start + trees]
            start += trees
        leaf = _LOWEST[struck].take(self.tree, axis=1)
        return np.add.reduceat(self.leaves[self.first_leaf + leaf], self.first_tree, axis=1)

    def _conditions(self, rows: Floats) -> npt.NDArray[np.bool_]:
        """Tell which conditions hold: (rows, conditions)."""
        missing, numeric = np.isnan(rows), len(self.column)
        category, first, step = self._lookups
        found = np.empty((len(rows), numeric + len(category)), dtype=np.bool_)
        either = np.concatenate([rows, np.where(missing, -np.inf, rows)], axis=1)
        np.less_equal(either.take(self.column, axis=1), self.threshold, out=found[:, :numeric])
        codes = rows[:, self.category_columns]
        slot = np.where((codes >= 0) & (codes < self.slots), codes, self.slots).astype(np.intp)
        found[:, numeric:] = self.among.take(slot.take(category, axis=1) * step + first)
        return found

    @cached_property
    def _lookups(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return, by condition on a category, which category column it asks about, and where in `among` its slots lie.

        The first slot's place, and how far the next slot's is from it.
        """
        asking = self.asking.astype(np.intp)
        sizes = (self.slots.astype(np.intp) + 1) * asking
        category = np.repeat(np.arange(len(asking)), asking)
        within = np.arange(len(category)) - np.repeat(np.cumsum(asking) - asking, asking)
        return category, (np.cumsum(sizes) - sizes)[category] + within, asking[category]

    @cached_property
    def _later_ranks(self) -> list[int]:
        return [int(trees) for trees in self.ranks[1:]]

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"among": np.packbits(self.among), "among_size": len(self.among)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "BoostedTrees":
        """Return what `state` was made of."""
        among = np.unpackbits(state["among"], count=int(state["among_size"])).astype(np.bool_)
        return cls(**{field.name: state[field.name] for field in fields(cls) if field.name != "among"}, among=among)
