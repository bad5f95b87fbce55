"""The search for a trainer's parameters: random trials by grouped cross-validation, within a number and a time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import structlog

from shared.configuration import TuningConfiguration
from shared.prediction.memory import Floats
from shared.prediction.minutes.sample import Left
from shared.training.trainers.bases import Base, ForestBase, NearBase, Parameters, PerceptronBase, Working
from shared.training.trainers.material import Material

log = structlog.get_logger()

# The ranges of the predecessor's search (two or three values each), and the forest's beside them.
SEARCHED: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "mlp": {
        "hidden_layers": ([128, 64], [256, 128, 64], [256, 128]),
        "alpha": (1e-4, 1e-3, 1e-2),
        "learning_rate": (1e-3, 1e-2),
    },
    "forest": {"trees": (50, 100), "depth": (6, 8, 10, 12)},
    "near items": {"neighbours": (3, 5, 10, 20)},
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of parameters and what it scored."""

    learner: str
    parameters: dict[str, Any]
    cv_scores: tuple[float, ...]  # weighted mean absolute error of the logarithms, fold by fold
    score: float  # their mean
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a search found."""

    parameters: Parameters
    trials: tuple[Trial, ...]
    stopped_by_budget: bool

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"trials": [asdict(trial) for trial in self.trials], "stopped_by_budget": self.stopped_by_budget}


def tune(
    material: Material, configured: Parameters, learners: Sequence[str], settings: TuningConfiguration, working: Working
) -> Tuned:
    """Search the parameters of some learners, those configured first; the best so far stand when the time is over.

    A trial under way is finished. Trials are dealt to the learners in turn, so that each has its share of the time.
    """
    drawn = {name: _drawn(name, configured, settings.trials) for name in learners}
    best: dict[str, Trial] = {}
    trials: list[Trial] = []
    started, stopped = time.perf_counter(), False
    for number in range(settings.trials):
        for name in learners:
            if number >= len(drawn[name]):
                continue
            working.check()
            if trials and time.perf_counter() - started > settings.budget_seconds:
                stopped = True
                break
            working.tell(number / settings.trials, f"tuning the {name}, trial {number + 1} of {settings.trials}")
            trial = _tried(material, name, drawn[name][number], configured, working)
            trials.append(trial)
            log.info("training.trial", learner=name, number=number + 1, score=trial.score, **trial.parameters)
            if name not in best or trial.score < best[name].score:
                best[name] = trial
        if stopped:
            break
    chosen = configured
    for name, trial in best.items():
        chosen = _with(chosen, name, trial.parameters)
    return Tuned(parameters=chosen, trials=tuple(trials), stopped_by_budget=stopped)


def _drawn(name: str, configured: Parameters, trials: int) -> list[dict[str, Any]]:
    """Return the configured parameters and then distinct seeded draws, `trials` in all where there are so many."""
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    space = SEARCHED[name]
    source = configured.mlp if name == "mlp" else configured
    first = {key: getattr(source, key) for key in space}
    count = min(trials, len(ParameterGrid(dict(space))))
    others = [dict(one) for one in ParameterSampler(dict(space), count, random_state=configured.seed)]
    return [first, *(one for one in others if one != first)][:trials]


def _with(parameters: Parameters, name: str, values: Mapping[str, Any]) -> Parameters:
    if name == "mlp":
        return replace(parameters, mlp=parameters.mlp.model_copy(update=dict(values)))
    return replace(parameters, **values)


def base_of(name: str, material: Material, parameters: Parameters) -> Base:
    """Return a learner with its parameters."""
    if name == "mlp":
        return PerceptronBase(material=material, settings=parameters.mlp, seed=parameters.seed)
    if name == "forest":
        return ForestBase(material=material, trees=parameters.trees, depth=parameters.depth, seed=parameters.seed)
    return NearBase(material=material, neighbours=parameters.neighbours)


def _tried(material: Material, name: str, values: dict[str, Any], configured: Parameters, working: Working) -> Trial:
    started = time.perf_counter()
    base = base_of(name, material, _with(configured, name, values))
    views = material.lessons.views
    lefts = [views.without(fold) for fold in range(views.fold_count)]
    quiet = replace(working, tell=lambda _share, _step: None)
    scores = [_score(material, left, expected) for left, (_, expected) in quiet.each(base.fit, lefts, name)]
    return Trial(
        learner=name, parameters=values, cv_scores=tuple(scores), score=float(np.mean(scores)),
        seconds=round(time.perf_counter() - started, 3),
    )  # fmt: skip


def _score(material: Material, left: Left, expected: Floats) -> float:
    goals, weight = material.goals(left), material.sample.weight
    known = ~np.isnan(expected) & ~np.isnan(goals)
    if not known.any():
        return 0.0
    return float(np.average(np.abs(goals[known] - expected[known]), weights=weight[known]))
