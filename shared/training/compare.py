"""May a new model be registered? Two models, the same items asked as if unknown, differences taken drawing by drawing.

A *refit* (same recipe, fresh data) is refused when it is worse: the trimmed MAE, the operations predicted, or the items
answered are worse than the active model's by more than the margin, and chance alone would show so much less than once
in ten. A *challenger* (another recipe) has to prove itself besides: its trimmed MAE is better by at least the gain, the
paired interval excludes "no change" (or it predicts so many points more of the operations actually done, likewise
beyond chance, and its minutes are not worse), no family is significantly worse after Holm's correction for how many
families there are, and it is fast enough to serve.

Why a refit need not prove that it is *not* worse: with 500 items the interval of two equal models reaches about 3 %
to each side, so such a proof within a margin of 2 % would refuse nine of ten healthy refits, and the index would go
stale. `benchmarks/comparison` measures how often each rule decides rightly.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from shared.quality.evaluate import Evaluation
from shared.quality.intervals import holm, trimmed_means
from shared.training.pairing import (
    Change,
    PairedOrders,
    PairedRoutings,
    chance_of_no_growth,
    mean_change,
    pair_orders,
    pair_routings,
    trimmed_change,
)

Floats = NDArray[np.float64]

MINIMUM_ITEMS = 10  # below this a difference cannot be told from chance
MINIMUM_FAMILY_ITEMS = 3
SIGNIFICANCE = 0.05
DOUBT = 0.10  # a loss beyond the margin refuses a model unless chance shows as much more often than this
FAMILIES_NAMED = 5
BETTER_ROUTINGS = "routings better"


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a model takes for one answer, one item a call; measured in turns with the other model, in one run."""

    p50_ms: float
    p95_ms: float
    answers: int
    slowdown: float = 1.0  # times the other model's time: of all answers, or of the slowest, the worse


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition that the new model had to meet."""

    name: str
    passed: bool
    value: float | None
    low: float | None  # the value's 95 % interval, where it has one
    high: float | None
    limit: float | None
    says: str  # the finding in words, as the decision's reason repeats it


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
    latency: dict[str, Any] | None  # both models' figures, and how many times the old one's the new one takes
    checks: tuple[Check, ...]
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
    maximum_slowdown: float = 1.25  # times the active model's time for one answer


def compare(
    kind: str,
    old: Evaluation,
    new: Evaluation,
    rules: Rules,
    *,
    drawings: Mapping[str, str] | None = None,
    latency: tuple[Latency, Latency] | None = None,
) -> Comparison:
    """Compare the active model's evaluation with the new one's and decide.

    Args:
        kind: "refit" or "challenger".
        old: the active model's answers for a sample of items.
        new: the new model's answers for the same sample.
        rules: the limits.
        drawings: item to what its sisters share with it, so that sisters count as one; without it each item alone.
        latency: the old and the new model's time for an answer; without it speed is not judged.
    """
    sisters = drawings or {}
    orders, routings = pair_orders(old, new, sisters), pair_routings(old, new, sisters)
    change = trimmed_change(orders, rules.trim_share)
    match = mean_change(
        routings.matched(routings.new) - routings.matched(routings.old), routings.operations, routings.drawing
    )
    worse = worse_families(orders)
    checks = [_enough(len(routings.old), change), _answers(old, new, rules), _match(match, rules)]
    checks += (
        [_refit(change, rules)]
        if kind == "refit"
        else [*_proof(change, match, rules), _families(worse), *_speed(latency, rules)]
    )
    promoted, reason = _decide(kind, checks, change, len(routings.old), rules)
    return Comparison(
        kind=kind,
        promoted=promoted,
        decision="register" if promoted else "keep the active model",
        reason=reason,
        items=len(routings.old),
        orders=len(orders.old),
        trim_mae_change=change,
        process_match_change=match,
        answered=_answered(old, new),
        worse_families=worse,
        latency=_latency_figures(latency),
        checks=tuple(checks),
        old=_figures(orders.old, orders, routings, rules, side=0),
        new=_figures(orders.new, orders, routings, rules, side=1),
    )


def worse_families(orders: PairedOrders) -> tuple[str, ...]:
    """Return the families whose errors grew significantly: one-sided paired t-tests over drawings, Holm-corrected."""
    chances = chance_of_no_growth(orders, MINIMUM_FAMILY_ITEMS)
    corrected = holm(list(chances.values()))
    return tuple(sorted(name for name, chance in zip(chances, corrected, strict=True) if chance <= SIGNIFICANCE))


def _figures(
    errors: Floats, orders: PairedOrders, routings: PairedRoutings, rules: Rules, *, side: int
) -> dict[str, Any]:
    """One model's chief figures on what both answered, each with its n; None where nothing could be measured."""
    rows = (routings.old, routings.new)[side]
    weights = np.array([row.weight for row in rows], dtype=np.float64)
    return {
        "trim_mae": _figure(_trimmed_mean(errors, orders.weight, rules.trim_share), len(errors)),
        "mae": _figure(_mean(errors, orders.weight), len(errors)),
        "process_match": _figure(_mean(routings.matched(rows), routings.operations), len(rows)),
        "exact_top1": _figure(_mean(np.array([row.exact_first for row in rows], dtype=np.float64), weights), len(rows)),
        "exact_top3": _figure(
            _mean(np.array([row.exact_among_three for row in rows], dtype=np.float64), weights), len(rows)
        ),
    }


