"""The challenger's trainers: what they learn, that they know nothing of what they are asked for, and how they serve."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.configuration import Configuration, TuningConfiguration, default_configuration
from shared.errors import Cancelled
from shared.prediction.answers import ItemQuery
from shared.prediction.fit import fit_with_lessons
from shared.prediction.fitted import Fit
from shared.prediction.minutes.forms.asks import Asks
from shared.prediction.minutes.forms.known import form_from_state
from shared.prediction.minutes.forms.stack import StackForm, tree_rows
from shared.prediction.model import RoutingModel
from shared.registry.build import build_package
from shared.registry.signing import Keys
from shared.registry.verify import verify_folder
from shared.training.trainers.arrays import exported_forests
from shared.training.trainers.bases import Fits, ForestBase, NearBase, Parameters, PerceptronBase, Working, fit_all
from shared.training.trainers.learned import perceptron_form
from shared.training.trainers.material import Material, even_share
from shared.training.trainers.trying import Trainers, as_configured
from shared.training.trainers.tuning import tune
from tests.prediction.minutes_plant import make_plant
from tests.prediction.prediction_factories import Factory

ITEMS = 240
TRAINERS = ("neighbours", "mlp", "stacking")


def _configuration(**changes: Any) -> Configuration:
    configuration = default_configuration()
    training = configuration.training
    small = {
        "mlp": training.mlp.model_copy(update={"hidden_layers": [16], "iterations": 30, "learning_rate": 0.01}),
        "stacking": training.stacking.model_copy(update={"trees": 8, "depth": 6}),
    }
    return configuration.model_copy(update={"training": training.model_copy(update=small | changes)})


def _trained(factory: Factory, configuration: Configuration) -> tuple[Fit, Trainers]:
    fit = fit_with_lessons(factory, configuration)
    return fit, Trainers(fit, configuration, Working())


@pytest.fixture(scope="module")
def factory() -> Factory:
    return make_plant(ITEMS)


@pytest.fixture(scope="module")
def trained(factory: Factory) -> tuple[Fit, Trainers]:
    return _trained(factory, _configuration())


@pytest.fixture(scope="module")
def models(trained: tuple[Fit, Trainers]) -> dict[str, RoutingModel]:
    return {name: trained[1].train(name).model for name in TRAINERS}


def _minutes(model: RoutingModel, codes: list[str], quantity: float = 20.0) -> list[list[tuple[float, float, float]]]:
    answers = model.predict([ItemQuery(item_code=code) for code in codes], quantity=quantity, as_if_unknown=True)
    return [
        [
            (operation.order_minutes.low, operation.order_minutes.value, operation.order_minutes.high)
            for operation in answer.candidates[0].operations
        ]
        for answer in answers
    ]


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainers_minutes_follow_the_items_and_its_intervals_hold_four_of_five(
    factory: Factory, trained: tuple[Fit, Trainers], models: dict[str, RoutingModel], name: str
) -> None:
    metrics = models[name].documents["metrics.json"]
    assert models[name].model_kind == name == models[name].documents["training_metadata.json"]["model_kind"]
    assert 0.7 <= metrics["time_interval_coverage"] <= 0.9
    typical = _typical_only(trained[0])
    assert metrics["time_median_absolute_percentage_error"] < 0.8 * typical


def _typical_only(fit: Fit) -> float:
    """Return the median error of foretelling every run by the operation's median, over withheld items."""
    lessons = fit.lessons
    rows = np.flatnonzero(~np.isnan(lessons.target[:, 1]))
    task, target = lessons.known.routings.task[rows], lessons.target[rows, 1]
    middle = np.array([np.median(target[task == one]) for one in range(lessons.known.routings.tasks)])
    return float(np.median(np.abs(np.exp(middle[task] - target) - 1)))


