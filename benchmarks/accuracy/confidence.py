"""Is a stated probability, grade or interval true: risk and coverage, reliability, bands by quantity and by family."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import binom

from benchmarks.accuracy.asking import Asked, Floats, Ints, Proposal, Times
from benchmarks.accuracy.scoring import Flags

LEAST_OF_A_FAMILY = 100
STATED_COVERAGE = 0.8
LEVEL = 0.95
QUANTITY_BANDS = (1.0, 3.0, 10.0, 30.0, 100.0)
RELIABILITY_BINS = 10


@dataclass(frozen=True, kw_only=True)
class Share:
    """Hits of n, with Wilson's 95 % interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """Return the share, nan of nothing."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the interval."""
        if not self.n:
            return 0.0, 1.0
        z = 1.959963984540054
        centre = (self.value + z**2 / (2 * self.n)) / (1 + z**2 / self.n)
        half = z / (1 + z**2 / self.n) * np.sqrt(self.value * (1 - self.value) / self.n + z**2 / (4 * self.n**2))
        return max(0.0, float(centre - half)), min(1.0, float(centre + half))


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Items whose stated probability is about equal."""

    stated: float
    right: Share


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """What the grades and probabilities of routings were worth."""

    high: Share  # graded high, of all asked
    high_right: Share  # of those, right
    abstained: Share
    abstained_copy_right: Share  # where the product said nothing: how often a copy of the nearest would be right
    curve: list[tuple[float, float]]  # share of items, most probable first; how often right up to there
    bins: list[Bin]
    calibration_error: float  # mean |stated - right|, weighted by items
    log_loss: float
    most_at_95: float  # the largest share of most probable items of which 95 % are right


def judge_confidence(asked: Asked, proposals: Sequence[Proposal], copies: Sequence[Proposal]) -> Confidence:
    """Return how much the product's confidence is worth."""
    truth = asked.signatures
    right = np.array([p.signatures[:1] == (t,) for p, t in zip(proposals, truth, strict=True)])
    copied = np.array([p.signatures[:1] == (t,) for p, t in zip(copies, truth, strict=True)])
    high = np.array([p.high for p in proposals])
    silent = np.array([p.abstained for p in proposals])
    stated = np.array([p.probability for p in proposals])
    curve = _curve(stated, right)
    spoken = ~silent
    chance = np.clip(np.where(right[spoken], stated[spoken], 1 - stated[spoken]), 1e-6, 1.0)
    bins = _bins(stated[spoken], right[spoken])
    weights = np.array([each.right.n for each in bins])
    apart = np.array([abs(each.stated - each.right.value) for each in bins])
    return Confidence(
        high=Share(hits=int(high.sum()), n=len(high)), high_right=_share(right[high]),
        abstained=Share(hits=int(silent.sum()), n=len(silent)), abstained_copy_right=_share(copied[silent]),
        curve=curve, bins=bins, calibration_error=float(np.average(apart, weights=weights)) if len(bins) else np.nan,
        log_loss=float(-np.log(chance).mean()) if len(chance) else float("nan"),
        most_at_95=max((share for share, good in curve if good >= LEVEL), default=0.0),
    )  # fmt: skip


def _share(hits: Flags) -> Share:
    return Share(hits=int(hits.sum()), n=len(hits))


def _curve(stated: Floats, right: Flags) -> list[tuple[float, float]]:
    order = np.argsort(-stated, kind="stable")
    counts = np.arange(1, len(order) + 1)
    good = np.cumsum(right[order]) / counts
    ends = np.append(np.diff(stated[order]) != 0, True)  # equal probabilities cannot be told apart
    return list(zip((counts[ends] / len(order)).tolist(), good[ends].tolist(), strict=True))


def _bins(stated: Floats, right: Flags) -> list[Bin]:
    """Return bins of equal numbers of items."""
    order = np.argsort(stated, kind="stable")
    parts = [part for part in np.array_split(order, RELIABILITY_BINS) if len(part)]
    return [Bin(stated=float(stated[part].mean()), right=_share(right[part])) for part in parts]


