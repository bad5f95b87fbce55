"""Feature weights changed in service: they act on similarities at once, and the model stays as it was fitted."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.features.encoder import ItemEncoder
from shared.prediction.knowledge import Singles

_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Reweighting:
    """Other weights than the fitted ones."""

    factors: Singles  # (vector size,) new share of all weights over the fitted one
    sentence: str  # what every answer says of it


def reweight(encoder: ItemEncoder, fitted: Mapping[str, float], wanted: Mapping[str, float]) -> Reweighting | None:
    """Return what changes between the weights set when the model was fitted and those wanted now; None if nothing.

    What was learned multiplies the weights that people set, then and now. An attribute that was fitted with weight 0 is
    not in the vectors, so it cannot count before the next model; nor can all weights be 0.
    """
    before = {a.name: fitted.get(a.name, a.weight) for a in encoder.attributes}
    after = {a.name: wanted.get(a.name, a.weight) for a in encoder.attributes}
    changed = [name for name in before if before[name] != after[name] and encoder.weights[name] > 0]
    new = {name: encoder.weights[name] * (after[name] / before[name] if name in changed else 1.0) for name in before}
    if not changed or sum(new.values()) <= 0:
        return None
    named = ", ".join(f"{name} {after[name]:g} instead of {before[name]:g}" for name in changed[:_MOST_NAMED])
    more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
    return Reweighting(
        factors=encoder.factors_for(new),
        sentence=f"Similarities are weighted otherwise than when the model was fitted: {named}{more}.",
    )  # fmt: skip
