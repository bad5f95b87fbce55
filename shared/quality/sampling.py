"""Which items a quality cycle looks at: seeded, reproducible, and with weights that undo the sample's bias.

Only items with a routing *and* a work result can be judged, so only they form the population. The same seed and the
same population give the same sample, in whatever order the population arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shared.erp.snapshot import Snapshot
from shared.errors import InvalidInput
from shared.prediction.minutes.orders import sound_reports

STRATEGIES = ("random", "stratified", "recent")
UNKNOWN_STRATUM = "(unknown)"
POOLED_STRATA = "(small strata)"
RECENT_HALF_LIFE_DAYS = 90.0
RECENT_FLOOR = 0.05  # an item without a recent order keeps this chance, relative to one with an order today

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The items drawn, and what is needed to draw them again."""

    item_codes: tuple[str, ...]
    weights: tuple[float, ...]  # inverse inclusion probabilities, scaled to a mean of 1
    strategy: str
    seed: int
    requested: int
    population: int
    strata: dict[str, int]  # items drawn per stratum
    message: str | None = None  # why the sample is empty or smaller than asked


def eligible_items(
    snapshot: Snapshot, stratum_attributes: Sequence[str] = (), *, reported_after: date | None = None
) -> pl.DataFrame:
    """Return the items that can be judged: `item_code, stratum, last_reported_at`, ordered by code.

    `stratum_attributes` name item attributes whose values together are the stratum. With `reported_after`, only work
    results later than that day make an item eligible.

    Raises:
        InvalidInput: an attribute is not declared by the snapshot.
    """
    items = snapshot.items()
    unknown = [name for name in stratum_attributes if name not in items.columns]
    if unknown:
        raise InvalidInput(
            f"The snapshot has no attribute {unknown[0]!r} to stratify by.",
            remedy=f"Choose among {', '.join(c for c in items.columns if c != 'item_code')}.",
            errors=[{"field": "stratum", "message": "unknown attribute"}],
        )
    results = sound_reports(snapshot.work_results()).filter(pl.col("quantity") > 0)
    if reported_after is not None:
        results = results.filter(pl.col("reported_at") > reported_after)
    reported = results.group_by("item_code").agg(pl.col("reported_at").max().alias("last_reported_at"))
    parts = [pl.col(name).cast(pl.String).fill_null(UNKNOWN_STRATUM) for name in stratum_attributes]
    stratum = pl.concat_str(parts, separator=" / ") if parts else pl.lit("")
    return (
        items.select("item_code", stratum.alias("stratum"))
        .unique("item_code")
        .join(snapshot.routings().select("item_code").unique(), on="item_code", how="semi")
        .join(reported, on="item_code", how="inner")
        .sort("item_code")
    )


def draw_sample(
    population: pl.DataFrame,
    *,
    strategy: str,
    size: int,
    seed: int,
    half_life_days: float = RECENT_HALF_LIFE_DAYS,
) -> Sample:
    """Draw at most `size` items of `population` (the columns of `eligible_items`).

    `random` gives every item the same chance; `stratified` gives each stratum its share, and at least one item while
    there are enough to go round; `recent` favours items reported lately, halving the chance every `half_life_days`.

    Raises:
        InvalidInput: the strategy is unknown or the size below 1.
    """
    if strategy not in STRATEGIES:
        raise InvalidInput(
            f"There is no sampling strategy {strategy!r}.",
            remedy=f"Use one of {', '.join(STRATEGIES)}.",
            errors=[{"field": "strategy", "message": "unknown strategy"}],
        )
    if size < 1:
        raise InvalidInput(
            f"A sample of {size} items cannot be drawn.",
            remedy="Ask for at least 1.",
            errors=[{"field": "sample_size", "message": "must be at least 1"}],
        )
    ordered = population.sort("item_code")
    total = ordered.height
    generator = np.random.default_rng([seed, STRATEGIES.index(strategy)])
    if total <= size:
        chosen, weights = np.arange(total), np.ones(total)
    elif strategy == "stratified":
        chosen, weights = _stratified(ordered["stratum"].to_list(), size, generator)
    elif strategy == "recent":
        chosen, weights = _recent(ordered, size, half_life_days, generator)
    else:
        chosen, weights = np.sort(generator.permutation(total)[:size]), np.ones(size)
    drawn = ordered[chosen.tolist()] if len(chosen) else ordered.head(0)
    scaled = weights / weights.mean() if len(weights) else weights
    return Sample(
        item_codes=tuple(drawn["item_code"].to_list()),
        weights=tuple(float(w) for w in scaled),
        strategy=strategy,
        seed=seed,
        requested=size,
        population=total,
        strata={str(k): int(v) for k, v in sorted(drawn["stratum"].value_counts().iter_rows())},
        message=_message(total, size),
    )


