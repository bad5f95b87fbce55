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
    ends = sizes.cumsum()
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + (starts - (ends - sizes)).repeat(sizes))


@dataclass(frozen=True, kw_only=True)
class Nearby:
    """The neighbours of a batch; `own` is an asked item's place where its own results may be used, else -1."""

    routings: Routings
    bounds: Ints  # (batch + 1,)
    places: Ints  # (near,) of items
    similarities: Floats  # (near,)
    own: Ints  # (batch,)
    _matches: dict[tuple[bytes, bytes], "Matches"] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def sizes(self) -> Ints:
        """Return how many near items each asked item has."""
        return self.bounds[1:] - self.bounds[:-1]

    @cached_property
    def asked(self) -> Ints:
        """Return which asked item each near item is near to."""
        return np.arange(len(self.own)).repeat(self.sizes)

    @cached_property
    def voters(self) -> npt.NDArray[np.bool_]:
        """Tell which near items vote: all but the asked item itself."""
        return np.asarray(self.places != self.own.take(self.asked))

    @cached_property
    def nearest(self) -> Floats:
        """Return each asked item's greatest similarity to one that votes, -inf where none does."""
        found = np.full(len(self.own), -np.inf)
        heard = np.where(self.voters, self.similarities, -np.inf)
        some = self.sizes.nonzero()[0]
        if len(some):
            found[some] = np.maximum.reduceat(heard, self.bounds.take(some))
        return found

    @cached_property
    def behind(self) -> Floats:
        """Return how much less similar each near item is than the nearest one that votes, 0 where none does."""
        return np.asarray(np.maximum(self.nearest.take(self.asked) - self.similarities, 0.0))

    @cached_property
    def signature(self) -> Ints:
        """Return each near item's signature."""
        return self.routings.signature.take(self.places)

    @cached_property
    def routing_sizes(self) -> Ints:
        """Return how many operations each near item has."""
        offsets = self.routings.offsets
        return np.asarray(offsets.take(self.places + 1) - offsets.take(self.places))

    @cached_property
    def rows(self) -> Ints:
        """Return the near items' routing rows, near item by near item."""
        return ranges(self.routings.offsets.take(self.places), self.routing_sizes)

    @cached_property
    def row_near(self) -> Ints:
        """Return which near item each of `rows` belongs to."""
        return np.arange(len(self.places)).repeat(self.routing_sizes)

    @cached_property
    def row_bounds(self) -> Ints:
        """Return which of `rows` belong to the near items of each asked item: (batch + 1,)."""
        ends = np.zeros(len(self.places) + 1, dtype=np.int64)
        self.routing_sizes.cumsum(out=ends[1:])
        return ends.take(self.bounds)

    @cached_property
    def task(self) -> Ints:
        """Return the task of each of `rows`."""
        return self.routings.task.take(self.rows)

    @cached_property
    def cells(self) -> Ints:
        """Return the asked item and the task of each of `rows` as one number: `asked * tasks + task`."""
        return self.asked.take(self.row_near) * self.routings.tasks + self.task

    @cached_property
    def _by_task(self) -> tuple[Ints, Ints]:
        order = self.cells.argsort(kind="stable")
        return self.cells.take(order), order

    def matching(self, asked: Ints, task: Ints) -> "Matches":
        """Return the near items' routing rows of each requested task of an asked item.

        A task of -1 matches nothing. The same question is answered once: work centres, minutes and evidence all ask it.
        """
        question = (asked.tobytes(), task.tobytes())
        if question not in self._matches:
            self._matches[question] = self._match(asked, task)
        return self._matches[question]

    def _match(self, asked: Ints, task: Ints) -> "Matches":
        keys, order = self._by_task
        wanted = np.where(task >= 0, asked * self.routings.tasks + task, -1)
        first = keys.searchsorted(wanted)
        sizes = keys.searchsorted(wanted, side="right") - first
        index = order.take(ranges(first, sizes))
        return Matches(
            request=np.arange(len(wanted)).repeat(sizes), row=self.rows.take(index), member=self.row_near.take(index)
        )


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Routing rows of near items that answer requests, flat: request by request, nearest items first."""

    request: Ints
    row: Ints
    member: Ints  # which near item the row belongs to
