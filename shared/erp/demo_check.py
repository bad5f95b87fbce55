"""How hard the demo factory is: what copying the nearest item would score, and what nobody can beat.

The measure uses the snapshot as any model sees it, dirt included, and the truth only to compare with.
"""

from pathlib import Path

import numpy as np
import polars as pl

from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.demo_plan import Flags, Indexes, Numbers
from shared.erp.snapshot import Snapshot

# What must be equal for an item to be "like" an earlier one: the attributes that a planner would look at.
LIKENESS = ("PART_TYPE", "ITEM_MATERIAL", "GROUP2")


def measure_difficulty(snapshot: Snapshot, truth: Path, *, sample: int = 1000, seed: int = 1) -> dict[str, float]:
    """Return the shares (0 to 1) that say how hard the demo factory is, over a seeded sample of routed items.

    Args:
        snapshot: an extract of the demo factory.
        truth: the factory's `truth` folder.
        sample: how many items are asked; each is compared with all routed items but those of its own drawing.
        seed: which items are sampled.

    Returns:
        `copy_of_nearest_top1`: the most similar item's operations are the item's true ones.
        `best_possible_top1`: the factory's own rules give the item's true operations.
        `unlike_anything_before`: no earlier item agrees in part type, material and customer.
        `routing_never_made_before`: no earlier item had the item's true operations.
        `lowest_time_cv`, `highest_time_cv`: the noise of a run time that no model can know, over part types.
    """
    facts = pl.read_csv(truth / "items.csv", schema_overrides={"item_code": pl.String}).filter("has_routing")
    items = facts.join(snapshot.items(), on="item_code", how="left", maintain_order="left")
    rng = np.random.default_rng(seed)
    asked = np.sort(rng.choice(items.height, min(sample, items.height), replace=False))
    nearest = _nearest(items, snapshot.attributes, asked)
    signature = items["true_signature"].to_numpy()
    rule = items["rule_signature"].to_numpy()
    noise = pl.read_csv(truth / "routings.csv", columns=["noise_cv"])["noise_cv"]
    return {
        "copy_of_nearest_top1": float(np.mean(signature[nearest] == signature[asked])),
        "best_possible_top1": float(np.mean(rule[asked] == signature[asked])),
        "unlike_anything_before": float(np.mean(_is_new(items, LIKENESS)[asked])),
        "routing_never_made_before": float(np.mean(_is_new(items, ("true_signature",))[asked])),
        "lowest_time_cv": float(noise.to_numpy().min()),
        "highest_time_cv": float(noise.to_numpy().max()),
    }


def _is_new(items: pl.DataFrame, likeness: tuple[str, ...]) -> Flags:
    ordered = items.with_row_index("row").sort("created_day", "row")
    first = ordered.select(pl.struct(likeness).is_first_distinct().alias("new"), "row").sort("row")
    return first["new"].to_numpy()


def _nearest(items: pl.DataFrame, attributes: tuple[Attribute, ...], asked: Indexes) -> Indexes:
    """Return the most similar other item of each asked one: weighted agreement over all attributes."""
    score = np.zeros((len(asked), items.height), dtype=np.float32)
    for attribute in attributes:
        if attribute.weight > 0 and not attribute.drawing:
            score += np.float32(attribute.weight) * _agreement(items[attribute.name], attribute, asked)
    drawing = items["DRAW_NO"].rank("dense").fill_null(0).to_numpy()
    sisters = (drawing[asked][:, None] == drawing[None, :]) & (drawing[asked][:, None] > 0)
    score[sisters] = -1.0
    score[np.arange(len(asked)), asked] = -1.0
    return np.asarray(score.argmax(axis=1), dtype=np.int64)


def _agreement(values: pl.Series, attribute: Attribute, asked: Indexes) -> Numbers:
    """Return how alike the asked items and all items are in one attribute: 0 (or unknown) to 1 (the same)."""
    if attribute.kind is AttributeKind.NUMERIC:
        logs = values.log().to_numpy()
        distance = np.abs(logs[asked][:, None] - logs[None, :])
        return np.asarray(np.nan_to_num(np.exp(-3.0 * distance), nan=0.0), dtype=np.float64)
    if attribute.kind is AttributeKind.TEXT:
        return _shared_words(values, asked)
    if attribute.kind is AttributeKind.CODE:
        return 0.5 * _equal(values, asked) + 0.5 * _equal(values.str.head(4), asked)
    return _equal(values, asked)


def _equal(values: pl.Series, asked: Indexes) -> Numbers:
    ranks = values.rank("dense").fill_null(0).to_numpy()
    agrees = (ranks[asked][:, None] == ranks[None, :]) & (ranks[asked][:, None] > 0)
    return np.asarray(agrees, dtype=np.float64)


def _shared_words(values: pl.Series, asked: Indexes) -> Numbers:
    """Return the share of words (those without a digit) that two texts have in common."""
    long = (
        values.alias("text").to_frame().with_row_index("row").select("row", pl.col("text").str.split(" ").alias("word"))
    )
    long = long.explode("word").filter(~pl.col("word").str.contains(r"\d")).unique()
    words = np.zeros((values.len(), long["word"].n_unique() + 1), dtype=np.float64)
    words[long["row"].to_numpy(), long["word"].rank("dense").cast(pl.Int64).to_numpy()] = 1.0
    both = words[asked] @ words.T
    either = words.sum(axis=1)[asked][:, None] + words.sum(axis=1)[None, :] - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0), dtype=np.float64)
