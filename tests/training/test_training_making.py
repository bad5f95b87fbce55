"""Judging a recipe: what is withheld, from whom, and how a challenger is chosen and proven."""

from collections.abc import Iterator

import pytest
from training_plant import FIRST, Plant

from shared.configuration import Configuration, default_configuration
from shared.erp.snapshot import Snapshot
from shared.errors import Cancelled, NotEnoughData
from shared.prediction.model import RoutingModel
from shared.registry.verify import verify_folder
from shared.training import making
from shared.training.direct import train_now
from shared.training.recipes import Recipe, challenger_recipes


def silent(_percent: float, _step: str) -> None:
    """Tell nobody."""


@pytest.fixture
def snapshot(plant: Plant) -> Snapshot:
    return plant.snapshots.current()


@pytest.fixture
def active(plant: Plant) -> RoutingModel:
    return verify_folder(plant.settings.models / FIRST, plant.keys, allow_unsigned=False).model


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Configuration, set[str]]]]:
    """What was fitted, and without which items."""
    made: list[tuple[Configuration, set[str]]] = []
    real = making.fit_model

    def fit(snapshot: Snapshot, configuration: Configuration, **more: object) -> RoutingModel:
        made.append((configuration, set(more["exclude_items"])))
        return real(snapshot, configuration, **more)

    monkeypatch.setattr(making, "fit_model", fit)
    return made


def test_withheld_items_and_all_their_sisters_are_kept_from_the_judged_fit(
    snapshot: Snapshot, active: RoutingModel, fits: list[tuple[Configuration, set[str]]]
) -> None:
    configuration = default_configuration()
    withheld = making.withhold(snapshot, configuration)
    drawing = next(a.name for a in snapshot.attributes if a.drawing)
    drawings = dict(snapshot.items().select("item_code", drawing).iter_rows())
    judged = making.judge(
        "refit", snapshot, configuration, active, progress=silent, cancelled=lambda: False, exclude_items=["NOBODY"]
    )

    chosen = {drawings[code] for code in withheld.weights} - {None}
    sisters = {code for code, name in drawings.items() if name in chosen}
    assert len(withheld.weights) >= 10
    assert sisters <= set(withheld.excluded)
    assert fits == [(configuration, {*withheld.excluded, "NOBODY"})]
    assert judged.comparison is not None
    assert judged.comparison.items <= len(withheld.weights)
    assert judged.evaluation["asked"] == len(withheld.weights)
    assert making.withhold(snapshot, configuration) == withheld


def test_a_challenger_is_chosen_on_one_half_and_proven_on_the_other(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "WITHHELD_SHARE", 0.3)
    monkeypatch.setattr(making, "challenger_recipes", lambda configuration: challenger_recipes(configuration)[1:3])
    configuration = default_configuration()
    choosing, proving = making._halves(making.withhold(snapshot, configuration))
    judged = making.judge("challenger", snapshot, configuration, active, progress=silent, cancelled=lambda: False)

    assert not set(choosing) & set(proving)
    assert abs(len(choosing) - len(proving)) <= 4
    best = min(judged.tried, key=lambda entry: entry["trim_mae"])
    assert judged.recipe.name == best["recipe"]
    assert judged.evaluation["asked"] == len(proving)
    assert judged.promoted == judged.comparison.promoted
    assert judged.comparison.kind == "challenger"


def test_challenging_recipes_differ_from_the_configured_one_and_from_each_other() -> None:
    configuration = default_configuration()
    recipes = challenger_recipes(configuration)

    assert len({recipe.name for recipe in recipes}) == len(recipes) == 4
    assert len({recipe.configuration.prediction.model_dump_json() for recipe in recipes}) == 4
    for recipe in recipes:
        assert isinstance(recipe, Recipe)
        assert recipe.configuration.prediction.neighbours != configuration.prediction.neighbours
        Configuration.model_validate(recipe.configuration.model_dump())


def test_where_nothing_can_be_withheld_a_refit_is_left_to_a_person_and_a_challenger_refused(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "WITHHELD_SHARE", 0.01)
    judged = making.judge("refit", snapshot, default_configuration(), active, progress=silent, cancelled=lambda: False)

    assert judged.promoted
    assert judged.comparison is None
    assert "too few to judge" in judged.reason
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
    assert trained.manifest.version == "out"
    assert model.excluded_items == tuple(excluded)
    for code in excluded:
        assert model.item(code).routings == []
        assert model.item(code).work_orders == 0
    assert told == sorted(told)
    assert told[-1] <= 100
