"""The learners of scikit-learn, each fitted once for every set of parts that is left out."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from shared.configuration import MlpConfiguration
from shared.errors import Cancelled
from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.forms.stack import tree_rows
from shared.prediction.minutes.sample import Left
from shared.training.trainers.material import Material, by_task

_ITEM_SCALE = 3.0  # of designs, whose columns are parts of a vector of length 1, beside columns of 0 and 1
_STOP_AFTER = 6  # passes without a gain on rows kept apart
_BATCH = 256
_ENOUGH_TO_STOP_BY = 100  # entries, of which a tenth is kept apart


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What the learners are fitted with."""

    mlp: MlpConfiguration
    trees: int
    depth: int
    neighbours: int
    final: str
    seed: int

    def as_json(self, *names: str) -> dict[str, Any]:
        """Return some of them in their stored form."""
        return {name: self.mlp.model_dump() if name == "mlp" else getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Working:
    """How fits are run: on how many cores, whom they tell, and who may stop them."""

    cores: int = 1
    tell: Callable[[float, str], None] = lambda _share, _step: None  # share of the work done, 0 to 1
    cancelled: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Stop here if the work was cancelled."""
        if self.cancelled():
            raise Cancelled("The training was cancelled between two fits; nothing was kept.")

    def each(self, work: Callable[[Left], Any], lefts: Sequence[Left], name: str) -> Iterator[tuple[Left, Any]]:
        """Do work for each set of parts left out, on threads: the learners compute outside the interpreter's lock."""
        from joblib import Parallel, delayed

        def checked(left: Left) -> Any:
            self.check()
            return work(left)

        with threadpool_limits(1):
            pool = Parallel(n_jobs=self.cores, prefer="threads", return_as="generator")
            for done, (left, found) in enumerate(zip(lefts, pool(delayed(checked)(one) for one in lefts), strict=True)):
                self.tell((done + 1) / len(lefts), f"{name}, fit {done + 1} of {len(lefts)}")
                yield left, found


class Base(Protocol):
    """Fits a learner to the rows outside some parts."""

    @property
    def name(self) -> str:
        """Return what it is called when it tells how far it is."""
        ...

    def fit(self, left: Left) -> tuple[Any, Floats]:
        """Return the learner and (sample, 2) what it expects beside the usual of the rows of those parts."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fits:
    """A base's fits."""

    learner: dict[Left, Any]
    expected: dict[Left, Floats]  # (sample, 2), differences from what is usual; nan outside the parts left out


def fit_all(base: Base, material: Material, working: Working) -> Fits:
    """Fit a base once for every set of parts left out."""
    learner, expected = {}, {}
    for left, found in working.each(base.fit, material.lefts, base.name):
        learner[left], expected[left] = found
    return Fits(learner=learner, expected=expected)


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """Setups and runs of the sample one by one: each row's setup, then its run."""

    material: Material
    left: Left

    def inside(self) -> Ints:
        """Return the entries with known minutes that a fit may see."""
        known = ~np.isnan(self.material.goals(self.left)) & self.material.kept(self.left)[:, None]
        return np.flatnonzero(known.ravel())

    def outside(self) -> Ints:
        """Return the rows that the fit has not seen."""
        return np.flatnonzero(~self.material.kept(self.left))

    def goals(self, entries: Ints) -> Floats:
        return self.material.goals(self.left).ravel()[entries]

    def weights(self, entries: Ints) -> Floats:
        return self.material.sample.weight.ravel()[entries]

    def centres(self) -> Floats:
        sample, usual = self.material.sample, self.material.usual[self.left]
        return np.asarray(usual.centres[0, sample.task, sample.resource % usual.centres.shape[2]], dtype=np.float64)

    def expected(self, learner: Any, inputs: Callable[[Ints], Any]) -> Floats:
        """Return (sample, 2) what a fitted learner expects of the rows that it has not seen, nan of the others.

        Args:
            learner: with a `predict` of scikit-learn's kind.
            inputs: gives what it reads of some entries.
        """
        found, outside = np.full((len(self.material.sample.row), 2), np.nan), self.outside()
        if len(outside):
            both = (outside[:, None] * 2 + np.arange(2)).ravel()
            found[outside] = learner.predict(inputs(both)).reshape(-1, 2)
        return found


@dataclass(frozen=True, kw_only=True)
class PerceptronBase:
    """`MLPRegressor` over designs, the operation's code, and its work centre's difference."""

    material: Material
    settings: MlpConfiguration
    seed: int
    name: str = "mlp"

    def fit(self, left: Left) -> tuple[Any, Floats]:
        """Fit to the rows outside some parts."""
        from sklearn.neural_network import MLPRegressor

        entries = _Entries(material=self.material, left=left)
        inside = entries.inside()
        learner = MLPRegressor(
            hidden_layer_sizes=tuple(self.settings.hidden_layers), alpha=self.settings.alpha,
            learning_rate_init=self.settings.learning_rate, max_iter=self.settings.iterations, batch_size=_BATCH,
            early_stopping=len(inside) >= _ENOUGH_TO_STOP_BY, n_iter_no_change=_STOP_AFTER, random_state=self.seed,
        )  # fmt: skip
        goals, weights = entries.goals(inside).astype(np.float32), entries.weights(inside).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it stopped at its last pass: passes are bounded here
            # all in single precision: goals in double would make every product so
            learner.fit(*_at_least_one(self._inputs(entries, inside), goals, weights))
        return learner, entries.expected(learner, partial(self._inputs, entries))

    def _inputs(self, entries: _Entries, chosen: Ints) -> Floats:
        """Return (entries, varied + 2 tasks + 1): the design, a 1 in the operation's column, the work centre."""
        sample, row = self.material.sample, chosen // 2
        designs = self.material.varied_designs
        size = designs.shape[1]
        found = np.zeros((len(chosen), size + 2 * sample.tasks + 1), dtype=np.float32)
        found[:, :size] = _ITEM_SCALE * designs[row]
        found[np.arange(len(chosen)), size + sample.task[row] * 2 + chosen % 2] = 1.0
        found[:, -1] = entries.centres().ravel()[chosen]
        return found


def _at_least_one(rows: Any, goals: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Return what to fit to: an entry that says "as usual" where a small factory has none outside some parts."""
    if len(rows):
        return rows, goals, weights
    return np.zeros((1, rows.shape[1]), rows.dtype), np.zeros(1, goals.dtype), np.ones(1, weights.dtype)


def exported_layers(learner: Any, material: Material) -> tuple[list[Floats], list[Floats]]:
    """Return a fitted perceptron's weights and biases for designs as they are, columns that never vary included."""
    weights = [np.array(one, dtype=np.float64) for one in learner.coefs_]
    read, varied = weights[0], material.varied
    first = np.zeros((material.items.shape[1], read.shape[1]))
    first[varied] = _ITEM_SCALE * read[: len(varied)]
    weights[0] = np.concatenate([first, read[len(varied) :]])
    return weights, [np.array(one, dtype=np.float64) for one in learner.intercepts_]


@dataclass(frozen=True, kw_only=True)
class ForestBase:
    """`RandomForestRegressor` over the features, the usual minutes, and the work centre's difference."""

    material: Material
    trees: int
    depth: int
    seed: int
    name: str = "forest"

    def fit(self, left: Left) -> tuple[Any, Floats]:
        """Fit to the rows outside some parts."""
        from sklearn.ensemble import RandomForestRegressor

        entries = _Entries(material=self.material, left=left)
        inside = entries.inside()
        sample, usual = self.material.sample, self.material.usual[left]
        rows = tree_rows(
            self.material.features, np.arange(len(sample.row)), usual.typical[0, sample.task], entries.centres()
        )
        learner = RandomForestRegressor(
            n_estimators=self.trees, max_depth=self.depth, max_features=1 / 3, min_samples_leaf=3,
            max_samples=max(1, len(inside) // 2), random_state=self.seed,
        )  # fmt: skip
        learner.fit(*_at_least_one(rows[inside], entries.goals(inside), entries.weights(inside)))
        return learner, entries.expected(learner, lambda asked: rows[asked])


@dataclass(frozen=True, kw_only=True)
class NearBase:
    """`KNeighborsRegressor` over items' vectors, one for each operation's setup and run.

    Nothing of it is kept: in service the near items are found already, and the mean is taken over the nearest of them.
    """

    material: Material
    neighbours: int
    name: str = "near items"

    def fit(self, left: Left) -> tuple[Any, Floats]:
        """Ask about the rows of some parts among the rows outside."""
        from sklearn.neighbors import KNeighborsRegressor

        sample, goals, kept = self.material.sample, self.material.goals(left), self.material.kept(left)
        width = self.material.items.shape[1] - 2 * len(self.material.lessons.design.columns)
        vectors = self.material.items[:, :width]
        found = np.full((len(sample.row), 2), np.nan)
        found[~kept] = 0.0  # the usual, where no other item does the operation
        for rows in by_task(sample.task, sample.tasks):
            asked = rows[~kept[rows]]
            for outs, known in _known_alike(goals, rows[kept[rows]]):
                if len(asked) and len(known):
                    learner = KNeighborsRegressor(min(self.neighbours, len(known)), algorithm="brute")
                    learner.fit(vectors[known], goals[known, outs])
                    found[asked, outs] = learner.predict(vectors[asked])
        return None, found


def _known_alike(goals: Floats, rows: Ints) -> list[tuple[slice, Ints]]:
    """Return setup (0) and run (1) with the rows that know them; together where these are the same rows."""
    setup, run = (rows[~np.isnan(goals[rows, out])] for out in range(2))
    return [(slice(2), run)] if np.array_equal(setup, run) else [(slice(1), setup), (slice(1, 2), run)]
