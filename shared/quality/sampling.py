"""Which items a quality cycle looks at: seeded, reproducible, and with weights that undo the sample's bias.

Every strategy knows each item's chance to be drawn. The inverse of that chance is the item's weight, so that a weighted
figure speaks of the whole population, whichever items the strategy prefers (Horvitz and Thompson, 1952). The same seed
and the same population give the same sample, in whatever order the population arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shared.errors import InvalidInput

STRATEGIES = ("random", "stratified", "recent", "error_seeking")
POOLED_STRATA = "(small strata)"
RECENT_HALF_LIFE_DAYS = 90.0
RECENT_FLOOR = 0.05  # an item without a recent order keeps this chance, relative to one with an order today

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The items drawn, and what is needed to draw them again."""

    item_codes: tuple[str, ...]
    chances: tuple[float, ...]  # each item's chance to be drawn
    strategy: str
    seed: int
    requested: int
    population: int
    strata: dict[str, int]  # items drawn per stratum
    message: str | None = None  # why the sample is empty or smaller than asked

    @property
    def weights(self) -> tuple[float, ...]:
        """Inverse chances, scaled to a mean of 1."""
        inverse = 1.0 / np.array(self.chances)
        return tuple((inverse / inverse.mean()).tolist()) if len(inverse) else ()


def draw_sample(
    population: pl.DataFrame,
    *,
    strategy: str,
    size: int,
    seed: int,
    half_life_days: float = RECENT_HALF_LIFE_DAYS,
) -> Sample:
    """Draw at most `size` items of `population` (the columns of `Population.eligible`).

    - `random` gives every item the same chance;
    - `stratified` gives each stratum its share, and at least one item while there are enough to go round;
    - `recent` favours items reported lately: the chance halves every `half_life_days`, down to a floor;
    - `error_seeking` gives chances in proportion to the column `favour`, see `shared.quality.error_seeking`.

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
        chosen, chances = np.arange(total), np.ones(total)
    elif strategy == "stratified":
        chosen, chances = _stratified(ordered["stratum"], size, generator)
    elif strategy == "random":
        chosen, chances = np.sort(generator.permutation(total)[:size]), np.full(size, size / total)
    else:
        favour = _recent(ordered, half_life_days) if strategy == "recent" else ordered["favour"].to_numpy()
        every = inclusion_probabilities(favour, size)
        chosen = _systematic(every, size, generator)
        chances = every[chosen]
    drawn = ordered[chosen.tolist()] if len(chosen) else ordered.head(0)
    return Sample(
        item_codes=tuple(drawn["item_code"].to_list()),
        chances=tuple(chances.tolist()),
        strategy=strategy,
        seed=seed,
        requested=size,
        population=total,
        strata={str(k): int(v) for k, v in sorted(drawn["stratum"].value_counts().iter_rows())},
        message=_message(total, size),
    )


def _message(total: int, size: int) -> str | None:
    if total == 0:
        return (
            "No item has both a routing and a work result. What the last extract read is told by "
            "`manage.py data snapshots` and `manage.py data quality`."
        )
    if total < size:
        return f"{size} items were asked for; only {total} have both a routing and a work result, and all were taken."
    return None


def _stratified(strata: pl.Series, size: int, generator: np.random.Generator) -> tuple[Places, Floats]:
    names, of_item = strata.unique().sort().to_list(), strata.rank("dense").to_numpy().astype(np.int64) - 1
    counts = np.bincount(of_item)
    if len(names) > size:
        names, of_item, counts = _pooled(names, of_item, counts, size)
    quota = allocate(dict(zip(names, counts.tolist(), strict=True)), size)
    members = np.split(np.argsort(of_item, kind="stable"), np.cumsum(counts)[:-1])
    picked = {name: generator.permutation(own)[: quota[name]] for name, own in zip(names, members, strict=True)}
    chosen = np.concatenate([picked[name] for name in names])
    chances = np.concatenate(
        [np.full(quota[name], quota[name] / count) for name, count in zip(names, counts, strict=True)]
    )
    order = np.argsort(chosen)
    return chosen[order], chances[order]


def _pooled(names: Sequence[str], of_item: Places, counts: Places, size: int) -> tuple[list[str], Places, Places]:
    """Put the smallest strata together until every stratum can have an item."""
    ranked = sorted(range(len(names)), key=lambda place: (-counts[place], names[place]))
    kept = sorted(ranked[: size - 1])
    number = np.full(len(names), len(kept))
    number[kept] = np.arange(len(kept))
    pooled = number[of_item]
    return [*(names[place] for place in kept), POOLED_STRATA], pooled, np.bincount(pooled)


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


def _recent(ordered: pl.DataFrame, half_life_days: float) -> Floats:
    newest = ordered["last_reported_at"].max()
    days = (pl.lit(newest) - pl.col("last_reported_at")).dt.total_days().cast(pl.Float64)
    age = ordered.select(days.fill_null(float("inf")).alias("age"))["age"].to_numpy()
    return np.maximum(RECENT_FLOOR, 0.5 ** (age / half_life_days))


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


def _systematic(chance: Floats, size: int, generator: np.random.Generator) -> Places:
    """Draw exactly `size` places with exactly these chances: equal steps along a shuffled line of them."""
    line = generator.permutation(len(chance))
    ends = np.cumsum(chance[line])
    ends *= size / ends[-1]
    marks = generator.random() + np.arange(size)
    places = np.minimum(np.searchsorted(ends, marks, side="right"), len(line) - 1)
    return np.sort(line[places])