@dataclass(frozen=True, kw_only=True)
class Band:
    """Orders of about one quantity: how far off in the middle, and how often inside the interval."""

    name: str
    middle_ratio: float  # median of booked over predicted
    inside: Share
    items: int


def judge_quantities(asked: Asked, times: Times, rows: Flags) -> list[Band]:
    """Return a band for each range of quantities that has orders."""
    found = []
    edges = (0.0, *QUANTITY_BANDS, np.inf)
    for low, high in pairwise(edges):
        chosen = rows & (asked.quantity > low) & (asked.quantity <= high) & (asked.booked > 0) & (times.value > 0)
        if not chosen.any():
            continue
        inside = (asked.booked >= times.low) & (asked.booked <= times.high)
        name = f"up to {high:g}" if np.isfinite(high) else f"above {low:g}"
        found.append(
            Band(
                name=name, middle_ratio=float(np.median(asked.booked[chosen] / times.value[chosen])),
                inside=_share(inside[chosen]), items=len(np.unique(asked.order_item[chosen])),
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, kw_only=True)
class FamilyCoverage:
    """One family's share of orders inside their intervals, beside what would be chance."""

    family: str
    inside: Share
    items: int
    effective: float  # orders that are worth as many independent ones
    low: float  # the simultaneous band of shares, from the effective number
    high: float

    @property
    def within(self) -> bool:
        """Tell whether the share lies in the band."""
        return self.low <= self.inside.value <= self.high


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The coverage of every family with enough orders, together."""

    families: list[FamilyCoverage]
    correlation: float  # of two orders of one item being inside
    naive_outside: int  # families outside when every order counts as independent


def judge_families(asked: Asked, times: Times, rows: Flags) -> Coverage:
    """Hold all families with 100 booked orders or more against a simultaneous binomial band around 80 %.

    Orders and operations of one item are inside or outside together. Their correlation is estimated over all
    families (analysis of variance); a family's orders then count as n / (1 + (m - 1) correlation), m the mean number of
    orders of an order's item. The level is Šidák's for the number of families.
    """
    inside = ((asked.booked >= times.low) & (asked.booked <= times.high)).astype(np.float64)
    family = np.array([asked.families[item] for item in asked.order_item.tolist()], dtype=object)
    correlation = intraclass(inside[rows], asked.order_item[rows])
    names = sorted({str(name) for name in family[rows]})
    large = [name for name in names if int((rows & (family == name)).sum()) >= LEAST_OF_A_FAMILY]
    miss = 1 - LEVEL ** (1 / max(len(large), 1))
    found, naive = [], 0
    for name in large:
        chosen = rows & (family == name)
        counts = np.unique(asked.order_item[chosen], return_counts=True)[1]
        share = Share(hits=int(inside[chosen].sum()), n=int(chosen.sum()))
        effective = share.n / (1 + (float((counts**2).sum() / counts.sum()) - 1) * correlation)
        low, high = band(effective, miss)
        naive_low, naive_high = band(share.n, miss)
        naive += not naive_low <= share.value <= naive_high
        found.append(
            FamilyCoverage(
                family=name, inside=share, items=len(counts), effective=effective, low=low, high=high,
            )
        )  # fmt: skip
    return Coverage(families=found, correlation=correlation, naive_outside=naive)


def band(n: float, miss: float) -> tuple[float, float]:
    """Return the shares between which a binomial of n at 80 % lies but for a chance of `miss`."""
    whole = max(1, round(n))
    low, high = binom.ppf((miss / 2, 1 - miss / 2), whole, STATED_COVERAGE)
    return float(low) / whole, float(high) / whole


def intraclass(values: Floats, group: Ints) -> float:
    """Return the correlation of two values of one group, by analysis of variance; never below 0."""
    _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    groups, n = len(counts), len(values)
    if groups < 2 or n <= groups:
        return 0.0
    means = np.bincount(place, values) / counts
    between = float((counts * (means - values.mean()) ** 2).sum()) / (groups - 1)
    within = float(((values - means[place]) ** 2).sum()) / (n - groups)
    size = (n - float((counts**2).sum()) / n) / (groups - 1)
    total = between + (size - 1) * within
    return max(0.0, (between - within) / total) if total > 0 else 0.0
