"""How a new model is made and judged: the steps of a job, which the command line's training shares.

Both models, the new one and the active one, answer the same items as if unknown: the item and every sister of its
drawing are left out of the neighbours and of every figure fitted out of fold. So they are judged under the same
conditions, and the model that is judged is the very one that would serve. (Fitting the new model without the judged
items would rob it of a part of the data that the active one had, and call every refit worse.)
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from shared.configuration import Configuration
from shared.erp.snapshot import Snapshot
from shared.errors import NotEnoughData
from shared.prediction.fit import fit_with_lessons
from shared.prediction.fitted import Fit
from shared.prediction.model import RoutingModel
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.metrics import measure
from shared.training.compare import MINIMUM_ITEMS, Comparison, Latency, Rules, compare
from shared.training.cores import training_cores
from shared.training.latency import measure_latencies
from shared.training.questions import Questions, choose_questions, halves
from shared.training.trainers.bases import Working
from shared.training.trainers.trying import CONFIGURED, Contender, Trainers, as_configured

log = structlog.get_logger()

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

FITTED, JUDGED = 82.0, 96.0  # percent of a training when its fits, and its judgement, are done
_CONFIGURED, _TRAINED, _CHOSEN = 40.0, 80.0, 90.0  # the same of a challenger: the configured fit, trainers, choice
_FIGURES = ("trim_mae", "mae", "rmse", "mdape", "interval_coverage", "process_match")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A fitted model and what was found about it; nothing where there were too few items to judge it by."""

    model: RoutingModel
    recipe: str  # the contender's name
    promoted: bool
    decision: str
    reason: str
    comparison: Comparison | None
    evaluation: dict[str, Any] | None  # the new model's figures
    tried: tuple[dict[str, Any], ...] = ()  # a challenger job's contenders and their figures
    tuning: dict[str, Any] | None = None  # trials of the search for parameters

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "recipe": self.recipe,
            "promoted": self.promoted,
            "decision": self.decision,
            "reason": self.reason,
            "comparison": None if self.comparison is None else self.comparison.as_json(),
            "evaluation": self.evaluation,
            "tried": list(self.tried),
            "tuning": self.tuning,
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
    cut_off = None if active is None else active.data_as_of.date()
    questions = choose_questions(snapshot, configuration, exclude_items, unseen_after=cut_off)
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
        model = self._fit(0, FITTED).model
        new = self._evaluate(model, self._questions.weights, FITTED, 92, "the new model")
        if active is None:
            few = len(self._questions.weights) < MINIMUM_ITEMS
            why = _too_few(self._questions) if few else "no model is active, so there is nothing to compare with"
            return self._judged(CONFIGURED, model, new, None, f"{why}; a person judges it")
        old = self._evaluate(active, self._questions.weights, 92, JUDGED, "the active model")
        comparison = compare("refit", old, new, self._rules, drawings=self._questions.drawings)
        return self._judged(CONFIGURED, model, new, comparison, comparison.reason)

    def challenge(self, active: RoutingModel) -> Judged:
        """Choose the best contender by one half of the questions, and let it prove itself by the other."""
        choosing, proving = halves(self._questions)
        contenders, tuning = self._contenders()
        times = self._latencies([active, *(one.model for one in contenders)], list(choosing))
        limit = self._rules.maximum_slowdown
        tried, scores = [], []
        for number, (one, speed) in enumerate(zip(contenders, times[1:], strict=True)):
            start = _TRAINED + (_CHOSEN - _TRAINED) * number / len(contenders)
            figures = self._measured(self._evaluate(one.model, choosing, start, start, one.name))["overall"]
            value = figures["trim_mae"]["value"]
            scores.append((speed.slowdown > limit, float("inf") if value is None else float(value)))
            tried.append(_candidate(one, figures, speed))
            log.info(
                "training.contender",
                name=one.name,
                trim_mae=value,
                slowdown=speed.slowdown,
                seconds=one.training_seconds,
            )
        best = min(range(len(contenders)), key=scores.__getitem__)  # one that is fast enough before any that is not
        tried = [candidate | {"is_selected": number == best} for number, candidate in enumerate(tried)]
        chosen = contenders[best]
        new = self._evaluate(chosen.model, proving, _CHOSEN, 93, chosen.name)
        old = self._evaluate(active, proving, 93, JUDGED, "the active model")
        comparison = compare(
            "challenger",
            old,
            new,
            self._rules,
            drawings=self._questions.drawings,
            latency=(times[0], times[best + 1]),
        )
        judged = self._judged(chosen.name, chosen.model, new, comparison, comparison.reason)
        return replace(judged, tried=tuple(tried), tuning=tuning)

    def _contenders(self) -> tuple[list[Contender], dict[str, Any] | None]:
        """Fit the model as configured, and each trainer's minutes on the same items, index and candidates."""
        fit = self._fit(0, _CONFIGURED)
        settings = self._configuration.training
        span = _TRAINED - _CONFIGURED
        working = Working(
            cores=training_cores(settings.cores),
            tell=lambda share, step: self._progress(_CONFIGURED + span * min(share, 1.0), step),
            cancelled=self._cancelled,
        )
        trainers = Trainers(fit, self._configuration, working)
        tuned = trainers.tune()
        own = as_configured(fit, self._configuration.quality.trim_share)
        found = [own, *(trainers.train(name) for name in settings.trainers)]
        return found, None if tuned is None else tuned.as_json()

    def _latencies(self, models: Sequence[RoutingModel], item_codes: Sequence[str]) -> list[Latency]:
        self._progress(_TRAINED, "measuring how fast the contenders answer")
        return measure_latencies(models, item_codes, limit=self._rules.maximum_slowdown, cancelled=self._cancelled)

    def _fit(self, start: float, end: float) -> Fit:
        return fit_with_lessons(
            self._snapshot,
            self._configuration,
            exclude_items=self._excluded,
            progress=scaled(self._progress, start, end),
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

    def _judged(
        self,
        recipe: str,
        model: RoutingModel,
        new: Evaluation,
        comparison: Comparison | None,
        reason: str,
    ) -> Judged:
        figures, after = self._measured(new), self._questions.reported_after
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
                "reported_after": None if after is None else after.isoformat(),
                "overall": figures["overall"],
            },
        )


def _candidate(one: Contender, figures: Mapping[str, Any], speed: Latency) -> dict[str, Any]:
    """Return a contender's stored form: its figures are those of the choosing half."""
    return one.as_json() | {
        "metrics": {name: figures[name] for name in _FIGURES},
        "inference_latency_ms": {"p50": speed.p50_ms, "p95": speed.p95_ms, "answers": speed.answers},
        "slowdown": speed.slowdown,
    }


def scaled(progress: Progress, start: float, end: float, prefix: str = "") -> Progress:
    """Return a progress callback whose 0 to 100 are `start` to `end` of `progress`."""

    def report(percent: float, step: str) -> None:
        progress(start + (end - start) * min(max(percent, 0.0), 100.0) / 100, f"{prefix}{step}")

    return report
