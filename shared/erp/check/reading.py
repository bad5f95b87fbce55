"""Reading a source for a check: only the first rows of each table, and every fault of a file counted once."""

from collections.abc import Generator, Sequence

import polars as pl

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceTable
from shared.erp.sources.passing import PassingSource
from shared.erp.sources.source import Condition, Source


class FileFaults:
    """What is wrong with the source's files. They are read several times, and each reading finds the same faults."""

    def __init__(self) -> None:
        self.of_this_reading = IssueLog()  # where the source counts
        self.counts: dict[str, dict[str, int]] = {}

    def end_reading(self) -> None:
        """Take over what the reading that ends now found, where no other found as much."""
        for file, reasons in self.of_this_reading.counts.items():
            known = self.counts.setdefault(file, {})
            for reason, count in reasons.items():
                known[reason] = max(count, known.get(reason, 0))
        self.of_this_reading.counts.clear()


class FirstRows(PassingSource):
    """A source of which only the first rows of each table are read, and counted."""

    def __init__(self, source: Source, limit: int | None, faults: FileFaults) -> None:
        super().__init__(source)
        self._limit = limit
        self._faults = faults
        self.rows_read = 0

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the columns of a table or query."""
        try:
            return super().columns(origin)
        finally:
            self._faults.end_reading()

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Generator[pl.DataFrame]:
        """Yield the first rows, as many as are wanted of each table."""
        self.rows_read = 0
        try:
            for batch in self._source.batches(origin, columns, where=where):
                wanted = batch if self._limit is None else batch.head(self._limit - self.rows_read)
                self.rows_read += wanted.height
                yield wanted
                if self._limit is not None and self.rows_read >= self._limit:
                    return
        finally:
            self._faults.end_reading()
