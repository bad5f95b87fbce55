"""Judging a recipe: by which questions, and how a challenger is chosen and proven."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.configuration import Configuration, default_configuration
from shared.erp.snapshot import Snapshot
from shared.errors import Cancelled, NotEnoughData
from shared.prediction.answers import ItemQuery
from shared.prediction.fit import fit_with_lessons
from shared.prediction.fitted import Fit
from shared.prediction.model import RoutingModel
from shared.prediction.order_minutes import OrdersPrediction
from shared.quality.population import eligible_items
from shared.registry.verify import verify_folder
from shared.training import making
from shared.training import questions as questions_room
from shared.training.compare import Comparison
from shared.training.direct import train_now
from shared.training.questions import choose_questions, halves
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
        self.asked: list[str] = []

    def predict_orders(
        self, queries: Sequence[ItemQuery], quantities: Sequence[Sequence[float]], **options: Any
    ) -> list[OrdersPrediction]:
        self.asked += [query.item_code for query in queries]
        return super().predict_orders(queries, quantities, **options)


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

    def fit(snapshot: Snapshot, configuration: Configuration, **more: Any) -> Fit:
        excluded.append(tuple(more["exclude_items"]))
        found = fit_with_lessons(snapshot, configuration, **more)
        made.append(Listening(found.model))
        return replace(found, model=made[-1])

    monkeypatch.setattr(making, "fit_with_lessons", fit)
    old, configuration = Listening(active), default_configuration()
    left_out = sorted(choose_questions(snapshot, configuration).weights)[:2]
    judged = making.judge(
        "refit", snapshot, configuration, old, progress=silent, cancelled=lambda: False, exclude_items=left_out
    )
    questions = choose_questions(snapshot, configuration, left_out)

    assert excluded == [tuple(left_out)]
    assert judged.model is made[0]
    assert sorted(old.asked) == sorted(made[0].asked) == sorted(questions.weights)
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


def quick(**changes: Any) -> Configuration:
    """Return the shipped configuration with trainers that learn a little, soon; `changes` are of its training."""
    configuration = default_configuration()
    small = {
        "mlp": configuration.training.mlp.model_copy(update={"hidden_layers": [8], "iterations": 5}),
        "stacking": configuration.training.stacking.model_copy(update={"trees": 4, "depth": 4}),
    }
    return configuration.model_copy(update={"training": configuration.training.model_copy(update=small | changes)})


def test_a_challenger_is_chosen_by_one_half_and_proven_by_the_other(snapshot: Snapshot, active: RoutingModel) -> None:
    configuration = quick()
    questions = choose_questions(snapshot, configuration)
    choosing, proving = halves(questions)
    told: list[tuple[float, str]] = []
    judged = making.judge(
        "challenger", snapshot, configuration, active,
        progress=lambda percent, step: told.append((percent, step)), cancelled=lambda: False,
    )  # fmt: skip

    assert not {questions.drawings[code] for code in choosing} & {questions.drawings[code] for code in proving}
    assert {*choosing, *proving} == set(questions.weights)
    assert [one["name"] for one in judged.tried] == ["as configured", "neighbours", "mlp", "stacking"]
    [chosen] = [one for one in judged.tried if one["is_selected"]]
    fast = [one for one in judged.tried if one["slowdown"] <= configuration.training.maximum_slowdown]
    assert chosen["metrics"]["trim_mae"]["value"] == min(
        one["metrics"]["trim_mae"]["value"] for one in fast or judged.tried
    )
    assert judged.recipe == chosen["name"]
    assert judged.model.model_kind == {"as configured": "regression"}.get(chosen["name"], chosen["name"])
    assert evaluation_of(judged)["asked"] == len(proving)
    assert judged.promoted == comparison_of(judged).promoted
    assert comparison_of(judged).kind == "challenger"
    latency = comparison_of(judged).latency
    assert latency is not None
    assert latency["new"]["p50_ms"] == chosen["inference_latency_ms"]["p50"]
    assert [percent for percent, _ in told] == sorted(percent for percent, _ in told)
    assert {"mlp, fit 1 of 16", "forest, fit 16 of 16"} <= {step for _, step in told}
    for one in judged.tried:
        assert len(one["cv_scores"]) == 5
        assert one["training_seconds"] > 0
        assert one["inference_latency_ms"]["answers"] == min(80, len(choosing))
    json.dumps(judged.as_json(), allow_nan=False)


def test_a_job_tries_the_trainers_that_its_configuration_names(snapshot: Snapshot, active: RoutingModel) -> None:
    configuration = quick(trainers=["neighbours"])
    judged = making.judge("challenger", snapshot, configuration, active, progress=silent, cancelled=lambda: False)

    assert [one["name"] for one in judged.tried] == ["as configured", "neighbours"]


def test_trainers_stop_between_two_fits(snapshot: Snapshot, active: RoutingModel) -> None:
    steps: list[str] = []
    with pytest.raises(Cancelled):
        making.judge(
            "challenger", snapshot, quick(trainers=["mlp"]), active,
            progress=lambda _percent, step: steps.append(step),
            cancelled=lambda: any(step.startswith("mlp, fit") for step in steps),
        )  # fmt: skip
    assert [step for step in steps if step.startswith("mlp")] == ["mlp, fit 1 of 16"]


def test_where_there_is_nothing_to_judge_by_a_refit_is_left_to_a_person_and_a_challenger_refused(
    snapshot: Snapshot, active: RoutingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions_room, "eligible_items", lambda *_: eligible_items(snapshot).head(3))
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
