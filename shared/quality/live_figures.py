"""What the scores of recorded predictions say together, and by model version."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.tables import PredictionScore
from shared.quality.intervals import Figure, Resampling, nothing, numbered
from shared.quality.routing_figures import share_figure
from shared.quality.time_figures import mean_figure

WINDOW_DAYS = 90  # scores of so many days are told together
MAX_SCORES = 5_000
DRAWS = 200
NO_SCORES = "no recorded prediction has been followed by a finished order"


def live_figures(engine: Engine, new: Sequence[PredictionScore], *, now: datetime, seed: int) -> dict[str, Any]:
    """Return the figures of the scores of the last `WINDOW_DAYS`, those of `new` among them, as JSON."""
    since = now - timedelta(days=WINDOW_DAYS)
    newest = select(PredictionScore).where(col(PredictionScore.scored_at) >= since)
    with reading(engine) as session:
        rows = session.exec(newest.order_by(col(PredictionScore.scored_at).desc()).limit(MAX_SCORES)).all()
    scores = sorted([*rows, *new], key=lambda row: row.prediction_row)
    versions = sorted({score.model_version for score in scores})
    return {
        "window_days": WINDOW_DAYS,
        "predictions": len(scores),
        **_figures(scores, seed),
        "by_version": {
            version: _figures([score for score in scores if score.model_version == version], seed)
            for version in versions
        },
    }


def _figures(scores: Sequence[PredictionScore], seed: int) -> dict[str, Any]:
    compared = [score for score in scores if score.orders and score.mae_minutes is not None]
    figures = {name: nothing(NO_SCORES) for name in ("mae", "interval_coverage", "process_match", "days_to_order")}
    if compared:
        item, _ = numbered([score.item_code for score in compared])
        orders = np.array([float(score.orders) for score in compared])
        draws = Resampling(item, seed=seed, draws=DRAWS)
        errors = np.array([score.mae_minutes for score in compared], dtype=np.float64)
        inside = np.array([score.figures["inside"] / score.orders for score in compared])
        days = np.array([float(score.figures["days"]) for score in compared])
        figures["mae"] = _counted(mean_figure(errors, orders, draws), orders)
        figures["interval_coverage"] = _counted(mean_figure(inside, orders, draws, ceiling=1.0), orders)
        figures["days_to_order"] = mean_figure(days, np.ones(len(days)), draws)
    matched = np.array([score.figures["matched"] for score in scores if "matched" in score.figures], dtype=np.float64)
    if len(matched):
        figures["process_match"] = share_figure(matched, np.ones(len(matched)), seed, NO_SCORES, DRAWS)
    return {name: figure.as_json() for name, figure in figures.items()}


def _counted(figure: Figure, orders: Any) -> Figure:
    """Return the figure with n as the orders and operations that it stands on."""
    return Figure(value=figure.value, n=int(orders.sum()), low=figure.low, high=figure.high)
