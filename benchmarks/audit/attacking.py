"""Attack a copy of an audit, once each time, and count what its verification says."""

import random
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.audit.making import Copy
from benchmarks.audit.mutating import MUTATIONS


@dataclass(kw_only=True)
class Outcome:
    """How often each kind was tried, and how often it was found."""

    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    @property
    def all_found(self) -> bool:
        """Whether nothing got by."""
        return self.tried == self.found


def attack(copy: Copy, changes: int, seed: int) -> Outcome:
    """Make `changes` random changes, each to the untouched audit, and verify after each."""
    outcome = Outcome()
    number = 0
    while sum(outcome.tried.values()) < changes:
        mutation, dice = MUTATIONS[number % len(MUTATIONS)], random.Random(seed * 1_000_003 + number)
        number += 1
        rows = mutation(copy.rows, dice)
        if sorted(rows, key=repr) == sorted(copy.rows, key=repr):
            continue  # two equal values changed places: nothing was changed
        copy.put(rows)
        kind = mutation.__name__
        outcome.tried[kind] += 1
        if copy.seal.verify().ok:
            outcome.missed.append(f"{kind}, number {number - 1}")
        else:
            outcome.found[kind] += 1
    copy.put(copy.rows)
    return outcome