@pytest.mark.parametrize("name", TRAINERS)
def test_nothing_that_an_item_or_its_sister_took_is_in_its_answer_as_if_unknown(
    factory: Factory, models: dict[str, RoutingModel], name: str
) -> None:
    groups = models[name].knowledge.items
    place = next(p for p in range(ITEMS) if len(groups.sisters(p)) > 1)
    family = [groups.codes[sister] for sister in groups.sisters(place).tolist()]
    booked = factory.work_results()
    mine = booked["item_code"].is_in(family)
    changed = factory.changed(
        work_results=booked.with_columns(
            run_minutes=booked["run_minutes"] * (1 + 9 * mine.cast(float)),
            setup_minutes=booked["setup_minutes"] * (1 + 9 * mine.cast(float)),
        )
    )
    other = _trained(changed, _configuration(trainers=[name]))[1].train(name).model
    assert _minutes(other, family) == _minutes(models[name], family)
    others = [code for code in groups.codes if code not in family]
    assert _minutes(other, others) != _minutes(models[name], others)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_package_of_a_trainer_serves_like_another(models: dict[str, RoutingModel], tmp_path: Path, name: str) -> None:
    keys = Keys(tmp_path / "keys")
    keys.ensure()
    folder = tmp_path / "challenger"
    manifest = build_package(models[name], folder, version=folder.name, keys=keys)
    served = verify_folder(folder, keys, allow_unsigned=False).model
    codes = models[name].knowledge.items.codes[:40]
    assert served.documents["metrics.json"]["model_version"] == "challenger"

    assert manifest.model_kind == served.model_kind == name
    assert _minutes(served, codes) == _minutes(models[name], codes)
    assert not [path for path in folder.iterdir() if path.suffix in {".pkl", ".pickle"}]
    weighted = served.under(
        served.fitted.model_copy(update={"feature_weights": {"SIZE": 4.0}, "time_profile": "sigma"})
    )
    assert weighted.predict([ItemQuery(item_code=codes[0])], as_if_unknown=True)[0].message is not None


@pytest.mark.parametrize("name", TRAINERS)
def test_one_item_is_answered_as_in_a_batch(models: dict[str, RoutingModel], name: str) -> None:
    codes = models[name].knowledge.items.codes[:30]
    together = _minutes(models[name], codes)
    alone = [_minutes(models[name], [code])[0] for code in codes]
    assert np.concatenate(together) == pytest.approx(np.concatenate(alone), rel=1e-6)


