"""Have errors risen since the model was activated? Evidence that may be looked at after every cycle.

A cycle's mean score (see `scores`) is modelled as

    mean score = shop floor's wobble + offset of live against reference errors + shift, once a change began + noise

with a first-order autoregressive wobble of unknown size and persistence (a grid with prior weights), a small unknown
offset, and noise of known variance 1 / items. For each setting of the wobble the likelihood ratio of a change at
cycle k by a shift s against no change follows from a Kalman filter's innovations (A. Harvey, Forecasting, Structural
Time Series Models and the Kalman Filter, 1989, ch. 3 and 7.3). The evidence is the ratio's mean over k, s and the
wobble: a Bayes factor, which for independent errors is a martingale under "no change", as in the Shiryaev-Roberts
procedure (A. Shiryaev 1963, S. Roberts 1966).
"""

from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

WINDOW = 50  # a change is sought among the last so many cycles
RISES = (1.2, 1.4, 2.0)  # errors so many times what they were
RISE_WEIGHTS = (0.65, 0.2, 0.15)
DEFAULT_SHIFTS = (0.25, 0.5, 1.0)  # of the mean score, where the reference cannot tell what a rise would do
DEFAULT_OFFSET = 0.03
LEAST_PERIODS = 10  # of the reference; with fewer, the first live cycles join it

_ROOT_OF_TWO_PI = 2.5066282746310002
_PERSISTENCE = (0.3, 0.6, 0.85)
_SIZES = ((0.05, 0.2), (0.1, 0.25), (0.17, 0.15))  # standard deviation as a share of the mean error, prior weight
_WOBBLE = [(0.0, 0.0, 0.4)] + [(size, kept, weight / 3) for size, weight in _SIZES for kept in _PERSISTENCE]
_SIZE = np.array([size for size, _, _ in _WOBBLE])
_KEPT = np.array([kept for _, kept, _ in _WOBBLE])
_PRIOR = np.log([weight for _, _, weight in _WOBBLE])


def overshoot(drift: Floats) -> Floats:
    """Return the mean of exp(-overshoot) of a Gaussian log likelihood ratio whose steps have deviation `drift`.

    Looked at once a cycle, a ratio jumps over its limit instead of meeting it, so that Ville's bound of the chance is
    too large by this factor (D. Siegmund, Sequential Analysis, 1985, ch. 8; the approximation is that of D. Siegmund
    and B. Yakir, The Statistics of Gene Mapping, 2007, p. 112). It is 1 for small steps.
    """
    half = np.maximum(drift, 1e-3) / 2
    below = ndtr(half)
    factor: Floats = (below - 0.5) / half / (half * below + np.exp(-0.5 * half**2) / _ROOT_OF_TWO_PI)
    return factor


