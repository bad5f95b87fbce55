"""Optimistic, standard and safe times under a chosen strategy, always in this order.

`quantiles` takes the median and the ends of the 80 % interval. The others take a mean and its standard deviation sd:
optimistic is the mean less 0.67 sd (not below 0), safe the mean plus 1.28 sd. They differ in what is averaged:
`z_score` all orders, `trimmed` those left after trimming, `sigma` the estimate and its own spread.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import numpy as np

from shared.prediction.memory import PLANNED_TIMES, RUN, SETUP, Floats, Routings
from shared.prediction.minutes.estimates import Estimates, order_spread
from shared.prediction.minutes.orders import Orders
from shared.prediction.minutes.scatter import SPREAD

Strategy = Literal["quantiles", "z_score", "trimmed", "sigma"]

OPTIMISTIC_SIGMA, SAFE_SIGMA = 0.67, 1.28
TRIM_SHARE = 0.05
_LEAST_VALUES = 3
_FAR_Z = 3.0
_ENDS = (0.1, 0.5, 0.9)


def order_times(estimates: Estimates, quantity: Floats | float, strategy: Strategy) -> Floats:
    """Return (n, 3) optimistic, standard and safe minutes of the next order of so many pieces.

    An operation without work orders behind it has no mean of orders: it takes the quantiles.
    """
    found = estimates.order(quantity)
    if strategy == "quantiles":
        return found
    pieces = np.broadcast_to(np.asarray(quantity, dtype=np.float64), estimates.idle.shape)
    setup, run = estimates.minutes[:, 0], estimates.minutes[:, 1] * pieces
    if strategy == "sigma":
        mean, std = found[:, 1], found[:, 1] * order_spread(setup, run, estimates.spread) / SPREAD
    else:
        of_piece, scatter = estimates.raw if strategy == "z_score" else (estimates.trimmed_mean, estimates.std)
        mean = setup + of_piece * pieces
        std = np.hypot(scatter * pieces, setup * estimates.spread[:, 0] / SPREAD)
    return np.where(np.isnan(mean)[:, None], found, _about(mean, std))


def _about(mean: Floats, std: Floats) -> Floats:
    return np.stack([np.maximum(mean - OPTIMISTIC_SIGMA * std, 0.0), mean, mean + SAFE_SIGMA * std], axis=-1)


def value_profile(values: Floats, strategy: Strategy) -> dict[str, Any] | None:
    """Return statistics of booked values and the three times by a strategy; None below three values.

    The slice that `trimmed` and `sigma` average leaves out floor(0.05 n) values at each end.
    """
    if len(values) < _LEAST_VALUES:
        return None
    ordered = np.sort(values.astype(np.float64))
    cut = int(len(ordered) * TRIM_SHARE)
    inner = ordered[cut : len(ordered) - cut]
    mean, std = float(ordered.mean()), float(ordered.std())
    far = np.abs(ordered - mean) / std if std > 0 else np.zeros(len(ordered))
    raw = {"mean": mean, "std": std, "max_abs_z": float(far.max()), "over_3": int((far > _FAR_Z).sum())}
    trimmed = {"mean": float(inner.mean()), "std": float(inner.std()), "samples": len(inner)}
    source = {"quantiles": "quantiles", "z_score": "raw"}.get(strategy, "trimmed")
    if source == "quantiles":
        times = np.quantile(ordered, _ENDS)
    else:
        base = raw if source == "raw" else trimmed
        times = _about(np.array(base["mean"]), np.array(base["std"]))
    names = ("OPT", "STD", "SAFE")
    profile = {name: float(time) for name, time in zip(names, times, strict=True)}
    return {"samples": len(ordered), "raw": raw, "trimmed": trimmed, "profile_source": source, "profile": profile}


def time_profiles(orders: Orders, routings: Routings, strategy: Strategy, generated_at: datetime) -> dict[str, Any]:
    """Return the document `time_profiles.json`: what each operation's orders and plans take.

    Setup and run come from work orders, wait, move and queue from the routings. A column of an operation with fewer
    than three values is left out.
    """
    operation = routings.operation[orders.row]
    columns: Mapping[str, tuple[Any, Floats]] = {
        "setup_minutes": (operation, orders.setup), "run_minutes_per_unit": (operation, orders.run),
        **{name: (routings.operation, routings.times[:, place]) for place, name in enumerate(PLANNED_TIMES)
           if place not in (SETUP, RUN)},
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {code: {} for code in routings.operations}
    for name, (codes, values) in columns.items():
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(routings.operations) + 1))
        for place, code in enumerate(routings.operations):
            mine = values[order[bounds[place] : bounds[place + 1]]]
            profile = value_profile(mine[np.isfinite(mine)], strategy)
            if profile is not None:
                found[code][name] = profile
    return {
        "generated_at": generated_at.isoformat(), "strategy": strategy, "time_columns": list(columns),
        "operations": {code: {"columns": one, "profiles": _by_profile(one)} for code, one in found.items()},
        "parameters": {"optimal_sigma": OPTIMISTIC_SIGMA, "safe_sigma": SAFE_SIGMA, "trim_share": TRIM_SHARE},
    }  # fmt: skip


def _by_profile(columns: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        name: {column: figures["profile"][name] for column, figures in columns.items()}
        for name in ("OPT", "STD", "SAFE")
    }
