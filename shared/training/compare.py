"""May a new model be registered? Two models, the same items asked as if unknown, differences taken item by item.

A *refit* (same recipe, fresh data) is kept unless it is shown to be worse: its trimmed MAE is worse by more than the
margin and the paired interval excludes "no change". A *challenger* (another recipe) has to prove itself: its trimmed
MAE is better by at least the gain, the paired interval excludes "no change", and no family is significantly worse
after Holm's correction for how many families there are. Neither may lose routing accuracy or answers for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from shared.quality.evaluate import Evaluation
from shared.quality.intervals import Resampling, trimmed_means
from shared.quality.metrics import measure
from shared.quality.observations import OrderObservation, RoutingObservation

Floats = NDArray[np.float64]

MINIMUM_ITEMS = 10  # below this a difference cannot be told from chance
MINIMUM_FAMILY_ITEMS = 3
SIGNIFICANCE = 0.05
DRAWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Change:
    """A paired difference, new minus old, with its 95 % interval; None where it could not be measured."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same items, and what follows from it."""

    kind: str
    promoted: bool
    decision: str  # "register" or "keep the active model"
    reason: str
    items: int  # compared by both models
    orders: int  # booked orders and operations for which both predicted a time
    trim_mae_change: Change  # relative: -0.05 is 5 % better
    process_match_change: Change  # absolute: +0.01 is one operation of a hundred more
    answered: dict[str, float]  # share of the items that each model answered
    worse_families: tuple[str, ...]
    old: dict[str, Any]
    new: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a new model has to show; shares of 1."""

    refit_margin: float
    challenger_gain: float
    trim_share: float
    minimum_samples: int
    seed: int


def compare(kind: str, old: Evaluation, new: Evaluation, rules: Rules) -> Comparison:
    """Compare the active model's evaluation with the new one's and decide."""
    orders = _paired_orders(old.orders, new.orders)
    routings = _paired_routings(old.routings, new.routings)
    change = _trim_mae_change(orders, rules)
    match = _process_match_change(routings, rules.seed)
    answered = {"old": old.evaluated / max(1, old.asked), "new": new.evaluated / max(1, new.asked)}
    worse = worse_families(orders)
    promoted, reason = _decide(kind, change, match, answered, worse, len(routings), rules)
    return Comparison(
        kind=kind,
        promoted=promoted,
        decision="register" if promoted else "keep the active model",
        reason=reason,
        items=len(routings),
        orders=len(orders),
        trim_mae_change=change,
        process_match_change=match,
        answered=answered,
        worse_families=worse,
        old=_overall([pair[0] for pair in orders], [pair[0] for pair in routings], rules),
        new=_overall([pair[1] for pair in orders], [pair[1] for pair in routings], rules),
    )


def _overall(
    orders: Sequence[OrderObservation], routings: Sequence[RoutingObservation], rules: Rules
) -> dict[str, Any]:
    figures: dict[str, Any] = measure(
        orders, routings, trim_share=rules.trim_share, minimum_samples=rules.minimum_samples, seed=rules.seed
    )["overall"]
    return figures


def _paired_orders(
    old: Sequence[OrderObservation], new: Sequence[OrderObservation]
) -> list[tuple[OrderObservation, OrderObservation]]:
    known = {(row.item_code, row.order): row for row in new}
    return [(row, known[row.item_code, row.order]) for row in old if (row.item_code, row.order) in known]


def _paired_routings(
    old: Sequence[RoutingObservation], new: Sequence[RoutingObservation]
) -> list[tuple[RoutingObservation, RoutingObservation]]:
    known = {row.item_code: row for row in new}
    return [(row, known[row.item_code]) for row in old if row.item_code in known]


def _errors(rows: Sequence[OrderObservation]) -> Floats:
    return np.array([abs(row.predicted_minutes - row.booked_minutes) for row in rows], dtype=np.float64)


def _numbers(codes: Sequence[str]) -> NDArray[np.int64]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(code, len(known)) for code in codes], dtype=np.int64)


def _trim_mae_change(orders: Sequence[tuple[OrderObservation, OrderObservation]], rules: Rules) -> Change:
    """The relative change of the trimmed MAE, whole items resampled for both models at once."""
    if not orders:
        return Change(value=None, low=None, high=None)
    weights = np.array([pair[0].weight for pair in orders])
    draws = Resampling(_numbers([pair[0].item_code for pair in orders]), seed=rules.seed, draws=DRAWS)
    figures = []
    for side in (0, 1):
        errors = _errors([pair[side] for pair in orders])
        order = np.argsort(errors, kind="stable")
        value = float(trimmed_means(errors[order], weights[order][np.newaxis, :], rules.trim_share)[0])
        sampled = draws.of_sorted(errors, weights, lambda v, w: trimmed_means(v, w, rules.trim_share))
        figures.append((value, sampled))
    (before, before_draws), (after, after_draws) = figures
    if before <= 0:
        same = 0.0 if after <= 0 else None
        return Change(value=same, low=same, high=same)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = after_draws / before_draws
    low, high = draws.interval(after / before, ratios)
    return Change(value=after / before - 1, low=_less_one(low), high=_less_one(high))


def _less_one(ratio: float | None) -> float | None:
    return None if ratio is None else ratio - 1


def _process_match_change(routings: Sequence[tuple[RoutingObservation, RoutingObservation]], seed: int) -> Change:
    if not routings:
        return Change(value=None, low=None, high=None)
    totals = np.array([pair[0].matched.total for pair in routings], dtype=np.float64)
    gained = np.array([pair[1].matched.hits - pair[0].matched.hits for pair in routings]) / totals
    weights = np.array([pair[0].weight for pair in routings]) * totals
    draws = Resampling(np.arange(len(routings)), seed=seed, draws=DRAWS)
    value = float(np.average(gained, weights=weights))
    # Shifted by 1, because a share's change may be negative and intervals of figures stop at 0.
    low, high = draws.interval(value + 1, draws.means(gained, weights) + 1)
    return Change(value=value, low=_less_one(low), high=_less_one(high))


def worse_families(orders: Sequence[tuple[OrderObservation, OrderObservation]]) -> tuple[str, ...]:
    """Return the families whose errors grew significantly: one-sided paired t-tests over items, Holm-corrected."""
    per_item: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for before, after in orders:
        grown = abs(after.predicted_minutes - after.booked_minutes) - abs(
            before.predicted_minutes - before.booked_minutes
        )
        per_item[before.family][before.item_code].append(grown)
    chances = {}
    for family, items in per_item.items():
        means = np.array([float(np.mean(values)) for values in items.values()])
        if len(means) >= MINIMUM_FAMILY_ITEMS:
            chances[family] = _chance_of_no_growth(means)
    worse = []
    for rank, family in enumerate(sorted(chances, key=lambda name: (chances[name], name))):
        if chances[family] * (len(chances) - rank) > SIGNIFICANCE:
            break
        worse.append(family)
    return tuple(sorted(worse))


def _chance_of_no_growth(means: Floats) -> float:
    spread = float(means.std(ddof=1))
    if spread == 0:
        return 0.0 if means[0] > 0 else 1.0
    return float(1 - stdtr(len(means) - 1, means.mean() / (spread / len(means) ** 0.5)))


def _decide(
    kind: str,
    change: Change,
    match: Change,
    answered: dict[str, float],
    worse: tuple[str, ...],
    items: int,
    rules: Rules,
) -> tuple[bool, str]:
    if items < MINIMUM_ITEMS or change.value is None or change.low is None or change.high is None:
        seen = f"only {items} items could be compared, {MINIMUM_ITEMS} with booked orders are needed"
        return kind == "refit", f"{seen}: a refit is registered for a person to judge, a challenger is not"
    figures = f"trimmed MAE {change.value:+.1%} (95 % interval {change.low:+.1%} to {change.high:+.1%}, {items} items)"
    if answered["new"] < answered["old"] - rules.refit_margin:
        return False, f"it answers fewer items: {answered['new']:.1%} instead of {answered['old']:.1%}; {figures}"
    if match.value is not None and match.value < -rules.refit_margin and (match.high is None or match.high < 0):
        return False, f"it predicts {-match.value:.1%} fewer of the actual operations; {figures}"
    if kind == "refit":
        return _decide_refit(change.value, change.low, figures, rules.refit_margin)
    if change.value > -rules.challenger_gain:
        return False, f"not {rules.challenger_gain:.0%} better: {figures}"
    if change.high >= 0:
        return False, f"the gain may be chance: {figures}"
    if worse:
        return False, f"significantly worse for {', '.join(worse[:5])}; {figures}"
    return True, f"at least {rules.challenger_gain:.0%} better and not by chance: {figures}"


def _decide_refit(change: float, low: float, figures: str, margin: float) -> tuple[bool, str]:
    if change <= margin:
        return True, f"not worse beyond {margin:.0%}: {figures}"
    if low <= 0:
        return True, f"not shown to be worse, the difference may be chance: {figures}"
    return False, f"worse beyond {margin:.0%}, and not by chance: {figures}"
