"""What the attributes are like and how much each one counts: the figures that a model's package shows.

No figure depends on the order of the items. With x the unit-length numbers of an attribute (so that x.y is how alike
two items are in it), X the sample's matrix of them less its mean row, and p the shares of the values that are known:

- variance: mean |x - mean x|^2, which is the mean over all pairs of items (each with itself too) of 1 - x.y where
  every value was seen; 0 where all items are alike.
- independence: 1 - the mean, over the other attributes, of |X'Y|^2 / (|X'X| |Y'Y|) in Frobenius norms: the
  correlation of two attributes' likenesses over all pairs, each centred by item (linear centred kernel alignment:
  Cortes, Mohri and Rostamizadeh, JMLR 13, 2012). 1 where no other attribute says the same.
- activity_ratio: the share of items whose value is neither missing nor zero (`non_zero_count` over all items).
- uniformity: -sum p ln p / ln k over k values (sizes and days: over 20 bins of equal width), 1 where all are equally
  frequent and 0 where there is one (Pielou's evenness).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import AttributeKind
from shared.features.distinct import NUMBER_KINDS, Column, Distinct, distinct_column
from shared.features.encoder import ItemEncoder
from shared.features.texts import day_of

BUCKETS = (("essential", 0.8), ("recommended", 0.6), ("useful", 0.4), ("marginal", 0.2), ("exclude", 0.0))
_TOP_VALUES = 20
_BINS = 20
_NOTHING = 1e-12  # an attribute that varies less is alike everywhere

Floats = npt.NDArray[np.float64]


def feature_statistics(
    encoder: ItemEncoder, columns: Mapping[str, Column], blocks: Sequence[npt.NDArray[np.float32]]
) -> dict[str, dict[str, Any]]:
    """Return, for each attribute, the figures that the module's text defines, and its distribution.

    Args:
        encoder: the fitted encoder.
        columns: the attributes' values, or columns that were arranged already (faster).
        blocks: a sample's unit-length numbers by attribute, as `ItemEncoder.blocks_of` returns them.
    """
    variance, independence = _spread(blocks)
    statistics = {}
    for place, attribute in enumerate(encoder.attributes):
        column = distinct_column(attribute.kind, columns[attribute.name])
        known, counts = _known(column)
        items, having = len(column), int(counts.sum())
        active = having - int(counts[known == 0].sum()) if attribute.kind is AttributeKind.NUMERIC else having
        statistics[attribute.name] = {
            "kind": attribute.kind.value, "variance": variance[place], "independence": independence[place],
            "activity_ratio": active / max(items, 1), "uniformity": _uniformity(known, counts),
            "non_zero_count": active, "missing_count": items - having, "unique_values": len(known),
            "domain_weight": attribute.weight, "embedding_dim_index": int(encoder.offsets[place]),
            "embedding_dims": int(encoder.blocks[place].size), **_distribution(attribute.kind, known, counts),
        }  # fmt: skip
    return statistics


def _known(column: Distinct) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the values that items have, in order, and how many items have each."""
    if isinstance(column.values, np.ndarray):
        numbers = column.values[column.places]
        known, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
        return known, counts.astype(np.int64)
    pairs = zip(column.texts_only(), column.counts().tolist(), strict=True)
    found = sorted((text, count) for text, count in pairs if text is not None and count)
    texts = np.array([text for text, _ in found], dtype=np.object_)
    return texts, np.array([count for _, count in found], dtype=np.int64)


def _spread(blocks: Sequence[npt.NDArray[np.float32]]) -> tuple[list[float], list[float]]:
    """Return each attribute's variance and independence."""
    numbers = np.concatenate(blocks, axis=1).astype(np.float64)
    numbers -= numbers.mean(axis=0)
    together = numbers.T @ numbers / max(len(numbers), 1)
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])[:-1]
    squares = np.add.reduceat(np.add.reduceat(together**2, starts, axis=0), starts, axis=1)
    lengths = np.sqrt(np.diag(squares))
    both = np.outer(lengths, lengths)
    alike = np.where(both > _NOTHING, squares / np.maximum(both, _NOTHING), 0.0)
    others = max(len(blocks) - 1, 1)
    independence = 1.0 - (alike.sum(axis=1) - np.diag(alike)) / others
    return np.add.reduceat(np.diag(together), starts).tolist(), independence.tolist()


def _uniformity(known: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> float:
    most = len(known)
    if most < 2:
        return 0.0
    frequencies = counts.astype(np.float64)
    if known.dtype != np.object_:
        scaled = known / max(np.abs(known).max(), 1.0)  # sizes near the largest float still have a range
        frequencies, most = np.histogram(scaled, bins=_BINS, weights=frequencies)[0], _BINS
    shares = frequencies[frequencies > 0] / frequencies.sum()
    return float(-(shares @ np.log(shares)) / np.log(most))


def _distribution(kind: AttributeKind, known: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    if not len(known):
        return {}
    if kind not in NUMBER_KINDS:
        top = sorted(zip(known.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        return {"top_values": dict(top[:_TOP_VALUES])}
    if kind is AttributeKind.DATE:
        return {"least": day_of(known[0]).isoformat(), "most": day_of(known[-1]).isoformat()}
    numbers = np.repeat(known, counts)
    low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75)).tolist()
    return {
        "mean": float(numbers.mean()), "std": float(numbers.std()), "least": float(known[0]),
        "quartile_1": low, "median": middle, "quartile_3": high, "most": float(known[-1]),
    }  # fmt: skip


def feature_importance(weights: Mapping[str, float], statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return each attribute's importance, 1 for the greatest: its share of what tells items apart.

    It is the attribute's weight in force, learned factor included, times the spread of its values among the items: an
    attribute that is alike everywhere tells nothing apart, however high its weight.
    """
    raw = {name: weights[name] * float(statistics[name]["variance"]) for name in weights}
    greatest = max(raw.values(), default=0.0)
    return {name: value / greatest if greatest > 0 else 0.0 for name, value in raw.items()}


def feature_recommendations(importance: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, list[str]]:
    """Return five buckets of attributes by 0.6 x importance + 0.4 x weight over the greatest weight."""
    greatest = max(weights.values(), default=0.0) or 1.0
    score = {name: 0.6 * importance[name] + 0.4 * weights[name] / greatest for name in importance}
    buckets: dict[str, list[str]] = {name: [] for name, _ in BUCKETS}
    for name in sorted(score, key=lambda name: (-score[name], name)):
        buckets[next(bucket for bucket, least in BUCKETS if score[name] >= least)].append(name)
    return buckets
