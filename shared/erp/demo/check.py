"""How hard the demo factory is: what copying the nearest item would score, and what nobody can beat.

The measure uses the snapshot as any model sees it, dirt included, and the truth only to compare with. A few asked items
are compared with all others at a time, so that a factory of full size fits into a gigabyte.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.demo.floor import LEARNING_POWER
from shared.erp.demo.plan import STEP_AT, Flags, Indexes
from shared.erp.demo.truth import Truth
from shared.erp.snapshot import Snapshot

# What must be equal for an item to be "like" an earlier one: the attributes that a planner would look at.
LIKENESS = ("PART_TYPE", "ITEM_MATERIAL", "GROUP2")
ENOUGH_REPORTS = 300  # of a part type, for its scatter to be measured
_CELLS = 10_000_000  # comparisons at a time
_QUARTILES_APART = 1.349  # standard deviations between the quartiles of a normal distribution

Scores = NDArray[np.float32]
Ranks = NDArray[np.int32]


def measure_difficulty(snapshot: Snapshot, truth: Truth, *, sample: int = 1000, seed: int = 1) -> dict[str, float]:
    """Return the figures that say how hard the demo factory is; shares and coefficients of variation, 0 to 1.

    Args:
        snapshot: an extract of the demo factory.
        truth: what is true of that factory.
        sample: how many items are asked; each is compared with all routed items but those of its own drawing.
        seed: which items are sampled.

    Returns:
        `copy_of_nearest_top1`: the most similar item's operations are the item's true ones.
        `best_possible_top1`: the factory's own rules give the item's true operations.
        `unlike_anything_before`: no earlier item agrees in part type, material and customer.
        `routing_never_made_before`: no earlier item had the item's true operations.
        `time_cv_lowest`, `time_cv_median`, `time_cv_highest`: over part types, the scatter of booked run times about
        their true means with learning, from the quartiles, which stoppages and typing errors hardly move.
    """
    facts = truth.items.filter("has_routing")
    items = facts.join(snapshot.items(), on="item_code", how="left", maintain_order="left")
    rng = np.random.default_rng(seed)
    asked = np.sort(rng.choice(items.height, min(sample, items.height), replace=False))
    nearest = _nearest(items, snapshot.attributes, asked)
    signature = items["true_signature"].rank("dense").to_numpy()
    rule_is_right = (items["rule_signature"] == items["true_signature"]).to_numpy()
    return {
        "copy_of_nearest_top1": float(np.mean(signature[nearest] == signature[asked])),
        "best_possible_top1": float(np.mean(rule_is_right)),
        "unlike_anything_before": float(np.mean(_is_new(items, LIKENESS))),
        "routing_never_made_before": float(np.mean(_is_new(items, ("true_signature",)))),
        **_time_scatter(snapshot, truth),
    }


def _is_new(items: pl.DataFrame, likeness: tuple[str, ...]) -> Flags:
    ordered = items.select("created_day", *likeness).with_row_index("row").sort("created_day", "row")
    first = ordered.select(pl.struct(likeness).is_first_distinct().alias("new"), "row").sort("row")
    return first["new"].to_numpy()


def _time_scatter(snapshot: Snapshot, truth: Truth) -> dict[str, float]:
    """Return the least, the middle and the largest coefficient of variation of run times over part types."""
    numbers = truth.items.select("item_code", pl.col("part_type").cast(pl.Categorical)).with_row_index("item")
    reports = _numbered(snapshot.work_results(), numbers, ["order_no", "reported_at", "quantity", "run_minutes"])
    begun = reports.group_by("item", "order_no").agg(pl.col("reported_at").min().alias("begun"))
    before = begun.sort("item", "begun", "order_no").with_columns(pl.int_range(pl.len()).over("item").alias("before"))
    true = _numbered(truth.steps, numbers, ["run_minutes_per_unit"])
    expected = pl.col("run_minutes_per_unit") * pl.col("quantity") * (pl.col("before") + 1.0).pow(LEARNING_POWER)
    quartiles = (
        reports.filter(pl.col("run_minutes") > 0)
        .join(before.select("item", "order_no", "before"), on=["item", "order_no"])
        .join(true, on=["item", "operation"])
        .select("item", (pl.col("run_minutes") / expected).log().alias("log"))
        .join(numbers.select("item", "part_type"), on="item")
        .group_by("part_type")
        .agg(pl.len(), (pl.col("log").quantile(0.75) - pl.col("log").quantile(0.25)).alias("apart"))
    )
    sigma = quartiles.filter(pl.col("len") >= ENOUGH_REPORTS)["apart"].to_numpy() / _QUARTILES_APART
    cv = np.sqrt(np.expm1(sigma**2))
    return {
        "time_cv_lowest": float(cv.min()),
        "time_cv_median": float(np.median(cv)),
        "time_cv_highest": float(cv.max()),
    }


def _numbered(frame: pl.DataFrame, numbers: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the columns with item and operation as numbers, which join in a fraction of the memory of texts."""
    operation = pl.col("operation_code").replace_strict(STEP_AT, default=None, return_dtype=pl.Int8).alias("operation")
    kept = frame.select("item_code", operation, *columns)
    return kept.join(numbers.select("item_code", "item"), on="item_code").drop("item_code")