def _figure(value: float | None, n: int) -> dict[str, Any]:
    return {"value": value, "n": n if value is not None else 0}


def _mean(values: Floats, weights: Floats) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) and weights.sum() > 0 else None


def _trimmed_mean(values: Floats, weights: Floats, trim_share: float) -> float | None:
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    return float(trimmed_means(values[order], weights[order][np.newaxis, :], trim_share)[0])


def _answered(old: Evaluation, new: Evaluation) -> dict[str, float]:
    return {"old": old.evaluated / max(1, old.asked), "new": new.evaluated / max(1, new.asked)}


def _latency_figures(latency: tuple[Latency, Latency] | None) -> dict[str, Any] | None:
    if latency is None:
        return None
    old, new = latency
    return {"old": asdict(old), "new": asdict(new), "slowdown": new.slowdown}


# -- the conditions


def _check(name: str, passed: bool, change: Change, limit: float | None, says: str) -> Check:
    return Check(name=name, passed=passed, value=change.value, low=change.low, high=change.high, limit=limit, says=says)


def _enough(items: int, change: Change) -> Check:
    enough = items >= MINIMUM_ITEMS and change.low is not None
    says = f"only {items} items could be compared, {MINIMUM_ITEMS} with booked orders are needed"
    says += ": a refit is registered for a person to judge, a challenger is not"
    return Check(
        name="enough items",
        passed=enough,
        value=float(items),
        low=None,
        high=None,
        limit=float(MINIMUM_ITEMS),
        says=f"{items} items could be compared" if enough else says,
    )


def _answers(old: Evaluation, new: Evaluation, rules: Rules) -> Check:
    """No more items left without an answer, beyond the margin and beyond chance (a sign test on the items)."""
    before, after = {row.item_code for row in old.routings}, {row.item_code for row in new.routings}
    lost, gained = len(before - after), len(after - before)
    share = _answered(old, new)
    change = share["new"] - share["old"]
    chance = binomtest(lost, lost + gained, alternative="greater").pvalue if lost else 1.0
    passed = not (change < -rules.refit_margin and chance < DOUBT)
    fewer = "fewer items" if change < 0 else "as many items"
    says = f"it answers {fewer}: {share['new']:.1%} instead of {share['old']:.1%}"
    return _check("items answered", passed, Change(value=change, low=None, high=None), -rules.refit_margin, says)


def _match(match: Change, rules: Rules) -> Check:
    passed = not match.is_loss_beyond(rules.refit_margin, DOUBT, more_is_worse=False)
    if match.value is None:
        return _check("operations predicted", True, match, -rules.refit_margin, "no routing could be compared")
    word = "fewer" if match.value < 0 else "more"
    says = f"it predicts {abs(match.value):.1%} {word} of the actual operations{_within(match)}"
    return _check("operations predicted", passed, match, -rules.refit_margin, says)


