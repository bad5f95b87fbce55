"""Two models' answers for the same items, order by order: how much a figure changed, and how sure that is.

A figure's interval comes from its influence function: each order's share in the change is summed over the drawing that
the order belongs to, since orders of one item and items of one drawing err alike, and the scatter of those sums is the
change's own (the delta method for clustered samples; for trimmed means see Stigler, 1973, *The asymptotic distribution
of the trimmed mean*, Annals of Statistics 1, 472-477). Few drawings widen it by Student's quantile. It equals a
bootstrap over whole drawings in the limit, and takes a hundredth of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from shared.quality.evaluate import Evaluation
from shared.quality.intervals import numbered, trimmed_means
from shared.quality.observations import RoutingObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Change:
    """A paired difference, new minus old, with its 95 % interval; None where it could not be measured."""

    value: float | None
    low: float | None
    high: float | None
    chance_of_none: float | None = None  # one-sided: of a measured loss at least so great where there is none

    def is_loss_beyond(self, margin: float, doubt: float, *, more_is_worse: bool) -> bool:
        """Tell whether the figure got worse by more than `margin`, and chance alone is less likely than `doubt`."""
        if self.value is None or self.chance_of_none is None:
            return False
        return (self.value if more_is_worse else -self.value) > margin and self.chance_of_none < doubt


NOTHING = Change(value=None, low=None, high=None)


@dataclass(frozen=True, kw_only=True)
class PairedOrders:
    """Booked orders and operations for which both models predicted minutes; one entry each."""

    drawing: Ints
    family: Ints
    families: tuple[str, ...]  # the names that `family` numbers
    weight: Floats
    old: Floats  # absolute errors in minutes
    new: Floats


@dataclass(frozen=True, kw_only=True)
class PairedRoutings:
    """Items that both models answered; one entry an item."""

    drawing: Ints
    old: tuple[RoutingObservation, ...]
    new: tuple[RoutingObservation, ...]

    @property
    def operations(self) -> Floats:
        """The operations of each item's actual routing, times its weight."""
        return np.array([row.matched.total * row.weight for row in self.old], dtype=np.float64)

    def matched(self, rows: Sequence[RoutingObservation]) -> Floats:
        """Return the share of each item's actual operations that were predicted."""
        return np.array([row.matched.hits / max(1, row.matched.total) for row in rows], dtype=np.float64)


def pair_orders(old: Evaluation, new: Evaluation, drawings: Mapping[str, str]) -> PairedOrders:
    """Set both models' errors for the same orders side by side; an item that `drawings` lacks has only itself."""
    known = {(row.item_code, row.order): row.predicted_minutes for row in new.orders}
    both = [row for row in old.orders if (row.item_code, row.order) in known]
    after = np.array([known[row.item_code, row.order] for row in both], dtype=np.float64)
    before = np.array([row.predicted_minutes for row in both], dtype=np.float64)
    booked = np.array([row.booked_minutes for row in both], dtype=np.float64)
    family, families = numbered([row.family for row in both])
    return PairedOrders(
        drawing=numbered([drawings.get(row.item_code, row.item_code) for row in both])[0],
        family=family,
        families=families,
        weight=np.array([row.weight for row in both], dtype=np.float64),
        old=np.abs(before - booked),
        new=np.abs(after - booked),
    )


def pair_routings(old: Evaluation, new: Evaluation, drawings: Mapping[str, str]) -> PairedRoutings:
    """Set both models' routings for the same items side by side."""
    known = {row.item_code: row for row in new.routings}
    both = [row for row in old.routings if row.item_code in known]
    return PairedRoutings(
        drawing=numbered([drawings.get(row.item_code, row.item_code) for row in both])[0],
        old=tuple(both),
        new=tuple(known[row.item_code] for row in both),
    )


