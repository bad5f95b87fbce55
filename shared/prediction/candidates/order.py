"""In which order the tasks of a set come: as in the near items' routings, else as in all."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.nearby import ranges

_NEAR = 1_000.0  # a near item's order counts as much as this many others'


@dataclass(frozen=True, kw_only=True)
class Precedence:
    """How many items do one task before another, once without each fold and once of all."""

    tasks: int
    pairs: Ints  # rising: earlier task * tasks + later task
    counts: Ints  # (views, pairs)

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def ordered(self, chosen: Ints, view: int, near_first: Floats) -> tuple[int, ...]:
        """Return the tasks in order; `near_first[a, b]` are the near items' votes for chosen a before chosen b.

        Tasks come by how many of the others they come before on balance (Copeland's way); equal ones by number.
        """
        keys = chosen[:, None] * self.tasks + chosen[None, :]
        place = np.minimum(np.searchsorted(self.pairs, keys), max(len(self.pairs) - 1, 0))
        known = self.pairs[place] == keys if len(self.pairs) else np.zeros(keys.shape, dtype=np.bool_)
        first = np.where(known, self.counts[view][place] if len(self.pairs) else 0, 0) + _NEAR * near_first
        wins = np.sign(first - first.T).sum(axis=1)
        return tuple(chosen[np.lexsort((chosen, -wins))].tolist())


def learn_order(routings: Routings, items: Items, routed: Ints) -> Precedence:
    """Count which tasks come before which."""
    sizes = routings.offsets[routed + 1] - routings.offsets[routed]
    starts = routings.offsets[routed]
    rows = ranges(starts, sizes)
    ends = np.repeat(starts + sizes, sizes)
    later = ranges(rows + 1, ends - rows - 1)
    earlier = np.repeat(rows, ends - rows - 1)
    keys = routings.task[earlier] * routings.tasks + routings.task[later]
    pairs, belongs = np.unique(keys, return_inverse=True)
    folds = np.repeat(np.repeat(items.folds[routed], sizes), ends - rows - 1)
    by_fold = [np.bincount(belongs[folds == fold], minlength=len(pairs)) for fold in range(items.fold_count)]
    total = np.sum(by_fold, axis=0)
    counts = np.stack([*(total - one for one in by_fold), total])
    return Precedence(tasks=routings.tasks, pairs=pairs.astype(np.int64), counts=counts.astype(np.int64))
