"""Rows of quality cycles: a new one, checked, and the tidying of old reports."""

import secrets
import zlib
from datetime import datetime

from sqlalchemy import Engine, null, update
from sqlmodel import col, select

from shared.configuration import QualityConfiguration
from shared.database.engine import writing
from shared.database.tables import QualityCycle
from shared.errors import InvalidInput
from shared.quality.sampling import STRATEGIES

SMALLEST_SAMPLE, LARGEST_SAMPLE = 10, 10_000


def new_cycle(
    configured: QualityConfiguration,
    *,
    now: datetime,
    slot: str | None,
    reason: str,
    sample_size: int | None,
    strategy: str | None,
    seed: int | None,
) -> QualityCycle:
    """Return the row of a cycle, not stored yet; what is None is as configured.

    Raises:
        InvalidInput: a value lies outside what the configuration would accept; every wrong field is named.
    """
    cycle_id = f"cycle_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"
    row = QualityCycle(
        id=cycle_id,
        slot=slot,
        reason=reason,
        strategy=configured.strategy if strategy is None else strategy,
        seed=_seed_of(configured.seed, slot or cycle_id) if seed is None else seed,
        sample_size=configured.sample_size if sample_size is None else sample_size,
        created_at=now,
    )
    wrong = []
    if row.strategy not in STRATEGIES:
        wrong.append({"field": "strategy", "message": f"must be one of {', '.join(STRATEGIES)}"})
    if not SMALLEST_SAMPLE <= row.sample_size <= LARGEST_SAMPLE:
        wrong.append({"field": "sample_size", "message": f"must lie between {SMALLEST_SAMPLE} and {LARGEST_SAMPLE}"})
    if row.seed < 0:
        wrong.append({"field": "seed", "message": "must not be negative"})
    if wrong:
        said = "; ".join(f"{error['field']} {error['message']}" for error in wrong)
        raise InvalidInput(f"The cycle cannot be run so: {said}.", errors=wrong)
    return row


def _seed_of(configured: int, cycle: str) -> int:
    """Return a cycle's own seed, so that each looks at other items; its row keeps it, so that it can be repeated."""
    return zlib.crc32(f"{configured} {cycle}".encode()) & 0x7FFF_FFFF


def prune_reports(engine: Engine, keep: int) -> None:
    """Drop the reports of all but the `keep` newest cycles; their figures stay."""
    newest = select(QualityCycle.id).order_by(col(QualityCycle.created_at).desc()).limit(keep)
    with writing(engine) as session:
        kept = list(session.exec(newest).all())
        session.execute(
            update(QualityCycle)
            .where(col(QualityCycle.id).not_in(kept), col(QualityCycle.ended_at).is_not(None))
            .values(report=null())
        )
