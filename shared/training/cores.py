"""How many of the machine's cores a training may use."""

import os


def training_cores(wanted: int = 0) -> int:
    """Return how many cores to use: as many as wanted, where there are so many; 0 means all but one.

    One core is left to predictions unless a person says otherwise.
    """
    there = os.cpu_count() or 2
    return min(wanted, there) if wanted else max(1, there - 1)