def test_the_arrays_answer_as_scikit_learn_does(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    left = frozenset({1})
    forest = ForestBase(material=material, trees=5, depth=7, seed=1)
    learner, _ = forest.fit(left)
    usual, sample = material.usual[left], material.sample
    rows = tree_rows(
        material.features, np.arange(len(sample.row)), usual.typical[0, sample.task],
        usual.centres[0, sample.task, sample.resource].astype(np.float64),
    )  # fmt: skip
    assert exported_forests([learner]).values(0, rows) == pytest.approx(learner.predict(rows), rel=1e-12)

    settings = _configuration().training.mlp
    fits = fit_all(PerceptronBase(material=material, settings=settings, seed=1), material, Working())
    form = perceptron_form(material, fits)
    mine = np.flatnonzero(~material.kept(left))
    asks = Asks(
        vectors=trained[0].lessons.known.vectors_of(trained[0].lessons.owner[sample.row]),
        rows=material.features, asked=mine, task=sample.task[mine], resource=sample.resource[mine],
        view=np.full(len(mine), 1),
    )  # fmt: skip
    expected = usual.typical[0, sample.task[mine]] + fits.expected[left][mine]
    assert form.expected(asks) == pytest.approx(expected, abs=1e-4)  # it was fitted in single precision


def test_what_a_fit_leaves_out_it_is_asked_about_and_nothing_else(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    fits: Fits = fit_all(NearBase(material=material, neighbours=3), material, Working())
    for left, expected in fits.expected.items():
        assert np.array_equal(~np.isnan(expected[:, 1]), np.isin(material.sample.part, list(left)))
    by_view = material.by_view(fits.expected.__getitem__)
    views = material.lessons.views
    for view in range(views.count):
        assert np.array_equal(~np.isnan(by_view[view, :, 1]), views.outside_parts(view)[material.sample.part])


def test_the_sample_is_bounded_and_frequent_operations_give_way_first(trained: tuple[Fit, Trainers]) -> None:
    lessons = trained[0].lessons
    whole = Material.of(lessons)
    part, again = Material.of(lessons, most=100), Material.of(lessons, most=100)
    assert len(whole.sample.row) == (~np.isnan(lessons.target[:, 1])).sum()
    assert len(part.sample.row) <= 100
    assert np.array_equal(part.sample.row, again.sample.row)
    assert even_share(np.array([5, 1_000, 40]), 145) == 100
    assert even_share(np.array([5, 10]), 100) == 10


def test_a_form_that_this_version_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'oracle'"):
        form_from_state({"kind": "oracle"})


def test_the_stack_weighs_three_learners(models: dict[str, RoutingModel]) -> None:
    form = models["stacking"].knowledge.minutes.form
    assert isinstance(form, StackForm)
    assert (np.abs(form.weights).sum(axis=1) > 0.5).all()
    again = StackForm.from_state(models["stacking"].knowledge.minutes.state())
    assert np.array_equal(again.weights, form.weights)


def _parameters() -> Parameters:
    training = _configuration().training
    return Parameters(mlp=training.mlp, trees=4, depth=4, neighbours=3, final="ridge", seed=42)


def test_tuning_keeps_the_best_of_its_trials(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    settings = TuningConfiguration(trials=3, budget_seconds=600)
    tuned = tune(material, _parameters(), ["near items"], settings, Working())
    again = tune(material, _parameters(), ["near items"], settings, Working())

    assert [trial.parameters for trial in tuned.trials] == [trial.parameters for trial in again.trials]
    assert [trial.score for trial in tuned.trials] == [trial.score for trial in again.trials]
    assert tuned.trials[0].parameters == {"neighbours": 3}  # as configured, first
    assert not tuned.stopped_by_budget
    best = min((trial for trial in tuned.trials if trial.learner == "near items"), key=lambda trial: trial.score)
    assert tuned.parameters.neighbours == best.parameters["neighbours"]
    assert len({str(trial.parameters) for trial in tuned.trials}) == len(tuned.trials) == 3


def test_tuning_stops_when_its_time_is_over_or_the_job_is_cancelled(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    short = TuningConfiguration(trials=20, budget_seconds=1e-6)
    tuned = tune(material, _parameters(), ["near items"], short, Working())
    assert tuned.stopped_by_budget
    assert len(tuned.trials) == 1
    assert tuned.parameters.neighbours == 3
    with pytest.raises(Cancelled):
        tune(material, _parameters(), ["near items"], short, replace(Working(), cancelled=lambda: True))


def test_threads_change_nothing(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    base = ForestBase(material=material, trees=3, depth=4, seed=1)
    one, two = (fit_all(base, material, Working(cores=cores)).expected for cores in (1, 2))
    assert list(one) == list(two) == material.lefts
    assert all(np.array_equal(one[left], two[left], equal_nan=True) for left in one)


def test_every_contender_has_a_score_for_each_fold(trained: tuple[Fit, Trainers]) -> None:
    fit, trainers = trained
    for contender in (as_configured(fit, 0.1), trainers.train("neighbours")):
        scores = contender.as_json()["cv_scores"]
        assert len(scores) == fit.lessons.views.fold_count
        assert all(score > 0 for score in scores)


def test_the_scores_leave_out_what_the_setting_says(trained: tuple[Fit, Trainers]) -> None:
    scores = [as_configured(trained[0], share).cv_scores for share in (0.0, 0.1, 0.4)]
    for whole, some, middle in zip(*scores, strict=True):
        assert whole is not None
        assert some is not None
        assert middle is not None
        assert whole > some > middle > 0  # errors have a long upper end


def test_a_factory_of_few_items_is_learned_from_too() -> None:
    _, trainers = _trained(make_plant(12), _configuration())
    for name in TRAINERS:
        model = trainers.train(name).model
        minutes = np.array([triple for item in _minutes(model, model.knowledge.items.codes[:4]) for triple in item])
        assert np.isfinite(minutes).all()
        assert (minutes[:, 0] <= minutes[:, 2]).all()


def test_where_nothing_is_left_to_learn_from_everything_is_as_usual(trained: tuple[Fit, Trainers]) -> None:
    material = Material.of(trained[0].lessons)
    everything = frozenset(range(material.lessons.views.part_count))
    bare = replace(material)
    bare.usual[everything] = material.usual[frozenset({0})]
    settings = _configuration().training.mlp
    for base in (
        PerceptronBase(material=bare, settings=settings, seed=1),
        ForestBase(material=bare, trees=3, depth=4, seed=1),
        NearBase(material=bare, neighbours=3),
    ):
        _, expected = base.fit(everything)
        assert np.nanmax(np.abs(expected)) < 10
        assert not np.isnan(expected[:, 1]).any()
