"""Boosted trees as flat arrays, walked by bit masks with numpy alone.

Every tree has at most 16 leaves, one bit each, from left to right. A split whose condition fails strikes out the leaves
on its left side; of the leaves that no split has struck out, the leftmost is the one the row falls into (Lucchese et
al., "QuickScorer", SIGIR 2015). So all splits of all trees are judged at once, whatever their depth.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LEAVES = 16
_ROWS_AT_ONCE = 32  # keeps the words of a pass within the processor's cache

Ints32 = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]
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
        found = self.baseline[None, :].repeat(len(rows), axis=0)
        if len(self.grown):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                found[part, self._places] += self._sums(rows[part].astype(np.float64))
        return found

    def _sums(self, rows: Floats) -> Floats:
        # A split's words of all rows lie together: they are copied as one piece.
        words = np.negative(self._conditions(rows).view(np.uint8).T, dtype=np.uint16, order="C")
        condition, kept, tree, first_leaf = self._gathered
        left = words.take(condition, axis=0)
        left |= kept
        for first, later in self._ranked:
            struck = left[first]
            struck &= left[later]
        leaf = _LOWEST.take(left[: len(tree)]).take(tree, axis=0) + first_leaf
        return np.add.reduceat(self.leaves.take(leaf), self.first_tree, axis=0).T

    def _conditions(self, rows: Floats) -> npt.NDArray[np.bool_]:
        """Tell which conditions hold: (rows, conditions)."""
        column, columns = self._read
        numeric = len(column)
        found = np.empty((len(rows), numeric + self._asked), dtype=np.bool_)
        either = np.concatenate([rows, rows], axis=1)
        right = either[:, self.columns :]
        right[np.isnan(right)] = -np.inf
        np.less_equal(either.take(column, axis=1), self.threshold, out=found[:, :numeric])
        if len(columns):
            for mine, codes in zip(found[:, numeric:], rows.take(columns, axis=1).tolist(), strict=True):
                told = [
                    table[int(code) if 0 <= code < other else other]
                    for code, (other, table) in zip(codes, self._tables, strict=True)
                ]
                np.concatenate(told, out=mine)
        return found

    @cached_property
    def _places(self) -> slice | Ints32:
        """Return which outputs have trees, as what is quickest to index with."""
        return slice(None) if len(self.grown) == len(self.baseline) else self.grown

    @cached_property
    def _asked(self) -> int:
        """Return how many conditions ask about categories."""
        return int(self.asking.sum())

    @cached_property
    def _read(self) -> tuple[Places, Places]:
        """Return `column` and `category_columns` as numpy wants places."""
        return self.column.astype(np.intp), self.category_columns.astype(np.intp)

    @cached_property
    def _gathered(self) -> tuple[Places, npt.NDArray[np.uint16], Places, Places]:
        """Return `condition`, `kept`, `tree` and `first_leaf` for words that lie in columns."""
        return (
            self.condition.astype(np.intp), self.kept[:, None], self.tree.astype(np.intp),
            self.first_leaf.astype(np.intp)[:, None],
        )  # fmt: skip

    @cached_property
    def _ranked(self) -> list[tuple[slice, slice]]:
        """Return, for every rank but the first, which trees have one, and where its words lie."""
        ends = np.cumsum(self.ranks).tolist()
        return [(slice(0, end - start), slice(start, end)) for start, end in pairwise(ends)]

    @cached_property
    def _tables(self) -> list[tuple[int, npt.NDArray[np.bool_]]]:
        """Return, by category column, its slot for all other codes, and (slots + 1, asking) what goes to the left."""
        shapes = list(zip(self.slots.tolist(), self.asking.tolist(), strict=True))
        ends = np.cumsum([0, *((other + 1) * wide for other, wide in shapes)]).tolist()
        parts = [self.among[start:end] for start, end in pairwise(ends)]
        return [(other, part.reshape(other + 1, wide)) for part, (other, wide) in zip(parts, shapes, strict=True)]

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"among": np.packbits(self.among), "among_size": len(self.among)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "BoostedTrees":
        """Return what `state` was made of."""
        among = np.unpackbits(state["among"], count=int(state["among_size"])).astype(np.bool_)
        return cls(**{field.name: state[field.name] for field in fields(cls) if field.name != "among"}, among=among)
