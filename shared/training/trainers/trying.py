"""All configured trainers on one fit's data: each becomes another form of the minutes with its figures."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shared.configuration import Configuration, TrainingConfiguration
from shared.prediction.fitted import Fit
from shared.prediction.minutes.fitting import FittedForm, cases_of
from shared.prediction.minutes.lessons import Lessons
from shared.prediction.model import RoutingModel
from shared.training.trainers.bases import Fits, Parameters, Working, fit_all
from shared.training.trainers.learned import fitted_perceptron, fitted_stack
from shared.training.trainers.material import Material
from shared.training.trainers.neighbours import fit_neighbours
from shared.training.trainers.tuning import Tuned, base_of, tune

_LEARNERS = {"neighbours": (), "mlp": ("mlp",), "stacking": ("near items", "forest", "mlp")}
CONFIGURED = "as configured"
_TYPES = {
    CONFIGURED: "ridge regressions and near items",
    "neighbours": "weighted mean of near items",
    "mlp": "MLPRegressor",
    "stacking": "StackingRegressor(KNeighborsRegressor, RandomForestRegressor, MLPRegressor)",
}
_SHARES = {"neighbours": 1.0, "near items": 2.0, "forest": 10.0, "mlp": 10.0}  # about, of the time of all fits


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model that may be registered, and how it was made (DOMAIN §5.2's model candidate)."""

    name: str
    model: RoutingModel
    training_seconds: float
    parameters: dict[str, Any]
    cv_scores: tuple[float | None, ...]  # trimmed mean absolute error, minutes of an order and operation, by fold

    def as_json(self) -> dict[str, Any]:
        """Return what is known before anything is asked."""
        return {
            "name": self.name, "model_type": _TYPES[self.name], "training_seconds": self.training_seconds,
            "parameters": self.parameters, "cv_scores": list(self.cv_scores),
        }  # fmt: skip


def as_configured(fit: Fit, trim_share: float) -> Contender:
    """Return the fit itself as a contender; `trim_share` is left out at each end of its scores' errors."""
    return Contender(
        name=CONFIGURED, model=fit.model, training_seconds=fit.seconds,
        parameters=fit.model.fitted.model_dump(mode="json", exclude={"feature_weights"}),
        cv_scores=fold_scores(fit.lessons, fit.own, trim_share),
    )  # fmt: skip


@dataclass
class Trainers:
    """The configured trainers at work on one fit's data; learners are fitted once for all trainers that use them."""

    fit: Fit
    configuration: Configuration
    working: Working
    _parameters: Parameters = field(init=False)
    _made: dict[str, tuple[Fits, float]] = field(default_factory=dict)
    _done: float = 0.0

    def __post_init__(self) -> None:
        """Arrange the data."""
        self._material = Material.of(self.fit.lessons)
        stacking = self.settings.stacking
        self._parameters = Parameters(
            mlp=self.settings.mlp, trees=stacking.trees, depth=stacking.depth, neighbours=stacking.neighbours,
            final=stacking.final, seed=self.settings.seed,
        )  # fmt: skip
        wanted = {part for name in self.settings.trainers for part in (_LEARNERS[name] or (name,))}
        self._all = sum(_SHARES[name] for name in wanted) or 1.0

    @property
    def settings(self) -> TrainingConfiguration:
        """Return what of the configuration says how to train."""
        return self.configuration.training

    def tune(self) -> Tuned | None:
        """Search the learners' parameters, where trials are configured."""
        learners = list(dict.fromkeys(part for name in self.settings.trainers for part in _LEARNERS[name]))
        if not self.settings.tuning.trials or not learners:
            return None
        tuned = tune(self._material, self._parameters, learners, self.settings.tuning, self.working)
        self._parameters = tuned.parameters
        return tuned

    def train(self, name: str) -> Contender:
        """Fit one trainer, or take its learners' fits where another one has made them."""
        started = time.perf_counter()
        self.working.check()
        shared = sum(self._made[part][1] for part in _LEARNERS[name] if part in self._made)
        fitted, used = self._fitted(name)
        seconds = round(time.perf_counter() - started + shared, 3)
        return Contender(
            name=name, model=self.fit.with_form(fitted, seconds), training_seconds=seconds,
            parameters=self._parameters.as_json(*used) | {"rows": len(fitted.sample.row)},
            cv_scores=fold_scores(self.fit.lessons, fitted, self.configuration.quality.trim_share),
        )  # fmt: skip

    def _fitted(self, name: str) -> tuple[FittedForm, Sequence[str]]:
        if name == "neighbours":
            return fit_neighbours(self._material, self._part(name)), ()
        if name == "mlp":
            return fitted_perceptron(self._material, self._fits("mlp")), ("mlp", "seed")
        near, forest, mlp = (self._fits(part) for part in _LEARNERS["stacking"])
        names = ("neighbours", "final")
        values = {name: getattr(self._parameters, name) for name in names}
        return fitted_stack(self._material, near, forest, mlp, **values), (*names, "trees", "depth", "mlp", "seed")

    def _fits(self, learner: str) -> Fits:
        if learner not in self._made:
            started = time.perf_counter()
            fits = fit_all(base_of(learner, self._material, self._parameters), self._material, self._part(learner))
            self._made[learner] = fits, time.perf_counter() - started
        return self._made[learner][0]

    def _part(self, name: str) -> Working:
        """Return how one learner's fits are run: they tell their share of all."""
        start, share, tell = self._done, _SHARES[name], self.working.tell
        self._done += share
        return replace(self.working, tell=lambda done, step: tell((start + share * done) / self._all, step))


def fold_scores(lessons: Lessons, fitted: FittedForm, trim_share: float) -> tuple[float | None, ...]:
    """Return each fold's trimmed mean absolute error, of orders foretold without their fold; None for none."""
    views = lessons.views
    tasks = lessons.known.routings.tasks
    idle = np.zeros(tasks)
    cases = cases_of(lessons, fitted, views.count - 1, idle, np.ones((tasks, 2)))
    setup = np.exp(np.where(np.isnan(cases.logs[:, 0]), -np.inf, cases.logs[:, 0]))
    off = np.abs(setup + np.exp(cases.logs[:, 1]) * cases.quantity - cases.setup - cases.run * cases.quantity)
    fold = lessons.known.items.folds[cases.item]
    return tuple(_trimmed(off[fold == one], trim_share) for one in range(views.fold_count))


def _trimmed(errors: Any, trim_share: float) -> float | None:
    if not len(errors):
        return None
    from scipy.stats import trim_mean

    return float(trim_mean(errors, trim_share))
