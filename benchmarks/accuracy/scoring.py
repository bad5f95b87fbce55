"""From proposals and minutes to figures: each metric as sums by item, so that whole items can be resampled."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.asking import Asked, Floats, Ints, Proposal, Step, Times
from shared.quality.alignment import align, edit_distance, precedence
from shared.quality.intervals import medians, trimmed_means, wilson

DRAWS = 1_000
TRIM_SHARE = 0.10
INTERVAL_MISS = 0.2  # 80 % intervals
Flags = npt.NDArray[np.bool_]

HIGHER_IS_BETTER = {
    "signature top-1": True, "signature top-3": True, "operation F1": True, "precedence accuracy": True,
    "edit distance": False, "work centre top-1": True, "in-house accuracy": True, "time MdAPE": False,
    "time trimmed MAE": False, "interval score": False,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sums:
    """A metric that is a ratio of sums over items."""

    top: Floats  # by item
    bottom: Floats

    @property
    def n(self) -> int:
        """Return how many things were judged."""
        return round(float(self.bottom.sum()))

    def value(self) -> float:
        """Return the ratio."""
        return float(self.top.sum() / self.bottom.sum()) if self.bottom.sum() > 0 else float("nan")

    def draws(self, times: Floats) -> Floats:
        """Return the ratio of each resampling; `times` is draws x items."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((times @ self.top) / (times @ self.bottom))


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """A metric that is a statistic of sorted rows."""

    values: Floats  # by row
    item: Ints
    statistic: Callable[[Floats, Floats], Floats]  # of sorted values and draws x row weights

    @property
    def n(self) -> int:
        """Return how many rows were judged."""
        return len(self.values)

    def value(self) -> float:
        """Return the statistic."""
        if not len(self.values):
            return float("nan")
        return float(self.statistic(np.sort(self.values), np.ones((1, len(self.values))))[0])

    def draws(self, times: Floats) -> Floats:
        """Return the statistic of each resampling."""
        if not len(self.values):
            return np.full(len(times), np.nan)
        order = np.argsort(self.values, kind="stable")
        ordered, item = self.values[order], self.item[order]
        at_once = max(1, 2_000_000 // max(len(ordered), 1))
        parts = [
            self.statistic(ordered, times[start : start + at_once][:, item]) for start in range(0, len(times), at_once)
        ]
        return np.concatenate(parts)


Metric = Sums | Sorted


def routing_metrics(asked: Asked, proposals: Sequence[Proposal]) -> dict[str, Metric]:
    """Return the metrics of proposed routings; an item on which nothing is said counts as wrong."""
    table = np.array(
        [_judged(actual, proposal) for actual, proposal in zip(asked.actual, proposals, strict=True)], dtype=np.float64
    ).reshape(len(asked.codes), 11)
    one = np.ones(len(asked.codes))
    return {
        "signature top-1": Sums(top=table[:, 0], bottom=one),
        "signature top-3": Sums(top=table[:, 1], bottom=one),
        "operation F1": Sums(top=2 * table[:, 2], bottom=table[:, 3]),
        "precedence accuracy": Sums(top=table[:, 4], bottom=table[:, 5]),
        "edit distance": Sums(top=table[:, 6], bottom=one),
        "work centre top-1": Sums(top=table[:, 7], bottom=table[:, 8]),
        "in-house accuracy": Sums(top=table[:, 9], bottom=table[:, 10]),
    }


def _judged(actual: tuple[Step, ...], proposal: Proposal) -> list[float]:
    truth = tuple(step.label[0] for step in actual)
    first = proposal.signatures[0] if proposal.signatures else ()
    shared = (Counter(truth) & Counter(first)).total()
    in_order, pairs = precedence(truth, first)
    matched = align(truth, first)
    together = [(actual[i], proposal.steps[j]) for i, j in matched]
    centres = [a.resource == p.resource for a, p in together if a.resource is not None]
    inside = [a.inside == p.inside for a, p in together if a.inside is not None]
    return [
        first == truth, truth in proposal.signatures[:3], shared, len(truth) + len(first), in_order, pairs,
        edit_distance(truth, first, len(matched)), sum(centres), len(centres), sum(inside), len(inside),
    ]  # fmt: skip


def time_metrics(asked: Asked, times: Times, rows: Flags) -> dict[str, Metric]:
    """Return the metrics of minutes against what was booked, over `rows` of the asked orders."""
    item, booked = asked.order_item[rows], asked.booked[rows]
    value, low, high = times.value[rows], times.low[rows], times.high[rows]
    error, some = np.abs(value - booked), booked > 0
    missed = np.clip(low - booked, 0, None) + np.clip(booked - high, 0, None)
    count = len(asked.codes)
    inside = ((booked >= low) & (booked <= high)).astype(np.float64)
    sums = partial(by_item, item=item, count=count)
    trimmed = partial(trimmed_means, trim_share=TRIM_SHARE)
    return {
        "time MdAPE": Sorted(values=error[some] / booked[some], item=item[some], statistic=medians),
        "time trimmed MAE": Sorted(values=error, item=item, statistic=trimmed),
        "interval score": sums(high - low + missed * 2 / INTERVAL_MISS),
        "interval coverage": sums(inside),
    }


def by_item(values: Floats, *, item: Ints, count: int) -> Sums:
    """Sum values by item."""
    top = np.bincount(item, values, minlength=count).astype(np.float64)
    return Sums(top=top, bottom=np.bincount(item, minlength=count).astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """A figure with its 95 % interval."""

    value: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One metric of the product and of its opponents on the same items."""

    metric: str
    product: Estimated
    opponents: dict[str, Estimated]
    best: str  # the opponent with the best value
    gain: Estimated  # how much better the product is than that one; negative is worse
    verdict: str


def resamplings(items: int, seed: int) -> Floats:
    """Return how often each item comes in each draw: draws x items."""
    generator = np.random.default_rng([seed, items])
    return generator.multinomial(items, np.full(items, 1.0 / items), size=DRAWS).astype(np.float64)


def estimate(metric: Metric, times: Floats) -> Estimated:
    """Return a metric with its bootstrap interval over items.

    Where all is right, or all wrong, resampling sees no spread; then items are counted and Wilson's interval given.
    """
    value = metric.value()
    if isinstance(metric, Sums) and value in {0.0, 1.0} and (metric.top >= 0).all():
        items = (metric.bottom > 0).astype(np.float64)
        bounds = wilson(items[items > 0] * value, items[items > 0])
        return Estimated(value=value, n=metric.n, low=bounds.low or 0.0, high=bounds.high or 0.0)
    return _estimated(value, metric.n, metric.draws(times))


def _estimated(value: float, n: int, draws: Floats) -> Estimated:
    kept = draws[np.isfinite(draws)]
    low, high = np.quantile(kept, (0.025, 0.975)) if len(kept) else (np.nan, np.nan)
    return Estimated(value=value, n=n, low=float(low), high=float(high))


def compare(name: str, product: Metric, opponents: Mapping[str, Metric], times: Floats) -> Compared:
    """Compare the product with the best opponent by paired resampling of whole items."""
    sign = 1.0 if HIGHER_IS_BETTER[name] else -1.0
    drawn = {key: metric.draws(times) for key, metric in opponents.items()}
    values = {key: metric.value() for key, metric in opponents.items()}
    best = max(values, key=lambda key: (sign * values[key], key))
    own = product.draws(times)
    gain = _estimated(sign * (product.value() - values[best]), product.n, sign * (own - drawn[best]))
    verdict = "ahead" if gain.low > 0 else "worse" if gain.high < 0 else "not different"
    return Compared(
        metric=name, product=estimate(product, times),
        opponents={k: _estimated(values[k], m.n, drawn[k]) for k, m in opponents.items()},
        best=best, gain=gain, verdict=verdict,
    )  # fmt: skip
