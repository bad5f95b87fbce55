"""Which features tell anything about the routings of other drawings: the rest only names items that are known already.

A feature that tells sisters apart (a group number, the beginning of a drawing's number) looks useful to a learner that
sees the sisters' routings, and misleads it about a new item. So every item is judged by its feature's value among items
of other drawings, and what does not help there is left out.
"""

import numpy as np
import numpy.typing as npt

_BINS = 32
_PRIOR_ITEMS = 1.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def informative(
    rows: npt.NDArray[np.float32], categorical: npt.NDArray[np.bool_], targets: npt.NDArray[np.bool_], groups: Ints
) -> npt.NDArray[np.bool_]:
    """Tell which features help to know the targets of items of other drawings.

    Args:
        rows: the items' features, (items, features), as `FeatureTable.rows` returns them.
        categorical: which features are categories.
        targets: (items, outputs), such as which operations an item's routing has.
        groups: items of one drawing share a number.
    """
    wanted = targets.astype(np.float64)
    drawings = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    usual = ((wanted - wanted.mean(axis=0)) ** 2).sum()
    useful = np.zeros(rows.shape[1], dtype=np.bool_)
    for feature, is_category in enumerate(categorical.tolist()):
        values = _values(rows[:, feature], is_category=is_category)
        useful[feature] = ((wanted - _told_by_others(values, wanted, drawings)) ** 2).sum() < usual
    return useful


def _values(column: npt.NDArray[np.float32], *, is_category: bool) -> Ints:
    """Return which value, or which of about equally filled bins, each item has; missing is one too."""
    known = ~np.isnan(column)
    if not is_category and known.any():
        edges = np.unique(np.quantile(column[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
        column = np.where(known, np.searchsorted(edges, column, side="right"), np.nan).astype(np.float32)
    return np.unique(np.where(known, column, -1), return_inverse=True)[1].astype(np.int64)


def _told_by_others(values: Ints, wanted: Floats, drawings: Ints) -> Floats:
    """Return the mean of the targets among items of the same value and other drawings, held to the mean of all."""
    sums, sizes = _sums(values, wanted)
    pairs = np.unique(values * (int(drawings.max()) + 1) + drawings, return_inverse=True)[1].astype(np.int64)
    own_sums, own_sizes = _sums(pairs, wanted)
    others = sums[values] - own_sums[pairs] + _PRIOR_ITEMS * wanted.mean(axis=0)
    return np.asarray(others / (sizes[values] - own_sizes[pairs] + _PRIOR_ITEMS)[:, None])


def _sums(keys: Ints, wanted: Floats) -> tuple[Floats, Ints]:
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(keys[order]) != 0]))
    return np.asarray(np.add.reduceat(wanted[order], starts, axis=0)), np.bincount(keys)
