"""How a new model is made and judged: the steps of a job, which the command line's training shares.

Some items are withheld, with every sister of theirs (the same drawing, any revision); the new recipe is fitted
without them and both models predict them as if unknown; the comparison decides; then the recipe is fitted on
everything. The withheld items are only ever judged by models that were fitted without them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from shared.configuration import Configuration
from shared.erp.snapshot import Snapshot
from shared.errors import NotEnoughData
from shared.prediction.fit import fit_model
from shared.prediction.memory import group_key
from shared.prediction.model import RoutingModel
from shared.quality.actuals import ItemActuals, collect_actuals, family_attributes
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.metrics import measure
from shared.quality.sampling import draw_sample, eligible_items
from shared.training.compare import MINIMUM_ITEMS, Comparison, Rules, compare
from shared.training.recipes import Recipe, challenger_recipes, refit_recipe

log = structlog.get_logger()

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

WITHHELD_SHARE = 0.2  # at most so much of the judgeable items is kept from the fit that is judged


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """Items kept from a fit to judge it, and how to weigh them."""

    weights: Mapping[str, float]
    actuals: Mapping[str, ItemActuals]
    excluded: tuple[str, ...]  # the items and all their sisters
    drawings: Mapping[str, str]  # item -> what its sisters share with it


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A recipe with what its fit showed on withheld items; nothing where there were too few to withhold."""

    recipe: Recipe
    promoted: bool
    decision: str
    reason: str
    comparison: Comparison | None
    evaluation: dict[str, Any] | None  # the new recipe's figures on the withheld items
    tried: tuple[dict[str, Any], ...] = ()  # the challenger's recipes and their figures

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "recipe": self.recipe.name,
            "promoted": self.promoted,
            "decision": self.decision,
            "reason": self.reason,
            "comparison": None if self.comparison is None else self.comparison.as_json(),
            "evaluation": self.evaluation,
            "tried": list(self.tried),
        }


def judge(
    kind: str,
    snapshot: Snapshot,
    configuration: Configuration,
    active: RoutingModel | None,
    *,
    exclude_items: Collection[str] = (),
    progress: Progress,
    cancelled: Cancelled,
) -> Judged:
    """Fit without withheld items, compare with the `active` model on them, and decide; `kind` is refit or challenger.

    Raises:
        NotEnoughData: nothing can be learned, or a challenger was asked for and nothing can be compared.
        Cancelled: `cancelled` answered true at a safe point.
    """
    withheld = withhold(snapshot, configuration, exclude_items)
    if len(withheld.weights) < MINIMUM_ITEMS:
        return _unjudged(kind, configuration, len(withheld.weights))
    job = _Judging(snapshot, configuration, exclude_items, withheld, progress, cancelled)
    if kind == "challenger" and active is not None:
        return job.challenge(active)
    return job.refit(active)


def _unjudged(kind: str, configuration: Configuration, items: int) -> Judged:
    reason = f"only {items} items have a routing and work results and could be withheld, too few to judge a model by"
    if kind == "challenger":
        raise NotEnoughData(f"A challenger cannot prove itself: {reason}.", remedy="Extract more work results first.")
    return Judged(
        recipe=refit_recipe(configuration),
        promoted=True,
        decision="register",
        reason=f"{reason}; a person judges it",
        comparison=None,
        evaluation=None,
    )


