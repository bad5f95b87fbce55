"""The perceptron and the stacking, put together from their fits."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats
from shared.prediction.minutes.fitting import FittedForm
from shared.prediction.minutes.forms.asks import Form
from shared.prediction.minutes.forms.perceptron import Network, PerceptronForm
from shared.prediction.minutes.forms.stack import BASES, StackForm
from shared.prediction.minutes.sample import Left
from shared.training.trainers.arrays import exported_forests
from shared.training.trainers.bases import Fits, exported_layers
from shared.training.trainers.material import Material

RIDGE_PENALTY = 1.0
ELASTIC_PENALTY, ELASTIC_SHARE = 0.01, 0.5


def perceptron_form(material: Material, fits: Fits) -> PerceptronForm:
    """Return the form that serves fitted perceptrons."""
    views = material.lessons.views
    layers = [exported_layers(fits.learner[views.without(view)], material) for view in range(views.count)]
    network = Network(
        weights=[np.stack(same) for same in zip(*(weights for weights, _ in layers), strict=True)],
        biases=[np.stack(same) for same in zip(*(biases for _, biases in layers), strict=True)],
    )
    return PerceptronForm(design=material.lessons.design, usual=material.usual_by_view(), network=network)


def fitted_perceptron(material: Material, fits: Fits) -> FittedForm:
    """Return the perceptron, with the errors of rows that its fits have not seen."""
    expected = material.by_view(lambda left: _typical(material, left) + fits.expected[left])
    return _fitted(material, perceptron_form(material, fits), expected)


def fitted_stack(material: Material, near: Fits, forest: Fits, mlp: Fits, *, neighbours: int, final: str) -> FittedForm:
    """Fit the linear layer over what the three expect of rows that they have not seen, and return the stack."""
    views = material.lessons.views
    expected = np.stack([material.by_view(fits.expected.__getitem__) for fits in (near, forest, mlp)], axis=3)
    typical = material.by_view(lambda left: _typical(material, left))
    goals = material.by_view(material.goals)
    weights, bias = np.empty((views.count, BASES)), np.empty(views.count)
    for view in range(views.count):
        weights[view], bias[view] = _final_layer(expected[view], goals[view], material.sample.weight, final)
    form = StackForm(
        perceptron=perceptron_form(material, mlp),
        forest=exported_forests([forest.learner[views.without(view)] for view in range(views.count)]),
        rows=material.near_rows(), neighbours=neighbours, weights=weights, bias=bias,
    )  # fmt: skip
    weighed = (expected * weights[:, None, None]).sum(axis=3) + bias[:, None, None]
    return _fitted(material, form, typical + weighed)


def _typical(material: Material, left: Left) -> Floats:
    return np.asarray(material.usual[left].typical[0, material.sample.task])


def _fitted(material: Material, form: Form, expected: Floats) -> FittedForm:
    errors = (material.sample.target - expected).astype(np.float32)
    # Near items do not pull on top: how much less a pulled estimate scatters would not be measured.
    return FittedForm(form=form, sample=material.sample, errors=errors, calm=None)


def _final_layer(expected: Floats, goals: Floats, weight: Floats, final: str) -> tuple[Floats, float]:
    """Return the linear layer's weights and bias, by scikit-learn's stacking over learners that are fitted already.

    What they expect of each row comes from fits without the row's part: grouped cross-validation, whose fits all views
    share. `StackingRegressor` would otherwise fit each learner anew for every fold of every view.
    """
    from sklearn.ensemble import StackingRegressor
    from sklearn.linear_model import ElasticNet, Ridge

    flat, goal = expected.reshape(-1, BASES), goals.ravel()
    known = np.flatnonzero(~np.isnan(goal) & ~np.isnan(flat).any(axis=1))
    if not len(known):
        return np.full(BASES, 1 / BASES), 0.0
    last = (
        Ridge(alpha=RIDGE_PENALTY)
        if final == "ridge"
        else ElasticNet(alpha=ELASTIC_PENALTY, l1_ratio=ELASTIC_SHARE, random_state=0)
    )
    bases = [(str(place), _said_already(flat[:, place])) for place in range(BASES)]
    stack = StackingRegressor(bases, final_estimator=last, cv="prefit")
    stack.fit(known[:, None], goal[known], sample_weight=weight.ravel()[known])
    return np.asarray(stack.final_estimator_.coef_, dtype=np.float64), float(stack.final_estimator_.intercept_)


def _said_already(values: Floats) -> Any:
    """Return a regressor of scikit-learn's kind that answers for rows by their numbers."""
    from sklearn.base import BaseEstimator, RegressorMixin

    class Said(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, _rows: npt.NDArray[np.int64], _goals: Floats) -> "Said":
            return self

        def predict(self, rows: npt.NDArray[np.int64]) -> Floats:
            return values[rows[:, 0]]

        def __sklearn_is_fitted__(self) -> bool:
            return True

    return Said()
