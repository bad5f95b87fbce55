"""Writing an export entry by entry, so that a batch of any length needs no more memory than its longest part."""

from collections.abc import Iterable
from typing import Protocol

from shared.prediction.exports.entries import Entry


class Writer(Protocol):
    """One export being written."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the next entries."""

    def finish(self) -> None:
        """Write what comes behind the last entry."""
