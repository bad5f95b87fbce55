"""Have errors risen since the model was activated? Evidence that may be looked at after every cycle.

A cycle's mean score (see `scores`) is modelled as

    mean score = usual level + shop floor's wobble + shift, once a change began + noise

with a first-order autoregressive wobble of unknown size and persistence (a grid with prior weights), a level that the
reference tells and that live errors may differ from slightly, and noise of known variance 1 / items. For each setting
of the wobble the likelihood ratio of a change at cycle k by a shift s against no change follows from a Kalman filter's
innovations (A. Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989, ch. 3 and 7.3). The
evidence is the ratio's mean over k, s and the wobble: a Bayes factor, which for independent errors is a martingale
under "no change", as in the Shiryaev-Roberts procedure (A. Shiryaev 1963, S. Roberts 1966).
"""

from collections.abc import Sequence
from copy import deepcopy
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW = 50  # a change is sought among the last so many cycles
RISES = (1.2, 1.4, 2.0)  # errors so many times what they were
RISE_WEIGHTS = (0.85, 0.12, 0.03)  # a great rise shows so fast that a small weight costs it less than a cycle
DEFAULT_SHIFTS = (0.25, 0.5, 1.0)  # of the mean score, where the reference cannot tell what a rise would do
DEFAULT_DIFFERENCE = 0.015

_UNKNOWN_LEVEL = 1.0  # variance of the usual level before anything is seen
_OVERSHOOT = 0.583  # minus zeta(1/2) / sqrt(2 pi)
_LARGEST_STEP = 3.0  # in standard deviations: beyond it the overshoot's approximation claims too much
_LARGEST_LOG = 600.0  # evidence beyond is told as this much


class Wobble(NamedTuple):
    """What a shop floor's wobble may be: settings and how credible each is beforehand."""

    size: Floats  # standard deviation as a share of the mean error
    persistence: Floats  # correlation of a cycle with the one before
    prior: Floats


def _grid() -> Wobble:
    """Return the settings that the test reckons with.

    Neighbours differ by little, since a variance that is taken for four fifths of what it is makes a false alarm five
    times as likely. Persistent wobble weighs most: a slight one is hard to see, and looks like a change.
    """
    sizes, persistence, weights = np.geomspace(0.02, 0.25, 10), np.array([0.2, 0.5, 0.75, 0.9]), [0.2, 0.2, 0.3, 0.3]
    none = 0.3
    return Wobble(
        size=np.append(0.0, np.repeat(sizes, len(persistence))),
        persistence=np.append(0.0, np.tile(persistence, len(sizes))),
        prior=np.append(none, np.tile((1 - none) / len(sizes) * np.array(weights), len(sizes))),
    )


ANY_WOBBLE = _grid()


def log_overshoot(drift: Floats) -> Floats:
    """Return how far a Gaussian log likelihood ratio whose steps have deviation `drift` jumps over its limit.

    Looked at once a cycle, a ratio jumps over its limit instead of meeting it, so that Ville's bound of the chance is
    too large by the exponential of this (D. Siegmund, Sequential Analysis, 1985, ch. 10). It is 0 for small steps.
    """
    return np.asarray(_OVERSHOOT * np.minimum(drift, _LARGEST_STEP))


