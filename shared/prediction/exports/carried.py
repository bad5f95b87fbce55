"""Columns of the ERP's routings that no prediction makes, taken along from the reference item's own steps.

Which columns these are is the mapping profile's to say (`routings.carry`).
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine

from shared.database.snapshots import SnapshotRows
from shared.errors import SourceError
from shared.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from shared.erp.snapshot import Snapshot

log = structlog.get_logger()

_StepKey = tuple[str, str, int]  # item, operation, and how often the operation came before in the item's routing
_ROW = ["item_code", "routing_no", "sequence", "operation_code", "valid_from", "valid_to"]


@dataclass(frozen=True, kw_only=True)
class CarriedStep:
    """What the ERP says of one step beside its operation and times."""

    texts: Mapping[str, str | None]  # by the source's column
    valid_from: date | None
    valid_to: date | None


class Carried:
    """The current steps of reference items, as a snapshot holds them; none without a snapshot."""

    def __init__(self, snapshot: "Snapshot | None" = None) -> None:
        """Read from the data that the predictions rest on."""
        self._snapshot = snapshot
        self._steps: dict[_StepKey, CarriedStep] = {}

    def step(self, item_code: str | None, operation_code: str, occurrence: int) -> CarriedStep | None:
        """Return an item's step by its operation, or None where it has no such step or was not read."""
        return None if item_code is None else self._steps.get((item_code, operation_code, occurrence))

    def read(self, item_codes: Collection[str]) -> None:
        """Hold the steps of these items instead of those read before."""
        self._steps = {} if self._snapshot is None else _steps(_current_rows(self._snapshot, item_codes))


def carried_from(settings: Settings, engine: Engine, fingerprint: str | None) -> Carried:
    """Return what reads the reference items' own steps from the snapshot of a fingerprint; nothing where it is gone.

    A damaged one is passed over, too: an export does without these columns, and every other stays right.
    """
    from shared.erp.snapshot import open_snapshot

    rows, _total = SnapshotRows(engine).list(limit=1_000)
    for row in rows:
        if row.fingerprint == fingerprint:
            try:
                return Carried(open_snapshot(settings.data_dir / row.folder))
            except SourceError as damaged:
                log.warning("export.without_snapshot", snapshot=row.id, error=damaged.detail)
    return Carried()


def _current_rows(snapshot: "Snapshot", item_codes: Collection[str]) -> "pl.DataFrame":
    """Return the rows, with every column, of the routings that the model would take for current."""
    import polars as pl

    from shared.prediction.memory import choose_current

    wanted = pl.Series(sorted(set(item_codes)), dtype=pl.String)
    table = pl.scan_parquet(snapshot.folder / "routings.parquet")
    rows = table.filter(pl.col("item_code").is_in(wanted.implode())).collect()
    rows = rows.with_columns(pl.col("routing_no").fill_null(""))
    chosen = choose_current(rows, snapshot.data_as_of.date()).filter("chosen").select(_ROW).unique()
    rows = rows.join(chosen, on=_ROW, how="semi", nulls_equal=True)
    return rows.sort("item_code", "routing_no", "sequence", "operation_code", maintain_order=True)


def _steps(rows: "pl.DataFrame") -> dict[_StepKey, CarriedStep]:
    from shared.erp.canonical import ROUTING_SCHEMA

    texts = [name for name in rows.columns if name not in ROUTING_SCHEMA]
    seen: Counter[tuple[str, str]] = Counter()
    steps: dict[_StepKey, CarriedStep] = {}
    for row in rows.iter_rows(named=True):
        key = (row["item_code"], row["operation_code"])
        steps[(*key, seen[key])] = CarriedStep(
            texts={name: row[name] for name in texts}, valid_from=row["valid_from"], valid_to=row["valid_to"]
        )
        seen[key] += 1
    return steps
