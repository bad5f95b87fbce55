"""Why nothing is near: which attributes keep an item away from all others."""

from collections.abc import Sequence

import numpy as np

from shared.features.encoder import ItemEncoder
from shared.prediction.knowledge import Batch, Memory, Singles


def nothing_near(memory: Memory, batch: Batch, asked: int, least: float) -> str:
    """Say why an asked item has no answer; `least` is the similarity that would have been near enough."""
    near = batch.near
    first = int(near.bounds[asked])
    if first == near.bounds[asked + 1]:
        return "No other item with a routing is left to compare with."
    place = int(near.places[first])
    names = unusual(memory.encoder, batch.vectors[asked], memory.vectors_of(near.places[[first]])[0])
    return (
        f"Nothing near enough was made before: the nearest item, {memory.items.codes[place]}, has similarity "
        f"{near.similarities[first]:.2f} and {least:.2f} is needed. "
        f"Most unusual: {listed(names) or 'no single attribute'}."
    )


def unusual(encoder: ItemEncoder, vector: Singles, nearest: Singles) -> list[str]:
    """Name the attributes that keep an item away from the nearest one, the most unusual first."""
    unseen = encoder.unseen(vector)
    split = encoder.split(vector, nearest[None, :])[0]
    lost = encoder.scales.astype(np.float64) ** 2 - split
    ordered = np.argsort(-lost, kind="stable")
    rest = [encoder.attributes[place].name for place in ordered if lost[place] > 0]
    return [*unseen, *(name for name in rest if name not in unseen)]


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return up to `most` names as part of a sentence."""
    return ", ".join(names[:most])