class RiseTest:
    """The test's state over many histories (or streams) at once; `observe` takes them one cycle further."""

    def __init__(self, histories: int, shifts: Floats, offset: Floats) -> None:
        """Begin. `shifts` (histories or 1, sizes) are sought; `offset` (histories or 1) is the standard deviation."""
        settings = len(_SIZE)
        self._shifts = shifts
        slope = shifts.mean(axis=0)[:1] if len(offset) == 1 else shifts[:, 0]
        self._size2 = (slope[:, np.newaxis] / log(RISES[0]) * _SIZE) ** 2  # wobble in squared scores
        self._level, self._offset = np.zeros((histories, settings)), np.zeros((histories, settings))
        shape = (len(offset), settings)
        self._p_level = np.broadcast_to(self._size2, shape).copy()
        self._p_both = np.zeros(shape)
        self._p_offset = np.broadcast_to((offset**2)[:, np.newaxis], shape).copy()
        self._likelihood = np.zeros((histories, settings))
        self._step_level = np.zeros((len(offset), settings, 0))
        self._step_offset, self._information = self._step_level.copy(), self._step_level.copy()
        self._agreement = np.zeros((histories, settings, 0))
        self._latest = self._information
        self._log_weights = np.zeros(0)
        self._periods = 0

    def observe(self, mean: Floats, variance: Floats, *, weight: float | None) -> None:
        """Take in one cycle's mean score (histories) and its variance (histories or 1; infinite where nothing came).

        `weight` is that of a change beginning now, or None for a period of the reference, when none can.
        """
        live = 0.0 if weight is None else 1.0
        kept = _KEPT
        if weight is None:
            self._periods += 1
        elif not self._log_weights.size:  # the reference wobbled too, so that its mean is off by so much
            self._p_offset += self._size2 * (1 + kept) / (1 - kept) / max(self._periods, LEAST_PERIODS)
        self._level *= kept
        self._p_level = kept**2 * self._p_level + self._size2 * (1 - kept**2)
        self._p_both = kept * self._p_both
        with_level = self._p_level + live * self._p_both
        with_offset = self._p_both + live * self._p_offset
        spread = with_level + live * with_offset + variance[:, np.newaxis]
        error = mean[:, np.newaxis] - self._level - live * self._offset
        seen = np.isfinite(spread)
        spread = np.where(seen, spread, 1.0)
        inverse = seen / spread
        gain_level, gain_offset = with_level * inverse, with_offset * inverse
        self._likelihood -= 0.5 * (np.log(spread) * seen + error**2 * inverse)
        if weight is not None:
            self._begin(log(weight))
        if self._log_weights.size:
            self._steps(error, inverse, gain_level, gain_offset, live)
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

    def _steps(self, error: Floats, inverse: Floats, gain_level: Floats, gain_offset: Floats, live: float) -> None:
        """Filter a step of height 1 from each beginning as the data are filtered, and compare it with their errors."""
        self._step_level *= _KEPT[:, np.newaxis]
        seen = 1.0 - self._step_level - live * self._step_offset
        weighted = seen * inverse[..., np.newaxis]
        self._agreement = self._agreement + weighted * error[..., np.newaxis]
        self._information = self._information + weighted * seen
        self._latest = np.sqrt(weighted * seen)
        self._step_level = self._step_level + gain_level[..., np.newaxis] * seen
        self._step_offset = self._step_offset + gain_offset[..., np.newaxis] * seen

    def _posterior(self) -> Floats:
        """How credible each setting of the wobble is: (histories, settings), summing to 1."""
        score = self._likelihood + _PRIOR
        score = np.exp(score - score.max(axis=1, keepdims=True))
        share: Floats = score / score.sum(axis=1, keepdims=True)
        return share

    def log_evidence(self) -> Floats:
        """Return the logarithm of the evidence for a rise (histories)."""
        if not self._log_weights.size:
            return np.zeros(len(self._level))
        ratios = self._log_ratios()
        top = ratios.max(axis=(1, 2))
        inside = np.exp(ratios - top[:, np.newaxis, np.newaxis]).sum(axis=2)
        total: Floats = top + np.log((inside * self._posterior()).sum(axis=1))
        return total

    def _log_ratios(self) -> Floats:
        """Weighted log likelihood ratios (histories, settings, beginnings), the mean over sizes taken."""
        total: Floats | None = None
        for size, weight in enumerate(RISE_WEIGHTS):
            shift = self._shifts[:, size, np.newaxis, np.newaxis]
            each = shift * self._agreement - 0.5 * shift**2 * self._information
            each += log(weight) - np.log(overshoot(shift * self._latest))
            total = each if total is None else np.logaddexp(total, each)
        assert total is not None
        return total + self._log_weights

    def long_run_variance(self) -> Floats:
        """Return the expected variance that wobble adds to a long sum of cycles, per cycle, in squared scores."""
        return np.asarray((self._posterior() * self._size2 * (1 + _KEPT) / (1 - _KEPT)).sum(axis=1))

    def best(self) -> tuple[Floats, Floats, Floats]:
        """Return what is known of the likeliest change, three arrays (histories).

        The cycles since it began (1: only the last one), the estimated shift, and the information about the shift a
        cycle (an inverse variance).
        """
        if not self._log_weights.size:
            nothing = np.zeros(len(self._level))
            return nothing, nothing, nothing
        share = self._posterior()[..., np.newaxis]
        credible = (np.exp(np.clip(self._log_ratios(), -700, 700)) * share).sum(axis=1)
        begun = credible.argmax(axis=1)
        agreement = (self._agreement * share).sum(axis=1)
        information = (np.broadcast_to(self._information, self._agreement.shape) * share).sum(axis=1)
        line = np.arange(len(begun))
        cycles = credible.shape[1] - begun
        known = np.maximum(information[line, begun], 1e-12)
        return cycles.astype(np.float64), agreement[line, begun] / known, known / cycles
