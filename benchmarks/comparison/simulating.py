"""How often `shared.training.compare` decides rightly: many comparisons of models whose truth is known."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.comparison.universe import Answers, Universe, evaluation
from shared.configuration import default_configuration
from shared.quality.intervals import Figure, wilson
from shared.training.compare import Comparison, Rules, compare

CONTENDERS = 4
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of comparison, and what ought to come of it."""

    name: str
    kind: str  # "refit" or "challenger"
    change: float | None = None  # of the new model's true trimmed MAE; None: as the recipe's chance has it
    contenders: int = 1  # so many are tried on other items, and the best of them is compared
    worse_family: float = 1.0  # the errors of the largest family, times this
    at_most: float | None = None  # wanted share of promotions
    at_least: float | None = None


CASES = (
    Case(name="challenger of the same recipe", kind="challenger", at_most=0.05),
    Case(
        name="challenger of the same recipe, best of four", kind="challenger", contenders=CONTENDERS, at_most=0.05
    ),
    Case(name="challenger, truly 10 % better", kind="challenger", change=-0.10, at_least=0.90),
    Case(
        name="challenger, truly 10 % better, among four",
        kind="challenger", change=-0.10, contenders=CONTENDERS, at_least=0.90,
    ),
    Case(
        name="challenger, 10 % better, largest family twice as bad", kind="challenger", change=-0.10, worse_family=2.0,
        at_most=0.10,
    ),
    Case(name="refit of the same recipe", kind="refit", at_least=0.80),
    Case(name="refit, truly 5 % worse", kind="refit", change=0.05, at_most=0.20),
    Case(name="refit, truly 10 % worse", kind="refit", change=0.10, at_most=0.05),
)  # fmt: skip


@dataclass
class Outcome:
    """What came of a case's comparisons."""

    case: Case
    items: int
    promoted: list[bool] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)  # the interval included the true change
    failed: dict[str, int] = field(default_factory=dict)  # condition -> how often it was not met
    changes: list[float] = field(default_factory=list)
    seconds: float = 0.0  # spent in `compare`

    @property
    def share(self) -> Figure:
        """How often the new model was promoted."""
        return _share(self.promoted)

    @property
    def coverage(self) -> Figure:
        """How often the 95 % interval included the true change."""
        return _share(self.covered)

    @property
    def met(self) -> bool | None:
        """Whether the wanted share was met; None where none is wanted."""
        value = self.share.value
        if value is None or (self.case.at_most is None and self.case.at_least is None):
            return None
        return (self.case.at_most is None or value <= self.case.at_most) and (
            self.case.at_least is None or value >= self.case.at_least
        )


def _share(hits: Sequence[bool]) -> Figure:
    return wilson(np.array(hits, dtype=np.float64), np.ones(len(hits)))


def rules() -> Rules:
    """Return the shipped limits."""
    configuration = default_configuration()
    return Rules(
        refit_margin=configuration.training.refit_margin,
        challenger_gain=configuration.training.challenger_gain,
        trim_share=configuration.quality.trim_share,
        maximum_slowdown=configuration.training.maximum_slowdown,
    )


def simulate(
    case: Case, universes: Sequence[Universe], *, comparisons: int, items: int, seed: int, limits: Rules | None = None
) -> Outcome:
    """Compare so many times: other models, other items each time, sisters together, as the training does it.

    Several contenders are tried on `items` items; the best is compared with the active model on as many others.
    """
    rng = np.random.default_rng([seed, items, sum(map(ord, case.name))])
    outcome, used, prepared = Outcome(case, items), limits or rules(), {}
    for _ in range(comparisons):
        number = int(rng.integers(len(universes)))
        universe = universes[number]
        picked = tuple(int(place) for place in rng.permutation(len(universe.models))[: case.contenders + 1])
        if (number, picked[:2]) not in prepared:
            prepared[number, picked[:2]] = _new_model(case, universe, picked)
        special = prepared[number, picked[:2]]
        active = universe.models[picked[0]]
        contenders = [special, *(universe.models[place] for place in picked[2:])]
        choosing, sample = universe.samples(rng, items if case.contenders > 1 else 0, items)
        new = _best(contenders, choosing.items)
        old_answers, new_answers = evaluation(active, sample), evaluation(new, sample)
        begun = time.perf_counter()
        found = compare(case.kind, old_answers, new_answers, used, drawings=sample.drawings)
        outcome.seconds += time.perf_counter() - begun
        _note(outcome, found, new.true_trim_mae / active.true_trim_mae - 1)
    return outcome


def _new_model(case: Case, universe: Universe, picked: tuple[int, ...]) -> Answers:
    """Return the second picked model, its errors scaled so that its true change is the case's."""
    active, new = universe.models[picked[0]], universe.models[picked[1]]
    if case.change is None:
        return new
    if case.worse_family != 1.0:
        new = replace(new, of_family={universe.largest_families[0]: case.worse_family})
    return replace(new, factor=(1 + case.change) * active.true_trim_mae / new.true_trim_mae)


def _best(contenders: Sequence[Answers], items: Sequence[str]) -> Answers:
    if len(contenders) == 1:
        return contenders[0]
    return min(contenders, key=lambda answers: answers.trim_mae(items))


def _note(outcome: Outcome, found: Comparison, truth: float) -> None:
    change = found.trim_mae_change
    outcome.promoted.append(found.promoted)
    for check in found.checks:
        if not check.passed:
            outcome.failed[check.name] = outcome.failed.get(check.name, 0) + 1
    if change.value is not None and change.low is not None and change.high is not None:
        outcome.changes.append(change.value)
        outcome.covered.append(change.low <= truth <= change.high)
