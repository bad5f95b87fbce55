"""What the attributes are like and how much each one counts: the figures that a model's package shows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import AttributeKind
from shared.features.encoder import ItemEncoder
from shared.features.texts import canonical_text, scale_number

BUCKETS = (("essential", 0.8), ("recommended", 0.6), ("useful", 0.4), ("marginal", 0.2), ("exclude", 0.0))
_TOP_VALUES = 20


def feature_statistics(
    encoder: ItemEncoder, columns: Mapping[str, Sequence[Any]], blocks: Sequence[npt.NDArray[np.float32]]
) -> dict[str, dict[str, Any]]:
    """Return, for each attribute, measured figures.

    Args:
        encoder: the fitted encoder.
        columns: the attributes' values.
        blocks: a sample's unit-length numbers by attribute, as `ItemEncoder.blocks_of` returns them.
    """
    profiles = [_likeness(block) for block in blocks]
    statistics = {}
    for place, attribute in enumerate(encoder.attributes):
        values = columns[attribute.name]
        known = [value for value in values if value is not None]
        others = [abs(_correlation(profiles[place], other)) for at, other in enumerate(profiles) if at != place]
        entry: dict[str, Any] = {
            "kind": attribute.kind.value,
            "variance": float(blocks[place].var(axis=0).sum()),
            "independence": 1.0 - float(np.mean(others)) if others else 1.0,
            "activity_ratio": len(known) / max(len(values), 1),
            "uniformity": _uniformity(attribute.kind, known),
            "non_zero_count": sum(1 for value in known if value != 0),
            "missing_count": len(values) - len(known),
            "unique_values": len(set(known)),
            "domain_weight": attribute.weight,
            "embedding_dim_index": int(encoder.offsets[place]),
            "embedding_dims": int(encoder.blocks[place].size),
        }
        entry.update(_distribution(attribute.kind, known))
        statistics[attribute.name] = entry
    return statistics


def _likeness(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return, for pairs of neighbours in the sample, how alike they are in this attribute."""
    return np.asarray((block[:-1] * block[1:]).sum(axis=1), dtype=np.float64)


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    off, far = one - one.mean(), other - other.mean()
    length = float(np.sqrt((off @ off) * (far @ far)))
    return float(off @ far) / length if length > 1e-12 else 0.0


def _uniformity(kind: AttributeKind, known: Sequence[Any]) -> float:
    """Return 1 for values spread evenly, 0 for one value: the entropy of their frequencies (sizes: of 20 bins)."""
    if not known:
        return 0.0
    if kind in (AttributeKind.NUMERIC, AttributeKind.DATE):
        counts = np.histogram([scale_number(value) or 0.0 for value in known], bins=20)[0].astype(np.float64)
        most = 20
    else:
        counts = np.array(list(Counter(map(canonical_text, known)).values()), dtype=np.float64)
        most = len(counts)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares @ np.log(shares)) / np.log(most)) if most > 1 else 0.0


def _distribution(kind: AttributeKind, known: Sequence[Any]) -> dict[str, Any]:
    if not known:
        return {}
    if kind is AttributeKind.DATE:
        return {"least": str(min(known)), "most": str(max(known))}
    if kind is AttributeKind.NUMERIC:
        numbers = np.array(known, dtype=np.float64)
        low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75)).tolist()
        return {
            "mean": float(numbers.mean()), "std": float(numbers.std()), "least": float(numbers.min()),
            "quartile_1": low, "median": middle, "quartile_3": high, "most": float(numbers.max()),
        }  # fmt: skip
    top = sorted(Counter(str(value) for value in known).items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP_VALUES]
    return {"top_values": dict(top)}


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
