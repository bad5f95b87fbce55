"""Judging a recipe: by which questions, and how a challenger is chosen and proven."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.configuration import Configuration, default_configuration
from shared.erp.snapshot import Snapshot
from shared.errors import Cancelled, NotEnoughData
from shared.prediction.answers import ItemPrediction, ItemQuery
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from shared.quality.sampling import eligible_items
from shared.registry.verify import verify_folder
from shared.training import making
from shared.training.compare import Comparison
from shared.training.direct import train_now
from shared.training.recipes import Recipe, challenger_recipes
from tests.training.training_plant import FIRST, Plant


def silent(_percent: float, _step: str) -> None:
    """Tell nobody."""


@pytest.fixture
def snapshot(plant: Plant) -> Snapshot:
    return plant.snapshots.current()


@pytest.fixture
def active(plant: Plant) -> RoutingModel:
    return verify_folder(plant.settings.models / FIRST, plant.keys, allow_unsigned=False).model


class Listening(RoutingModel):
    """A model that answers as another one does and remembers how it was asked."""

    def __init__(self, model: RoutingModel) -> None:
        super().__init__(
            origin=model.origin, settings=model.fitted, knowledge=model.knowledge, history=model.history,
            documents=model.documents,
        )  # fmt: skip
        self.asked: list[tuple[str, bool]] = []

    def predict(self, queries: Sequence[ItemQuery], **options: Any) -> list[ItemPrediction]:
        self.asked += [(query.item_code, options.get("as_if_unknown", False)) for query in queries]
        return super().predict(queries, **options)


def comparison_of(judged: making.Judged) -> Comparison:
    assert judged.comparison is not None, judged.reason
    return judged.comparison


def evaluation_of(judged: making.Judged) -> dict[str, Any]:
    assert judged.evaluation is not None, judged.reason
    return judged.evaluation


def test_both_models_answer_the_same_items_as_if_unknown(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Listening] = []
    excluded: list[tuple[str, ...]] = []

    def fit(snapshot: Snapshot, configuration: Configuration, **more: Any) -> Listening:
        excluded.append(tuple(more["exclude_items"]))
        made.append(Listening(fit_model(snapshot, configuration, **more)))
        return made[-1]

    monkeypatch.setattr(making, "fit_model", fit)
    old, configuration = Listening(active), default_configuration()
    left_out = sorted(making.choose_questions(snapshot, configuration).weights)[:2]
    judged = making.judge(
        "refit", snapshot, configuration, old, progress=silent, cancelled=lambda: False, exclude_items=left_out
    )
    questions = making.choose_questions(snapshot, configuration, left_out)

    assert excluded == [tuple(left_out)]
    assert judged.model is made[0]
    assert sorted(old.asked) == sorted(made[0].asked) == sorted((code, True) for code in questions.weights)
    assert len(questions.weights) >= 10
    assert not set(left_out) & set(questions.weights)
    assert comparison_of(judged).items <= len(questions.weights) == evaluation_of(judged)["asked"]


def test_a_refit_on_the_very_same_data_changes_nothing_and_is_registered(
    snapshot: Snapshot, active: RoutingModel
) -> None:
    judged = making.judge("refit", snapshot, default_configuration(), active, progress=silent, cancelled=lambda: False)

    assert judged.promoted
    assert comparison_of(judged).trim_mae_change.value == pytest.approx(0.0, abs=1e-9)
    assert comparison_of(judged).process_match_change.value == pytest.approx(0.0, abs=1e-9)


def test_a_challenger_is_chosen_by_one_half_and_proven_by_the_other(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "challenger_recipes", lambda configuration: challenger_recipes(configuration)[1:3])
    configuration = default_configuration()
    questions = making.choose_questions(snapshot, configuration)
    choosing, proving = making.halves(questions)
    judged = making.judge("challenger", snapshot, configuration, active, progress=silent, cancelled=lambda: False)

    assert not {questions.drawings[code] for code in choosing} & {questions.drawings[code] for code in proving}
    assert {*choosing, *proving} == set(questions.weights)
    best = min(judged.tried, key=lambda entry: entry["trim_mae"])
    assert judged.recipe.name == best["recipe"]
    assert judged.model.fitted == judged.recipe.configuration.prediction
    assert evaluation_of(judged)["asked"] == len(proving)
    assert judged.promoted == comparison_of(judged).promoted
    assert comparison_of(judged).kind == "challenger"


def test_challenging_recipes_differ_from_the_configured_one_and_from_each_other() -> None:
    configuration = default_configuration()
    recipes = challenger_recipes(configuration)

    assert len({recipe.name for recipe in recipes}) == len(recipes) == 4
    assert len({recipe.configuration.prediction.model_dump_json() for recipe in recipes}) == 4
    for recipe in recipes:
        assert isinstance(recipe, Recipe)
        assert recipe.configuration.prediction.neighbours != configuration.prediction.neighbours
        Configuration.model_validate(recipe.configuration.model_dump())


def test_where_there_is_nothing_to_judge_by_a_refit_is_left_to_a_person_and_a_challenger_refused(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "eligible_items", lambda *_: eligible_items(snapshot).head(3))
    judged = making.judge("refit", snapshot, default_configuration(), active, progress=silent, cancelled=lambda: False)

    assert judged.promoted
    assert judged.comparison is None
    assert "only 3 items" in judged.reason
    with pytest.raises(NotEnoughData, match="cannot prove itself"):
        making.judge("challenger", snapshot, default_configuration(), active, progress=silent, cancelled=lambda: False)


def test_a_cancelled_training_writes_nothing(plant: Plant, snapshot: Snapshot) -> None:
    folder = plant.settings.data_dir / "out"
    with pytest.raises(Cancelled):
        train_now(snapshot, default_configuration(), folder, version="out", keys=plant.keys, cancelled=lambda: True)

    assert not folder.exists()


def test_what_is_excluded_is_in_no_table_of_the_package(plant: Plant, snapshot: Snapshot) -> None:
    excluded = sorted(set(snapshot.work_results()["item_code"]))[:3]
    folder = plant.settings.data_dir / "out"
    told: list[float] = []
    trained = train_now(
        snapshot,
        default_configuration(),
        folder,
        version="out",
        keys=plant.keys,
        exclude_items=excluded,
        evaluate=False,
        progress=lambda percent, _step: told.append(percent),
    )
    model = verify_folder(folder, plant.keys, allow_unsigned=False).model

    assert trained.judged is None
    assert trained.manifest is not None
    assert trained.manifest.version == "out"
    assert model.excluded_items == tuple(excluded)
    for code in excluded:
        assert model.item(code).routings == []
        assert model.item(code).work_orders == 0
    assert told == sorted(told)
    assert told[-1] <= 100