def trimmed_change(orders: PairedOrders, trim_share: float) -> Change:
    """Return the relative change of the trimmed MAE: -0.05 is 5 % better."""
    if not len(orders.old):
        return NOTHING
    before, of_before = _trimmed(orders.old, orders.weight, trim_share)
    after, of_after = _trimmed(orders.new, orders.weight, trim_share)
    if before <= 0 or after <= 0:
        same = 0.0 if before == after else None
        return Change(value=same, low=same, high=same, chance_of_none=None if same is None else 1.0)
    # In logarithms, where a ratio's scatter is symmetrical.
    log_change = float(np.log(after / before))
    spread, freedom = _clustered(of_after / after - of_before / before, orders.drawing)
    low, high, chance = _interval(log_change, spread, freedom)
    return Change(
        value=after / before - 1,
        low=None if low is None else float(np.expm1(low)),
        high=None if high is None else float(np.expm1(high)),
        chance_of_none=chance,
    )


def chance_of_no_growth(orders: PairedOrders, fewest: int) -> dict[str, float]:
    """Return, by family of at least `fewest` drawings, the chance of errors grown so much where none did (t-test)."""
    grown = orders.new - orders.old
    pairs = orders.family * (int(orders.drawing.max(initial=0)) + 1) + orders.drawing
    names, place = np.unique(pairs, return_inverse=True)
    means = np.bincount(place, grown) / np.bincount(place)
    family = names // (int(orders.drawing.max(initial=0)) + 1)
    count = np.bincount(family, minlength=len(orders.families))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(family, means, minlength=len(count)) / count
        spread = np.sqrt(np.bincount(family, (means - mean[family]) ** 2, minlength=len(count)) / (count - 1))
    return {
        orders.families[number]: _chance_of_growth(float(mean[number]), float(spread[number]), int(count[number]))
        for number in np.flatnonzero(count >= fewest)
    }


def _chance_of_growth(mean: float, spread: float, count: int) -> float:
    if spread == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(count - 1, -mean / (spread / count**0.5)))


def mean_change(gained: Floats, weights: Floats, drawing: Ints) -> Change:
    """Return the weighted mean of what each item gained; `chance_of_none` is that of a loss."""
    if not len(gained) or weights.sum() <= 0:
        return NOTHING
    value = float(np.average(gained, weights=weights))
    spread, freedom = _clustered((gained - value) * weights / weights.sum(), drawing)
    low, high, chance = _interval(value, spread, freedom)
    return Change(value=value, low=low, high=high, chance_of_none=None if chance is None else 1 - chance)


def _trimmed(values: Floats, weights: Floats, trim_share: float) -> tuple[float, Floats]:
    """Return the trimmed mean, and what each value adds to it beside its expectation (its influence)."""
    order = np.argsort(values, kind="stable")
    ordered, weight = values[order], weights[order]
    mean = float(trimmed_means(ordered, weight[np.newaxis, :], trim_share)[0])
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    low, high = np.interp([trim_share, 1 - trim_share], share, ordered)
    held = np.clip(values, low, high)
    part = weights / weights.sum()
    return mean, (held - float(held @ part)) * part / (1 - 2 * trim_share)


def _clustered(influence: Floats, cluster: Ints) -> tuple[float, int]:
    """Return the standard error that the clusters' sums tell, and its degrees of freedom."""
    sums = np.bincount(cluster, influence)
    count = len(sums)
    if count < 2:
        return float("nan"), 0
    return float(np.sqrt((sums @ sums) * count / (count - 1))), count - 1


def _interval(value: float, spread: float, freedom: int) -> tuple[float | None, float | None, float | None]:
    """Return the 95 % bounds, and the one-sided chance of at least this value where the truth is 0."""
    if freedom < 1:
        return None, None, None
    if spread == 0:
        return value, value, 0.0 if value > 0 else 1.0
    wide = float(stdtrit(freedom, (1 + LEVEL) / 2)) * spread
    return value - wide, value + wide, float(stdtr(freedom, -value / spread))
