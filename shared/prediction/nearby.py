"""The items near each item of a batch, with their operations gathered for voting and for times.

Everything is flat: the near items of the asked item `b` are `bounds[b]:bounds[b + 1]`, nearest first, and the routing
rows of the near items follow each other in the same order. One asked item is a batch of one.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Routings


def ranges(starts: Ints, sizes: Ints) -> Ints:
    """Return `start, start + 1, …` of every range, one range after the other."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - sizes), sizes))


@dataclass(frozen=True, kw_only=True)
class Nearby:
    """The neighbours of a batch; `own` is an asked item's place where its own results may be used, else -1."""

    routings: Routings
    bounds: Ints  # (batch + 1,)
    places: Ints  # (near,) of items
    similarities: Floats  # (near,)
    own: Ints  # (batch,)
    _matches: dict[tuple[bytes, bytes], tuple[Ints, Ints]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def asked(self) -> Ints:
        """Return which asked item each near item is near to."""
        return np.repeat(np.arange(len(self.own)), np.diff(self.bounds))

    @cached_property
    def voters(self) -> npt.NDArray[np.bool_]:
        """Tell which near items vote: all but the asked item itself."""
        return np.asarray(self.places != self.own[self.asked])

    @cached_property
    def nearest(self) -> Floats:
        """Return each asked item's greatest similarity to one that votes, -inf where none does."""
        found = np.full(len(self.own), -np.inf)
        some = np.flatnonzero(np.diff(self.bounds) > 0)
        if len(some):
            heard = np.where(self.voters, self.similarities, -np.inf)
            found[some] = np.maximum.reduceat(heard, self.bounds[some])
        return found

    @cached_property
    def _sizes(self) -> Ints:
        offsets = self.routings.offsets
        return np.asarray(offsets[self.places + 1] - offsets[self.places])

    @cached_property
    def rows(self) -> Ints:
        """Return the near items' routing rows, near item by near item."""
        return ranges(self.routings.offsets[self.places], self._sizes)

    @cached_property
    def row_near(self) -> Ints:
        """Return which near item each of `rows` belongs to."""
        return np.repeat(np.arange(len(self.places)), self._sizes)

    @cached_property
    def row_asked(self) -> Ints:
        """Return which asked item each of `rows` is near to."""
        return self.asked[self.row_near]

    @cached_property
    def task(self) -> Ints:
        """Return the task of each of `rows`."""
        return self.routings.task[self.rows]

    @cached_property
    def _by_task(self) -> tuple[Ints, Ints]:
        keys = self.row_asked * self.routings.tasks + self.task
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def matching(self, asked: Ints, task: Ints) -> tuple[Ints, Ints]:
        """Return, for requests of a task near an asked item, flat pairs: request, and index into `rows`.

        Pairs come request by request, nearest items first. A task of -1 matches nothing. The same question is answered
        once: work centres, minutes and evidence all ask it.
        """
        question = (asked.tobytes(), task.tobytes())
        if question not in self._matches:
            self._matches[question] = self._match(asked, task)
        return self._matches[question]

    def _match(self, asked: Ints, task: Ints) -> tuple[Ints, Ints]:
        keys, order = self._by_task
        wanted = np.where(task >= 0, asked * self.routings.tasks + task, -1)
        first, last = np.searchsorted(keys, wanted, side="left"), np.searchsorted(keys, wanted, side="right")
        return np.repeat(np.arange(len(wanted)), last - first), order[ranges(first, last - first)]
