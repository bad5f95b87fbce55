"""What one measured cycle adds to the evidence, ready to be judged and to be stored with the cycle's end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from shared.clock import Clock, utc_now
from shared.quality.evidence.actuals import FreshItem, fresh_items, without
from shared.quality.evidence.reference import draw_reference
from shared.quality.evidence.store import EvidenceStore
from shared.quality.evidence.streams import Bounds, Evidence, Reading, advance, begin, readings
from shared.quality.measured import MeasuredCycle

log = structlog.get_logger()

LEAST_MISSED = 0.005  # a share of missed operations that no threshold is stricter than
HISTORY_TOLD = 60  # cycles of each stream that a report can plot


def nothing_stored(session: Session) -> None:
    """Store nothing."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """The evidence after a cycle."""

    readings: Sequence[Reading] = ()
    metrics: dict[str, Any] = field(default_factory=dict)  # the part `evidence` of the cycle's `metrics`
    write: Callable[[Session], None] = nothing_stored  # stores it, in the transaction that ends the cycle


class Scales:
    """Weighs cycles."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep the evidence in `engine`'s database."""
        self._store = EvidenceStore(engine, clock)

    def weigh(self, measured: MeasuredCycle) -> Weighed:
        """Return the evidence with what `measured` adds to it: actuals later than the model's data, each once.

        The first cycle of an activation draws the reference. A model that was never activated has no evidence.
        """
        version, cycle_id = measured.served.version, measured.row.id
        activation = self._store.activation(version)
        if activation is None:
            return Weighed(metrics={"evidence": {"message": f"{version} was never activated, so nothing is tested."}})
        kept = self._store.read(activation)
        before = kept.evidence or self._begin(measured, activation)
        fresh = _fresh(measured)
        tested = self._store.tested(activation, [key for item in fresh for key in item.keys])
        new = list(without(fresh, tested))
        after = advance(before, new, _bounds(measured), cycle_id)
        read = readings(after, measured.configuration.alarms.false_alarm_rate)
        keys = {key for item in new for key in item.keys}
        log.info("quality.evidence", cycle_id=cycle_id, activation=activation, items=len(new), actuals=len(keys))
        metrics = {
            "activation": activation,
            "cycles": after.cycles,
            "fresh_items": len(fresh),
            "new_items": len(new),
            "new_actuals": len(keys),
            "tested_before": len(tested),
            "streams": [_told(reading) for reading in read],
        }
        write: Callable[[Session], None] = nothing_stored
        if new or kept.evidence is None:
            write = self._store.writer(activation, version, cycle_id, kept, after, keys)
        return Weighed(readings=read, metrics={"evidence": metrics}, write=write)

    def _begin(self, measured: MeasuredCycle, activation: int) -> Evidence:
        reference = draw_reference(measured.snapshot, measured.served.model, seed=activation)
        log.info("quality.reference_drawn", activation=activation, items=sum(len(period) for period in reference))
        return begin(reference, cycles=self._store.cycles())


def _fresh(measured: MeasuredCycle) -> list[FreshItem]:
    until = measured.served.model.data_as_of.date()
    minimum = measured.configuration.quality.minimum_samples
    return fresh_items(measured.evaluation, measured.actuals, until, minimum)


def _bounds(measured: MeasuredCycle) -> Bounds:
    limits = measured.configuration.quality
    missed = max(1 - limits.minimum_process_match, LEAST_MISSED)
    return Bounds(mae_minutes=limits.maximum_mae_minutes, missed=missed, cv=limits.maximum_cv)


def _told(reading: Reading) -> dict[str, Any]:
    told = reading.as_json()
    told["history"] = told["history"][-HISTORY_TOLD:]
    return told
