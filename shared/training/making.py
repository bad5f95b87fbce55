"""How a new model is made and judged: the steps of a job, which the command line's training shares.

Both models, the new one and the active one, answer the same items as if unknown: the item and every sister of its
drawing are left out of the neighbours and of every figure fitted out of fold. So they are judged under the same
conditions, and the model that is judged is the very one that would serve. (Fitting the new model without the judged
items would rob it of a part of the data that the active one had, and call every refit worse.)
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import structlog

from shared.configuration import Configuration
from shared.erp.snapshot import Snapshot
from shared.errors import NotEnoughData
from shared.prediction.fit import fit_model
from shared.prediction.memory import drawing_keys
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

FITTED, JUDGED = 82.0, 96.0  # percent of a training when its fits, and its judgement, are done


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Items to judge models by, what happened to them, and how to weigh them."""

    weights: Mapping[str, float]
    actuals: Mapping[str, ItemActuals]
    drawings: Mapping[str, str]  # item -> what its sisters share with it


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A fitted model and what was found about it; nothing where there were too few items to judge it by."""

    model: RoutingModel
    recipe: Recipe
    promoted: bool
    decision: str
    reason: str
    comparison: Comparison | None
    evaluation: dict[str, Any] | None  # the new model's figures
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
    """Fit a model, compare it with the `active` one as if unknown, and decide; `kind` is refit or challenger.

    `exclude_items` are neither learned from nor judged by.

    Raises:
        NotEnoughData: nothing can be learned, or a challenger was asked for and nothing can be compared.
        Cancelled: `cancelled` answered true at a safe point.
    """
    questions = choose_questions(snapshot, configuration, exclude_items)
    job = _Judging(snapshot, configuration, exclude_items, questions, progress, cancelled)
    few = len(questions.weights) < MINIMUM_ITEMS
    if few and kind == "challenger":
        raise NotEnoughData(
            f"A challenger cannot prove itself: {_too_few(questions)}.", remedy="Extract more work results first."
        )
    if kind == "challenger" and active is not None:
        return job.challenge(active)
    return job.refit(None if few else active)


def _too_few(questions: Questions) -> str:
    return f"only {len(questions.weights)} items have a routing and work results, too few to judge a model by"


class _Judging:
    """One judgement under way."""

    def __init__(
        self,
        snapshot: Snapshot,
        configuration: Configuration,
        exclude_items: Collection[str],
        questions: Questions,
        progress: Progress,
        cancelled: Cancelled,
    ) -> None:
        self._snapshot = snapshot
        self._questions = questions
        self._excluded = tuple(sorted(exclude_items))
        self._progress = progress
        self._cancelled = cancelled
        self._configuration = configuration
        self._rules = Rules(
            refit_margin=configuration.training.refit_margin,
            challenger_gain=configuration.training.challenger_gain,
            trim_share=configuration.quality.trim_share,
            maximum_slowdown=configuration.training.maximum_slowdown,
        )

    def refit(self, active: RoutingModel | None) -> Judged:
        recipe = refit_recipe(self._configuration)
        model = self._fit(recipe, 0, FITTED)
        new = self._evaluate(model, self._questions.weights, FITTED, 92, "the new model")
        if active is None:
            few = len(self._questions.weights) < MINIMUM_ITEMS
            why = _too_few(self._questions) if few else "no model is active, so there is nothing to compare with"
            return self._judged(recipe, model, new, None, f"{why}; a person judges it")
        old = self._evaluate(active, self._questions.weights, 92, JUDGED, "the active model")
        comparison = compare("refit", old, new, self._rules, drawings=self._questions.drawings)
        return self._judged(recipe, model, new, comparison, comparison.reason)

    def challenge(self, active: RoutingModel) -> Judged:
        """Choose the best recipe by one half of the questions, and let it prove itself by the other."""
        choosing, proving = halves(self._questions)
        recipes = challenger_recipes(self._configuration)
        best: tuple[float, Recipe, RoutingModel] | None = None
        tried = []
        for number, recipe in enumerate(recipes):
            start, end = FITTED * number / len(recipes), FITTED * (number + 1) / len(recipes)
            model = self._fit(recipe, start, end)
            score = self._score(self._evaluate(model, choosing, end, end, recipe.name))
            tried.append({"recipe": recipe.name, "trim_mae": None if score == float("inf") else score})
            log.info("training.recipe_tried", recipe=recipe.name, trim_mae=tried[-1]["trim_mae"])
            if best is None or score < best[0]:
                best = (score, recipe, model)
        assert best is not None  # there are always recipes
        _, recipe, model = best
        new = self._evaluate(model, proving, FITTED, 92, recipe.name)
        old = self._evaluate(active, proving, 92, JUDGED, "the active model")
        comparison = compare("challenger", old, new, self._rules, drawings=self._questions.drawings)
        return self._judged(recipe, model, new, comparison, comparison.reason, tuple(tried))

    def _fit(self, recipe: Recipe, start: float, end: float) -> RoutingModel:
        return fit_model(
            self._snapshot,
            recipe.configuration,
            exclude_items=self._excluded,
            progress=scaled(self._progress, start, end, f"{recipe.name}: "),
            cancelled=self._cancelled,
        )

    def _evaluate(
        self, model: RoutingModel, weights: Mapping[str, float], start: float, end: float, name: str
    ) -> Evaluation:
        step = f"evaluating {name}"
        self._progress(start, step)
        return evaluate(
            model,
            self._questions.actuals,
            weights,
            progress=lambda share: self._progress(start + (end - start) * share, step),
            cancelled=self._cancelled,
        )

    def _measured(self, evaluation: Evaluation) -> dict[str, Any]:
        quality = self._configuration.quality
        return measure(
            evaluation.orders,
            evaluation.routings,
            trim_share=quality.trim_share,
            minimum_samples=quality.minimum_samples,
            seed=self._configuration.training.seed,
        )

    def _score(self, evaluation: Evaluation) -> float:
        value = self._measured(evaluation)["overall"]["trim_mae"]["value"]
        return float("inf") if value is None else float(value)

    def _judged(
        self,
        recipe: Recipe,
        model: RoutingModel,
        new: Evaluation,
        comparison: Comparison | None,
        reason: str,
        tried: tuple[dict[str, Any], ...] = (),
    ) -> Judged:
        figures = self._measured(new)
        return Judged(
            model=model,
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


def choose_questions(
    snapshot: Snapshot, configuration: Configuration, exclude_items: Collection[str] = ()
) -> Questions:
    """Choose the items to judge by, stratified by family: the same ones for the same snapshot and configuration."""
    population = eligible_items(snapshot, family_attributes(snapshot))
    population = population.filter(~population["item_code"].is_in(sorted(exclude_items)))
    settings = configuration.training
    sample = draw_sample(population, strategy="stratified", size=settings.evaluation_items, seed=settings.seed)
    return Questions(
        weights=dict(zip(sample.item_codes, sample.weights, strict=True)),
        actuals=collect_actuals(snapshot, sample.item_codes),
        drawings=drawings_of(snapshot, sample.item_codes),
    )


def drawings_of(snapshot: Snapshot, item_codes: Sequence[str]) -> dict[str, str]:
    """Return what each item shares with its sisters; an item without a drawing has only itself."""
    items = snapshot.items().filter(pl.col("item_code").is_in(list(item_codes)))
    keys = drawing_keys(items, snapshot.attributes)
    drawings = {code: key for code, key in zip(items["item_code"], keys, strict=True) if key is not None}
    return {code: drawings.get(code, f"item|{code}") for code in item_codes}


def halves(questions: Questions) -> tuple[dict[str, float], dict[str, float]]:
    """Split the questions so that no drawing is in both halves."""
    split: tuple[dict[str, float], dict[str, float]] = ({}, {})
    place = {key: number % 2 for number, key in enumerate(sorted(set(questions.drawings.values())))}
    for code, weight in questions.weights.items():
        split[place[questions.drawings[code]]][code] = weight
    return split


def scaled(progress: Progress, start: float, end: float, prefix: str = "") -> Progress:
    """Return a progress callback whose 0 to 100 are `start` to `end` of `progress`."""

    def report(percent: float, step: str) -> None:
        progress(start + (end - start) * min(max(percent, 0.0), 100.0) / 100, f"{prefix}{step}")

    return report
