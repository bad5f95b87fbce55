"""Rows of quality cycles: a new one, and the tidying of old reports."""

import secrets
import zlib
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, null, update
from sqlmodel import col, select

from shared.audit.recording import note
from shared.configuration import QualityConfiguration
from shared.database.engine import writing
from shared.database.tables import QualityCycle
from shared.quality.options import CycleOptions


def new_cycle(
    configured: QualityConfiguration, options: CycleOptions, *, now: datetime, slot: str | None, reason: str
) -> QualityCycle:
    """Return the row of a cycle, not stored yet; what `options` leaves open is as configured.

    Raises:
        InvalidInput: a value lies outside what the configuration would accept; every wrong field is named.
    """
    options.check()
    cycle_id = f"cycle_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"
    return QualityCycle(
        id=cycle_id,
        slot=slot,
        reason=reason,
        strategy=configured.strategy if options.strategy is None else options.strategy,
        seed=_seed_of(configured.seed, slot or cycle_id) if options.seed is None else options.seed,
        sample_size=configured.sample_size if options.sample_size is None else options.sample_size,
        strata=list(configured.strata if options.strata is None else options.strata),
        created_at=now,
    )


def _seed_of(configured: int, cycle: str) -> int:
    """Return a cycle's own seed, so that each looks at other items; its row keeps it, so that it can be repeated."""
    return zlib.crc32(f"{configured} {cycle}".encode()) & 0x7FFF_FFFF


def prune_reports(engine: Engine, keep: int) -> None:
    """Drop the reports of all but the `keep` newest cycles; their figures stay."""
    newest = select(QualityCycle.id).order_by(col(QualityCycle.created_at).desc()).limit(keep)
    with writing(engine) as session:
        kept = list(session.exec(newest).all())
        has_report = col(QualityCycle.report).is_not(null())
        statement = update(QualityCycle).where(
            col(QualityCycle.id).not_in(kept), col(QualityCycle.ended_at).is_not(None), has_report
        )
        pruned = cast("CursorResult[Any]", session.execute(statement.values(report=null()))).rowcount
        if pruned:
            why = f"beyond the {keep} cycles whose reports are kept"
            note(session, "cycle-reports.removed", f"{pruned} report(s)", before={"reports": pruned}, reason=why)