def _refit(change: Change, rules: Rules) -> Check:
    margin = rules.refit_margin
    lost = change.is_loss_beyond(margin, DOUBT, more_is_worse=True)
    if lost:
        chance = change.chance_of_none or 0.0
        says = f"worse beyond {margin:.0%}, and not by chance (which shows as much in {chance:.1%} of such cases)"
    elif change.value is not None and change.value > margin:
        says = "not shown to be worse, the difference may be chance"
    else:
        says = f"not worse beyond {margin:.0%}"
    return _check("minutes not worse", not lost, change, margin, says)


def _proof(change: Change, match: Change, rules: Rules) -> list[Check]:
    """What a challenger proves itself by: better minutes, or better routings with minutes that are not worse.

    Minutes are compared where both models predicted the operation. After a change of what is done, say for a new
    family, the better model is the one that knows the operations at all.
    """
    gain = rules.challenger_gain
    if match.value is None or match.low is None or match.value < gain or match.low <= 0:
        return [_gain(change, rules), _sure(change)]
    says = f"predicts {match.value:.1%} more of the actual operations{_within(match)}, not by chance"
    return [_check(BETTER_ROUTINGS, True, match, gain, says), _refit(change, rules)]


def _gain(change: Change, rules: Rules) -> Check:
    gain = rules.challenger_gain
    passed = change.value is not None and change.value <= -gain
    return _check("minutes better", passed, change, -gain, f"{'' if passed else 'not '}{gain:.0%} better")


def _sure(change: Change) -> Check:
    passed = change.high is not None and change.high < 0
    return _check("not by chance", passed, change, 0.0, "not by chance" if passed else "the gain may be chance")


def _families(worse: tuple[str, ...]) -> Check:
    more = f" and {len(worse) - FAMILIES_NAMED} more" if len(worse) > FAMILIES_NAMED else ""
    says = f"significantly worse for {', '.join(worse[:FAMILIES_NAMED])}{more}" if worse else "no family is worse"
    count = Change(value=float(len(worse)), low=None, high=None)
    return _check("no family worse", not worse, count, 0.0, says)


def _speed(latency: tuple[Latency, Latency] | None, rules: Rules) -> list[Check]:
    if latency is None:
        return []
    old, new = latency
    slower = new.slowdown
    passed = slower <= rules.maximum_slowdown
    says = (
        f"{'fast enough' if passed else 'too slow'}: an answer takes {new.p50_ms:.2f} ms (p95 {new.p95_ms:.2f}) "
        f"instead of {old.p50_ms:.2f} ms (p95 {old.p95_ms:.2f}), {slower:.2f} times; "
        f"at most {rules.maximum_slowdown:.2f} times is allowed"
    )
    return [
        _check("speed of an answer", passed, Change(value=slower, low=None, high=None), rules.maximum_slowdown, says)
    ]


def _within(change: Change) -> str:
    if change.low is None or change.high is None:
        return ""
    return f" (95 % interval {change.low:+.1%} to {change.high:+.1%})"


def _decide(kind: str, checks: list[Check], change: Change, items: int, rules: Rules) -> tuple[bool, str]:
    enough = checks[0]
    if not enough.passed:
        return kind == "refit", enough.says
    figures = f"trimmed MAE {change.value:+.1%}{_within(change)}, {items} items"
    failed = [check for check in checks if not check.passed]
    if failed:
        return False, f"{'; '.join(check.says for check in failed)}; {figures}"
    if kind == "refit":
        return True, f"{checks[-1].says}: {figures}"
    routings = next((check for check in checks if check.name == BETTER_ROUTINGS), None)
    if routings is not None:
        return True, f"{routings.says}; minutes not shown to be worse: {figures}"
    return True, f"at least {rules.challenger_gain:.0%} better and not by chance: {figures}"
