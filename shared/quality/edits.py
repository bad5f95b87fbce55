"""How often planners edited or rejected what was proposed to them."""

from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Engine, func
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.tables import Decision, QualityCycle, WorkState
from shared.quality.intervals import nothing, wilson

OUTCOMES = ("accepted", "edited", "rejected")


def planners_decisions(engine: Engine, *, before: datetime) -> dict[str, Any]:
    """Return the planners' edit rate since the last cycle that succeeded before `before`, as JSON.

    `edit_rate` is the share of decisions that edited or rejected the proposal; beside it how many there were of each
    kind, and since when (None: from the beginning).
    """
    with reading(engine) as session:
        ended = (col(QualityCycle.state) == WorkState.SUCCEEDED, col(QualityCycle.created_at) < before)
        since = session.exec(select(func.max(QualityCycle.created_at)).where(*ended)).one()
        counted = select(Decision.outcome, func.count()).where(col(Decision.created_at) < before)
        if since is not None:
            counted = counted.where(col(Decision.created_at) >= since)
        found = dict(session.exec(counted.group_by(Decision.outcome)).all())
    counts = {outcome: int(found.get(outcome, 0)) for outcome in OUTCOMES}
    made = sum(counts.values())
    hits = np.repeat([0.0, 1.0], [counts["accepted"], counts["edited"] + counts["rejected"]])
    rate = wilson(hits, np.ones(made)) if made else nothing("no planner decided on a proposal since the last cycle")
    return {"edit_rate": rate.as_json(), **counts, "since": None if since is None else since.isoformat()}
