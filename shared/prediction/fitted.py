"""A fitted model together with what it was fitted to, so that other forms of its minutes can be fitted beside it."""

from dataclasses import dataclass
from typing import Any

from shared.clock import Clock, utc_now
from shared.prediction.knowledge import Knowledge
from shared.prediction.minutes.fitting import FittedForm, minutes_of
from shared.prediction.minutes.lessons import Lessons
from shared.prediction.minutes.orders import Orders
from shared.prediction.model import RoutingModel
from shared.prediction.withheld import Withheld, measure


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model, and all that its minutes were learned from."""

    model: RoutingModel
    own: FittedForm  # of its minutes
    lessons: Lessons
    withheld: Withheld
    orders: Orders
    seconds: float

    def with_form(self, fitted: FittedForm, seconds: float, clock: Clock = utc_now) -> RoutingModel:
        """Return the model with another form of its minutes: same items, index, candidates; measured anew.

        Args:
            fitted: the other form.
            seconds: that fitting it took, beside the model itself.
            clock: the time of day, for `metrics.json`.
        """
        model, held = self.model, self.model.knowledge
        knowledge = Knowledge.of(held, held.candidates, minutes_of(self.lessons, fitted))
        metrics = measure(knowledge, self.withheld, self.orders, model.fitted.minimum_similarity)
        documents: dict[str, Any] = dict(model.documents)
        documents["training_metadata.json"] = documents["training_metadata.json"] | {"model_kind": fitted.form.kind}
        documents["metrics.json"] = documents["metrics.json"] | metrics | {
            "generated_at": clock().isoformat(), "training_duration_sec": round(self.seconds + seconds, 3)
        }  # fmt: skip
        return RoutingModel(
            origin=model.origin, settings=model.fitted, knowledge=knowledge, history=model.history,
            documents=documents,
        )  # fmt: skip
