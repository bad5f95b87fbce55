"""What is known of every routing row's minutes: its work orders condensed, and its plan."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Routings
from shared.prediction.minutes.orders import LEAST_SETUP, RUN_OFFSET, Orders

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Observations:
    """One entry a routing row; logarithms are of setup minutes (of an order) and run minutes (of a piece).

    Where every order was booked without setup, and where a plan has none, the logarithm of setup is nan.
    """

    results: Singles  # (rows, 2) mean logarithms of the believed orders, weighted by recency; nan without any
    recent: Singles  # (rows, 2) sum of the recency weights behind each
    planned: Singles  # (rows, 2)
    orders: npt.NDArray[np.int32]  # believed
    idle: npt.NDArray[np.int32]  # of these, without setup
    trimmed: npt.NDArray[np.int32]
    trimmed_mean: Singles  # run minutes of a piece over the believed orders, nan without any
    std: Singles
    raw_mean: Singles  # the same over all sound orders, trimmed or not
    raw_std: Singles
    item_orders: npt.NDArray[np.int32]  # item -> sound orders, trimmed or not

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Observations":
        """Return what `state` was made of."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def log_minutes(minutes: Floats) -> Floats:
    """Return logarithms of (n, 2) setup and run minutes; nan where setup is none."""
    minutes = np.asarray(minutes, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        setup = np.where(minutes[:, 0] >= LEAST_SETUP, np.log(minutes[:, 0]), np.nan)
        return np.stack([setup, np.log(minutes[:, 1] + RUN_OFFSET)], axis=1)


def condense(orders: Orders, routings: Routings) -> Observations:
    """Condense the orders of each routing row."""
    row, count = orders.row, len(routings.task)
    kept = orders.kept.astype(np.float64)
    logs = log_minutes(np.stack([orders.setup, orders.run], axis=1))
    booked = ~np.isnan(logs[:, 0])
    weight = np.stack([orders.weight * kept * booked, orders.weight * kept], axis=1)
    logs = np.nan_to_num(logs)
    recent = np.stack([np.bincount(row, weight[:, part], count) for part in range(2)], axis=1)
    sums = np.stack([np.bincount(row, weight[:, part] * logs[:, part], count) for part in range(2)], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / recent
    believed = np.bincount(row, kept, count).astype(np.float64)
    plain, spread = _plain(row, kept, orders.run, count)
    raw, raw_spread = _plain(row, np.ones(len(row)), orders.run, count)
    here = np.add.reduceat(np.append(np.diff(orders.start), 0), routings.offsets[:-1]) if count else 0
    here = np.where(np.diff(routings.offsets) > 0, here, 0)
    return Observations(
        results=means.astype(np.float32), recent=recent.astype(np.float32),
        planned=log_minutes(routings.times[:, :2]).astype(np.float32), orders=believed.astype(np.int32),
        idle=np.bincount(row, kept * ~booked, count).astype(np.int32),
        trimmed=np.bincount(row, 1 - kept, count).astype(np.int32), trimmed_mean=plain.astype(np.float32),
        std=spread.astype(np.float32), raw_mean=raw.astype(np.float32), raw_std=raw_spread.astype(np.float32),
        item_orders=(here + orders.elsewhere).astype(np.int32),
    )  # fmt: skip


def _plain(row: Ints, kept: Floats, run: Floats, count: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of run minutes of a piece by row; nan without any."""
    number = np.bincount(row, kept, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(row, kept * run, count) / number
    off = np.where(kept > 0, (run - mean[row]) ** 2, 0.0)
    variance = np.bincount(row, off, count) / np.maximum(number - 1, 1)
    return mean, np.where(number > 0, np.sqrt(variance), np.nan)