class _Judging:
    """One judgement under way."""

    def __init__(
        self,
        snapshot: Snapshot,
        configuration: Configuration,
        exclude_items: Collection[str],
        withheld: Withheld,
        progress: Progress,
        cancelled: Cancelled,
    ) -> None:
        self._snapshot = snapshot
        self._withheld = withheld
        self._excluded = tuple(sorted({*withheld.excluded, *exclude_items}))
        self._progress = progress
        self._cancelled = cancelled
        self._configuration = configuration
        self._rules = Rules(
            refit_margin=configuration.training.refit_margin,
            challenger_gain=configuration.training.challenger_gain,
            trim_share=configuration.quality.trim_share,
            minimum_samples=configuration.quality.minimum_samples,
            seed=configuration.training.seed,
        )

    def refit(self, active: RoutingModel | None) -> Judged:
        recipe = refit_recipe(self._configuration)
        new = self._evaluated(recipe, self._withheld.weights, 0, 60)
        if active is None:
            return self._judged(recipe, new, None, "no model is active, so there is nothing to compare with")
        old = self._evaluate(active, self._withheld.weights, 60, 70, "the active model")
        comparison = compare("refit", old, new, self._rules)
        return self._judged(recipe, new, comparison, comparison.reason)

    def challenge(self, active: RoutingModel) -> Judged:
        """Choose the best recipe on one half of the withheld items, and let it prove itself on the other."""
        choosing, proving = _halves(self._withheld)
        recipes = challenger_recipes(self._configuration)
        tried: list[tuple[float, int, Recipe, Evaluation]] = []
        for number, recipe in enumerate(recipes):
            start, end = 60 * number / len(recipes), 60 * (number + 1) / len(recipes)
            model = self._fit(recipe, start, end)
            chosen_by = self._evaluate(model, choosing, end, end, recipe.name)
            proof = self._evaluate(model, proving, end, end, recipe.name)
            tried.append((self._score(chosen_by), number, recipe, proof))
            log.info("training.recipe_tried", recipe=recipe.name, trim_mae=tried[-1][0])
        _, _, recipe, new = min(tried, key=lambda entry: entry[:2])
        old = self._evaluate(active, proving, 60, 70, "the active model")
        comparison = compare("challenger", old, new, self._rules)
        figures = tuple({"recipe": r.name, "trim_mae": None if s == float("inf") else s} for s, _, r, _ in tried)
        return self._judged(recipe, new, comparison, comparison.reason, figures)

    def _fit(self, recipe: Recipe, start: float, end: float) -> RoutingModel:
        return fit_model(
            self._snapshot,
            recipe.configuration,
            exclude_items=self._excluded,
            progress=scaled(self._progress, start, end, f"{recipe.name} without withheld items: "),
            cancelled=self._cancelled,
        )

    def _evaluated(self, recipe: Recipe, weights: Mapping[str, float], start: float, end: float) -> Evaluation:
        middle = start + 0.8 * (end - start)
        return self._evaluate(self._fit(recipe, start, middle), weights, middle, end, recipe.name)

    def _evaluate(
        self, model: RoutingModel, weights: Mapping[str, float], start: float, end: float, name: str
    ) -> Evaluation:
        step = f"evaluating {name}"
        self._progress(start, step)
        return evaluate(
            model,
            self._withheld.actuals,
            weights,
            progress=lambda share: self._progress(start + (end - start) * share, step),
            cancelled=self._cancelled,
        )

    def _measured(self, evaluation: Evaluation) -> dict[str, Any]:
        rules = self._rules
        return measure(
            evaluation.orders,
            evaluation.routings,
            trim_share=rules.trim_share,
            minimum_samples=rules.minimum_samples,
            seed=rules.seed,
        )

    def _score(self, evaluation: Evaluation) -> float:
        value = self._measured(evaluation)["overall"]["trim_mae"]["value"]
        return float("inf") if value is None else float(value)

    def _judged(
        self,
        recipe: Recipe,
        new: Evaluation,
        comparison: Comparison | None,
        reason: str,
        tried: tuple[dict[str, Any], ...] = (),
    ) -> Judged:
        figures = self._measured(new)
        return Judged(
            recipe=recipe,
            promoted=comparison is None or comparison.promoted,
            decision="register" if comparison is None else comparison.decision,
            reason=reason,
            comparison=comparison,
            evaluation={
                "items": new.evaluated,
                "asked": new.asked,
                "abstained": len(new.abstained),
                "failed": new.failed_count,
                "overall": figures["overall"],
            },
            tried=tried,
        )


def withhold(snapshot: Snapshot, configuration: Configuration, exclude_items: Collection[str] = ()) -> Withheld:
    """Choose the items to judge by, stratified by family, the same ones for the same snapshot and configuration."""
    population = eligible_items(snapshot, family_attributes(snapshot))
    population = population.filter(~population["item_code"].is_in(sorted(exclude_items)))
    size = min(configuration.training.evaluation_items, int(population.height * WITHHELD_SHARE))
    if size < MINIMUM_ITEMS:
        return Withheld(weights={}, actuals={}, excluded=(), drawings={})
    sample = draw_sample(population, strategy="stratified", size=size, seed=configuration.training.seed)
    excluded, drawings = sisters(snapshot, sample.item_codes)
    return Withheld(
        weights=dict(zip(sample.item_codes, sample.weights, strict=True)),
        actuals=collect_actuals(snapshot, sample.item_codes),
        excluded=excluded,
        drawings=drawings,
    )


def sisters(snapshot: Snapshot, item_codes: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the items with every item of the same drawing, and each of `item_codes` with its drawing's key."""
    named = [attribute.name for attribute in snapshot.attributes if attribute.drawing]
    drawing_of = {code: f"item|{code}" for code in item_codes}
    members: dict[str, list[str]] = defaultdict(list)
    for code, *values in snapshot.items().select("item_code", *named).iter_rows():
        key = group_key(values) if named else None
        if key is None:
            continue
        members[key].append(code)
        if code in drawing_of:
            drawing_of[code] = key
    found = {code for key in set(drawing_of.values()) for code in members.get(key, ())}
    return tuple(sorted(found.union(item_codes))), drawing_of


def _halves(withheld: Withheld) -> tuple[dict[str, float], dict[str, float]]:
    """Split the items so that no drawing is in both halves."""
    halves: tuple[dict[str, float], dict[str, float]] = ({}, {})
    place = {key: number % 2 for number, key in enumerate(sorted(set(withheld.drawings.values())))}
    for code, weight in withheld.weights.items():
        halves[place[withheld.drawings[code]]][code] = weight
    return halves


def scaled(progress: Progress, start: float, end: float, prefix: str = "") -> Progress:
    """Return a progress callback whose 0 to 100 are `start` to `end` of `progress`."""

    def report(percent: float, step: str) -> None:
        progress(start + (end - start) * min(max(percent, 0.0), 100.0) / 100, f"{prefix}{step}")

    return report
