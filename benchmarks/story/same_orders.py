"""Both models on the same orders: what a new model really brought, whatever else is compared since.

A cycle after an activation judges the new model by what is new to it, and that may be other work: operations of a new
family have minutes to be wrong about only since a model predicts them at all. So both models are asked, as if unknown,
for the orders finished after the newer one's data, and their errors are set side by side order by order.
"""

from dataclasses import dataclass
from typing import Any

from shared.bootstrap import Services
from shared.prediction.model import RoutingModel
from shared.quality.actuals import collect_actuals
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.population import eligible_items
from shared.quality.sampling import draw_sample
from shared.registry.store import ModelStore
from shared.registry.verify import verify_folder
from shared.training.compare import Comparison, Rules, compare
from shared.training.questions import drawings_of

ITEMS = 500


@dataclass(frozen=True, kw_only=True)
class SameOrders:
    """What both models made of the same orders."""

    comparison: Comparison
    compared: tuple[int, int]  # orders and operations for which the old and the new model predicted a time

    def table(self) -> str:
        """Return it as text."""
        old, new, both = self.comparison.old, self.comparison.new, self.comparison
        minutes, match = both.trim_mae_change, both.process_match_change
        errors = (
            f"  trimmed MAE where both predict a time (n {both.orders}): {_minutes(old['trim_mae']['value'])} -> "
            f"{_minutes(new['trim_mae']['value'])} minutes, {_per_cent(minutes.value)}"
            f" ({_per_cent(minutes.low)} to {_per_cent(minutes.high)})"
        )
        right = (
            f"  operations right: {_share(old['process_match']['value'])} -> {_share(new['process_match']['value'])}, "
            f"{_points(match.value)} ({_points(match.low)} to {_points(match.high)}) points"
        )
        asked = f"Both models asked for the same {both.items} items with orders that neither has seen:"
        predicted = f"  bookings with a time predicted: {self.compared[0]} -> {self.compared[1]}"
        if self.compared[1] > self.compared[0]:
            predicted += "; those that only the new model predicts are in its error above"
        return "\n".join((asked, errors, right, predicted))

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        told = self.comparison.as_json()
        names = ("items", "orders", "trim_mae_change", "process_match_change", "old", "new")
        return {name: told[name] for name in names} | {"compared": list(self.compared)}


def _minutes(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{share:+.1%}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _points(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f}"


def on_same_orders(services: Services, old: str, new: str) -> SameOrders | None:
    """Ask both versions for the newest snapshot's orders that neither has seen; None where there is none."""
    before, after = _model(services, old), _model(services, new)
    snapshot = services.snapshots.current()
    since = max(before.data_as_of, after.data_as_of).date()
    items = eligible_items(snapshot, reported_after=since)
    if items.is_empty():
        return None
    sample = draw_sample(items, strategy="random", size=ITEMS, seed=1, half_life_days=365)
    weights = dict(zip(sample.item_codes, sample.weights, strict=True))
    actuals = collect_actuals(snapshot, sample.item_codes, reported_after=since)
    answers: tuple[Evaluation, Evaluation] = (evaluate(before, actuals, weights), evaluate(after, actuals, weights))
    configuration = services.configuration_store.current()[1]
    rules = Rules(
        refit_margin=configuration.training.refit_margin,
        challenger_gain=configuration.training.challenger_gain,
        trim_share=configuration.quality.trim_share,
    )
    comparison = compare("refit", *answers, rules, drawings=drawings_of(snapshot, list(actuals)))
    return SameOrders(comparison=comparison, compared=(len(answers[0].orders), len(answers[1].orders)))


def _model(services: Services, version: str) -> RoutingModel:
    folder = ModelStore(services.settings.models).require(version)
    return verify_folder(folder, services.keys, allow_unsigned=False).model
