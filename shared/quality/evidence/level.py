"""Is a mean beyond its threshold? Evidence by betting, with no distribution assumed.

For a value X that is never negative and whose mean is at most its bound, the product of 1 + stake * (X / bound - 1) is
a supermartingale for every stake in 0 to 1 chosen before X is seen (G. Shafer, Testing by betting, 2021;
I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, 2024). Three stakes fit means
15 %, 40 % and 100 % beyond the bound. A shop floor that wobbles from cycle to cycle makes a cycle's errors rise
together: what that could win in a cycle, on average, is taken off again. A sum over all cycles at which the change may
have begun, with the weights of `shares`, is kept up to date by one number for each stake (A. Shiryaev 1963, S. Roberts
1966).
"""

from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXCESSES = (0.15, 0.4, 1.0)  # the mean beyond its bound, as a share of the bound
NOTHING = -1e9  # the logarithm of no evidence at all
_SHARE = -log(len(EXCESSES))


def stakes(variance: Floats, count: Floats, wobble: Floats, largest_weight: Floats) -> Floats:
    """Return a cycle's stakes (histories, stakes), from what was known before it.

    `variance` is that of X / bound, `wobble` the long-run variance of a cycle's mean X / bound, `count` the cycle's
    items; all (histories). `largest_weight` keeps every bet below its stake.
    """
    excess = np.array(EXCESSES)
    whole = variance[:, np.newaxis] + excess**2 + (count * wobble)[:, np.newaxis]
    largest = 1.0 / np.maximum(largest_weight, 1.0)
    return np.asarray(np.minimum(excess / whole, largest[:, np.newaxis]))


def winnings(ratios: Floats, weights: Floats, stake: Floats, wobble: Floats) -> Floats:
    """Return the logarithm of what a cycle's bets win (histories, stakes).

    `ratios` are the values X / bound of the cycle's items and `weights` theirs, 0 where there is none (both histories,
    items).
    """
    each = (weights * (ratios - 1.0))[:, :, np.newaxis] * stake[:, np.newaxis, :]
    together = stake * weights.sum(axis=1)[:, np.newaxis]
    return np.asarray(np.log1p(each).sum(axis=1) - 0.5 * together**2 * wobble[:, np.newaxis])


def carry(logs: Floats, won: Floats, weight: float) -> Floats:
    """Return the evidence for each stake (histories, stakes) after a cycle in which a change of `weight` may begin."""
    return np.asarray(np.logaddexp(logs, log(weight) + _SHARE) + won)


def log_evidence(logs: Floats) -> Floats:
    """Return the logarithm of the whole evidence (histories)."""
    return np.asarray(np.logaddexp.reduce(logs, axis=1))