def _nearest(items: pl.DataFrame, attributes: tuple[Attribute, ...], asked: Indexes) -> Indexes:
    """Return the most similar other item of each asked one: weighted agreement over all attributes."""
    compared = [
        _Compared(items[attribute.name], attribute)
        for attribute in attributes
        if attribute.weight > 0 and not attribute.drawing
    ]
    drawing = _ranks(items["DRAW_NO"])
    at_a_time = max(1, _CELLS // items.height)
    found = []
    for start in range(0, len(asked), at_a_time):
        part = asked[start : start + at_a_time]
        score = np.zeros((len(part), items.height), dtype=np.float32)
        for each in compared:
            each.add_to(score, part)
        np.copyto(score, np.float32(-1.0), where=_same(drawing, part))
        score[np.arange(len(part)), part] = -1.0
        found.append(score.argmax(axis=1))
    return np.concatenate(found).astype(np.int64)


class _Compared:
    """One attribute of all items, ready to be compared: 0 (or unknown) to 1 (the same), times its weight."""

    def __init__(self, values: pl.Series, attribute: Attribute) -> None:
        self.weight = np.float32(attribute.weight)
        self.kind = attribute.kind
        if self.kind is AttributeKind.NUMERIC:
            self.logs = values.log().fill_null(float("nan")).to_numpy().astype(np.float32)
        elif self.kind is AttributeKind.TEXT:
            self.ranks, self.likeness = word_sets(values)
        else:
            self.ranks, self.beginnings = _ranks(values), _ranks(values.cast(pl.String).str.head(4))

    def add_to(self, score: Scores, asked: Indexes) -> None:
        """Add the agreement of the asked items with all items to the score."""
        if self.kind is AttributeKind.NUMERIC:
            near = np.abs(self.logs[asked][:, None] - self.logs[None, :])
            np.exp(np.multiply(near, np.float32(-3.0), out=near), out=near)
            near[np.isnan(near)] = 0.0
            score += np.multiply(near, self.weight, out=near)
        elif self.kind is AttributeKind.TEXT:
            score += self.weight * self.likeness[self.ranks[asked]][:, self.ranks]
        elif self.kind is AttributeKind.CODE:
            score += _same(self.ranks, asked) * (self.weight / 2)
            score += _same(self.beginnings, asked) * (self.weight / 2)
        else:
            score += _same(self.ranks, asked) * self.weight


def _ranks(values: pl.Series) -> Ranks:
    """Return a number for each distinct value, 0 for none."""
    return values.rank("dense").fill_null(0).to_numpy().astype(np.int32)


def _same(ranks: Ranks, asked: Indexes) -> Flags:
    own = np.where(ranks[asked] > 0, ranks[asked], -1)  # an unknown value is like no other
    return np.asarray(own[:, None] == ranks[None, :], dtype=np.bool_)


def word_sets(values: pl.Series) -> tuple[Ranks, Scores]:
    """Return each text's set of words (those without a digit) as a number, and how alike any two sets are."""
    words = values.fill_null("").str.split(" ").list.eval(pl.element().filter(~pl.element().str.contains(r"\d|^$")))
    sets = words.list.unique().list.sort().list.join(" ")
    distinct = sets.unique().sort()
    number = sets.replace_strict(distinct, pl.int_range(distinct.len(), eager=True), return_dtype=pl.Int32)
    vocabulary = {word: place for place, word in enumerate(sorted(set(" ".join(distinct).split())))}
    has = np.zeros((distinct.len(), len(vocabulary) + 1), dtype=np.float32)
    for row, text in enumerate(distinct):
        has[row, [vocabulary[word] for word in text.split()]] = 1.0
    both = has @ has.T
    either = has.sum(axis=1)[:, None] + has.sum(axis=1)[None, :] - both
    return number.to_numpy(), np.divide(both, either, out=np.zeros_like(both), where=either > 0)
