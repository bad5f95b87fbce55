"""How an order scatters about its estimate, where a share of the orders is booked without any setup.

The logarithm of an order's minutes follows a logistic distribution about the run alone (for the share without setup) or
about setup and run together, both with one spread. So quantiles and probabilities are closed forms; how many spreads an
80 % interval needs is measured, not taken from that distribution.
"""

import numpy as np

from shared.prediction.memory import Floats

SPREAD = 1.0 / (1.4826 * np.log(3.0))  # of a logistic variable, for a standard deviation that a median error gives
NINE_TENTHS = float(np.log(9.0))  # score of the 90 % quantile
_TINY = 1e-9
_LEAST_MINUTES = 1e-4  # an order's run may be none


def order_quantile(score: Floats, setup: Floats, run: Floats, idle: Floats, spread: Floats) -> Floats:
    """Return the order's minutes at a score: the log odds of its probability, 0 for the median.

    Args:
        score: log odds.
        setup: minutes of setup where there is one.
        run: minutes of all pieces.
        idle: share of orders without setup.
        spread: of the logarithm.
    """
    run = np.maximum(run, _LEAST_MINUTES)
    whole = np.log(setup + run)
    apart = (np.log(run) - whole) / spread  # both components, seen from the one with setup, in spreads
    near = np.exp(apart)
    level = 1.0 / (1.0 + np.exp(-score))
    middle = idle + (1 - idle) * near - level * (1 + near)
    root = np.sqrt(middle**2 + 4 * level * (1 - level) * near)
    above = np.log(np.maximum(root - middle, _TINY)) - np.log(2 * (1 - level))
    below = np.log(2 * level) + apart - np.log(np.maximum(root + middle, _TINY))
    return np.asarray(np.exp(whole + spread * np.where(middle > 0, below, above)))


def order_score(minutes: Floats, setup: Floats, run: Floats, idle: Floats, spread: Floats) -> Floats:
    """Return the score at which `order_quantile` gives these minutes."""
    run = np.maximum(run, _LEAST_MINUTES)
    taken = np.log(np.maximum(minutes, _LEAST_MINUTES))
    with_setup, without = (taken - np.log(setup + run)) / spread, (taken - np.log(run)) / spread
    below = idle * _odds_share(without) + (1 - idle) * _odds_share(with_setup)
    above = idle * _odds_share(-without) + (1 - idle) * _odds_share(-with_setup)
    return np.asarray(np.log(np.maximum(below, 1e-300)) - np.log(np.maximum(above, 1e-300)))


def _odds_share(score: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(score, -600.0, 600.0))))


def setup_score(minutes_log: Floats, logs: Floats, idle: Floats, spread: Floats) -> Floats:
    """Return the score of booked setups; where none was booked (nan), the middle of the idle share."""
    rest = _odds_share((np.nan_to_num(minutes_log) - logs) / spread)
    level = np.where(np.isnan(minutes_log), idle / 2, idle + (1 - idle) * rest)
    level = np.clip(level, _TINY, 1 - _TINY)
    return np.asarray(np.log(level) - np.log1p(-level))


def setup_quantile(score: Floats, logs: Floats, idle: Floats, spread: Floats) -> Floats:
    """Return setup minutes at a score; 0 up to the share of orders without setup."""
    level = 1.0 / (1.0 + np.exp(-score))
    rest = np.clip((level - idle) / np.maximum(1 - idle, _TINY), _TINY, 1 - _TINY)
    found = np.exp(logs + spread * (np.log(rest) - np.log1p(-rest)))
    return np.where(level > idle, found, 0.0)
