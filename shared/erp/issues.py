"""Bad rows are counted per reason with a few samples, never silently dropped and never fatal."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

SAMPLES_KEPT = 5


@dataclass
class IssueLog:
    """What was wrong with the rows of each table: a count and up to five samples for each reason."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, table: str, reason: str, count: int, samples: Iterable[str] = ()) -> None:
        """Count `count` more rows of `table` under `reason`; nothing is noted for a count of zero."""
        if count <= 0:
            return
        reasons = self.counts.setdefault(table, {})
        reasons[reason] = reasons.get(reason, 0) + count
        kept = self.samples.setdefault(table, {}).setdefault(reason, [])
        kept.extend(list(samples)[: SAMPLES_KEPT - len(kept)])

    def include(self, later: "IssueLog") -> None:
        """Add what another log counted, behind what this one did."""
        for table, reasons in later.counts.items():
            for reason, count in reasons.items():
                self.add(table, reason, count, later.samples[table][reason])

    def add_rows(
        self,
        table: str,
        reason: str,
        bad: pl.Series,
        key: pl.Series,
        value: pl.Series | None = None,
        first_row: int = 0,
    ) -> None:
        """Count the rows where `bad` is true; samples show their key and, where given, the offending value.

        A row without a key is shown by its number in the table, of which `first_row` rows came in earlier batches.
        """
        hits = bad.arg_true()
        count = hits.len()
        if count == 0:
            return
        rows = hits.head(SAMPLES_KEPT)
        keys = key.gather(rows).to_list()
        values = [None] * len(keys) if value is None else value.gather(rows).to_list()
        self.add(
            table, reason, count, [_sample(first_row + row, k, v) for row, k, v in zip(rows, keys, values, strict=True)]
        )


def _sample(row: int, key: object, value: object) -> str:
    shown = f"row {row + 1}" if key is None else str(key)
    return shown if value is None else f"{shown}: {value}"