class RiseTest:
    """The test's state over many histories (or streams) at once; `observe` takes them one cycle further."""

    def __init__(
        self,
        histories: int,
        shifts: Floats,
        difference: Floats,
        wobble: Wobble = ANY_WOBBLE,
        rise_weights: Sequence[float] = RISE_WEIGHTS,
    ) -> None:
        """Begin. `shifts` (histories or 1, sizes) are sought, with these weights.

        `difference` (histories or 1) is by how much live errors may differ from the reference, a standard deviation.
        """
        settings = len(wobble.size)
        self._shifts, self._difference, self._rise_weights = shifts, difference, rise_weights
        self._kept, self._prior = wobble.persistence, np.log(wobble.prior)
        slope = shifts.mean(axis=0)[:1] if len(difference) == 1 else shifts[:, 0]
        self._size2 = (slope[:, np.newaxis] / log(RISES[0]) * wobble.size) ** 2  # wobble in squared scores
        self._level, self._offset = np.zeros((histories, settings)), np.zeros((histories, settings))
        shape = (len(difference), settings)
        self._p_level = np.broadcast_to(self._size2, shape).copy()
        self._p_both = np.zeros(shape)
        self._p_offset = np.full(shape, _UNKNOWN_LEVEL)
        self._likelihood = np.zeros((histories, settings))
        self._step_level = np.zeros((len(difference), settings, 0))
        self._step_offset, self._information = self._step_level.copy(), self._step_level.copy()
        self._agreement = np.zeros((histories, settings, 0))
        self._latest = self._information
        self._log_weights = np.zeros(0)

    def copy(self) -> "RiseTest":
        """Return one that goes on by itself."""
        return deepcopy(self)

    def observe(self, mean: Floats, variance: Floats, *, weight: float | None) -> None:
        """Take in one cycle's mean score (histories) and its variance (histories or 1; infinite where nothing came).

        `weight` is that of a change beginning now, or None for a period of the reference, when none can.
        """
        kept = self._kept
        if weight is not None and not self._log_weights.size:
            self._p_offset += (self._difference**2)[:, np.newaxis]
        self._level *= kept
        self._p_level = kept**2 * self._p_level + self._size2 * (1 - kept**2)
        self._p_both = kept * self._p_both
        with_level = self._p_level + self._p_both
        with_offset = self._p_both + self._p_offset
        spread = with_level + with_offset + variance[:, np.newaxis]
        error = mean[:, np.newaxis] - self._level - self._offset
        seen = np.isfinite(spread)
        spread = np.where(seen, spread, 1.0)
        inverse = seen / spread
        gain_level, gain_offset = with_level * inverse, with_offset * inverse
        self._likelihood -= 0.5 * (np.log(spread) * seen + error**2 * inverse)
        if weight is not None:
            self._begin(log(weight))
        if self._log_weights.size:
            self._steps(error, inverse, gain_level, gain_offset)
        self._level = self._level + gain_level * error
        self._offset = self._offset + gain_offset * error
        self._p_offset = self._p_offset - gain_offset * with_offset
        self._p_both = self._p_both - gain_level * with_offset
        self._p_level = self._p_level - gain_level * with_level

    def _begin(self, log_weight: float) -> None:
        """Add a change that begins now, and forget the oldest beyond the window."""

        def longer(old: Floats) -> Floats:
            return np.concatenate([old[..., -(WINDOW - 1) :], np.zeros((*old.shape[:-1], 1))], axis=-1)

        self._step_level, self._step_offset = longer(self._step_level), longer(self._step_offset)
        self._information, self._agreement = longer(self._information), longer(self._agreement)
        self._log_weights = np.append(self._log_weights[-(WINDOW - 1) :], log_weight)

    def _steps(self, error: Floats, inverse: Floats, gain_level: Floats, gain_offset: Floats) -> None:
        """Filter a step of height 1 from each beginning as the data are filtered, and compare it with their errors."""
        self._step_level *= self._kept[:, np.newaxis]
        seen = 1.0 - self._step_level - self._step_offset
        weighted = seen * inverse[..., np.newaxis]
        self._agreement = self._agreement + weighted * error[..., np.newaxis]
        self._information = self._information + weighted * seen
        self._latest = np.sqrt(weighted * seen)
        self._step_level = self._step_level + gain_level[..., np.newaxis] * seen
        self._step_offset = self._step_offset + gain_offset[..., np.newaxis] * seen

    def _posterior(self) -> Floats:
        """How credible each setting of the wobble is: (histories, settings), summing to 1."""
        score = self._likelihood + self._prior
        score = np.exp(score - score.max(axis=1, keepdims=True))
        share: Floats = score / score.sum(axis=1, keepdims=True)
        return share

    def log_evidence(self) -> Floats:
        """Return the logarithm of the evidence for a rise (histories)."""
        if not self._log_weights.size:
            return np.zeros(len(self._level))
        return np.asarray(np.log(np.einsum("hsk,hs->h", self._ratios(), self._posterior())))

    def _ratios(self) -> Floats:
        """Weighted likelihood ratios (histories, settings, beginnings), the mean over sizes taken."""
        total = np.zeros(self._agreement.shape)
        for size, weight in enumerate(self._rise_weights):
            shift = self._shifts[:, size, np.newaxis, np.newaxis]
            known = log_overshoot(shift * self._latest) - 0.5 * shift**2 * self._information
            known += self._log_weights + log(weight)
            each = shift * self._agreement
            each += known
            total += np.exp(np.minimum(each, _LARGEST_LOG, out=each), out=each)
        return total

    def long_run_variance(self) -> Floats:
        """Return the expected variance that wobble adds to a long sum of cycles, per cycle, in squared scores."""
        return np.asarray((self._posterior() * self._size2 * (1 + self._kept) / (1 - self._kept)).sum(axis=1))

    def best(self) -> tuple[Floats, Floats, Floats]:
        """Return what is known of the likeliest change, three arrays (histories).

        The cycles since it began (1: only the last one), the estimated shift, and the information about the shift a
        cycle (an inverse variance).
        """
        if not self._log_weights.size:
            nothing = np.zeros(len(self._level))
            return nothing, nothing, nothing
        share = self._posterior()[..., np.newaxis]
        credible = (self._ratios() * share).sum(axis=1)
        begun = credible.argmax(axis=1)
        agreement = (self._agreement * share).sum(axis=1)
        information = (np.broadcast_to(self._information, self._agreement.shape) * share).sum(axis=1)
        line = np.arange(len(begun))
        cycles = credible.shape[1] - begun
        known = np.maximum(information[line, begun], 1e-12)
        return cycles.astype(np.float64), agreement[line, begun] / known, known / cycles