def _message(total: int, size: int) -> str | None:
    if total == 0:
        return "No item has both a routing and a work result, so there is nothing to judge."
    if total < size:
        return f"{size} items were asked for; only {total} have both a routing and a work result, and all were taken."
    return None


def _stratified(strata: Sequence[str], size: int, generator: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    members: dict[str, list[int]] = {}
    for position, name in enumerate(strata):
        members.setdefault(name, []).append(position)
    if len(members) > size:
        members = _pooled(members, size)
    quota = allocate({name: len(places) for name, places in members.items()}, size)
    chosen: list[int] = []
    weights: list[float] = []
    for name in sorted(members):
        places, share = np.array(members[name]), quota[name]
        picked = generator.permutation(places)[:share]
        chosen.extend(int(p) for p in picked)
        weights.extend([len(places) / share] * share)
    order = np.argsort(chosen)
    return np.array(chosen)[order], np.array(weights)[order]


def _pooled(members: dict[str, list[int]], size: int) -> dict[str, list[int]]:
    """Put the smallest strata together until every stratum can have an item."""
    ranked = sorted(members, key=lambda name: (-len(members[name]), name))
    kept = {name: members[name] for name in ranked[: size - 1]}
    kept[POOLED_STRATA] = sorted(p for name in ranked[size - 1 :] for p in members[name])
    return kept


def allocate(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Share `total` draws among strata in proportion to their sizes: at least 1 each, never more than its size.

    `total` must lie between the number of strata and the sum of the sizes.
    """
    everything = sum(sizes.values())
    ideal = {name: total * count / everything for name, count in sizes.items()}
    quota = {name: min(sizes[name], max(1, int(ideal[name]))) for name in sizes}
    while (missing := total - sum(quota.values())) != 0:
        step = 1 if missing > 0 else -1
        open_strata = [n for n in sizes if (quota[n] < sizes[n] if step > 0 else quota[n] > 1)]
        furthest = sorted(open_strata, key=lambda n: (-step * (ideal[n] - quota[n]), n))
        for name in furthest[: abs(missing)]:
            quota[name] += step
    return quota


def _recent(
    ordered: pl.DataFrame, size: int, half_life_days: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    newest = ordered["last_reported_at"].max()
    days = (pl.lit(newest) - pl.col("last_reported_at")).dt.total_days().cast(pl.Float64)
    age = ordered.select(days.fill_null(float("inf")).alias("age"))["age"].to_numpy()
    favour = np.maximum(RECENT_FLOOR, 0.5 ** (age / half_life_days))
    chance = inclusion_probabilities(favour, size)
    chosen = _systematic(chance, size, generator)
    return chosen, 1.0 / chance[chosen]


def inclusion_probabilities(favour: Floats, size: int) -> Floats:
    """Return chances proportional to `favour` (positive) that sum to `size`, none above 1."""
    chance = np.zeros(len(favour))
    certain = np.zeros(len(favour), dtype=bool)
    while True:
        free = ~certain
        chance[free] = (size - certain.sum()) * favour[free] / favour[free].sum()
        chance[certain] = 1.0
        beyond = free & (chance > 1.0)
        if not beyond.any():
            return chance
        certain |= beyond


def _systematic(chance: Floats, size: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw exactly `size` places with exactly these chances: equal steps along a shuffled line of them."""
    line = generator.permutation(len(chance))
    ends = np.cumsum(chance[line])
    ends *= size / ends[-1]
    marks = generator.random() + np.arange(size)
    places = np.minimum(np.searchsorted(ends, marks, side="right"), len(line) - 1)
    return np.sort(line[places])
