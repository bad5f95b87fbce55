"""A model as files: complete, equal when read again, alike for equal data, and free of what was excluded."""

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import polars as pl
import pytest

from shared.configuration import default_configuration
from shared.errors import Cancelled, NotEnoughData
from shared.prediction.answers import ItemQuery, Source, Status
from shared.prediction.fit import fit_model
from shared.prediction.golden import replay_golden, write_golden
from shared.prediction.model import RoutingModel
from shared.prediction.package import ROLES, load_model, save_model
from tests.prediction.prediction_factories import Factory

QUERIES = [
    ItemQuery(item_code="RING005"),
    ItemQuery(item_code="NEW", attributes={"PART": "gland", "SIZE": 55.0}),
    ItemQuery(item_code="NEWER", attributes={"PART": "kit", "NOTE": "kit for pump 2"}),
]


def test_a_saved_model_answers_as_before(tiny_model: RoutingModel, tmp_path: Path, reader: type) -> None:
    written = save_model(tiny_model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(written["roles"]) == set(ROLES)
    loaded = load_model(reader(tmp_path))
    assert loaded.data_as_of == tiny_model.data_as_of
    for unknown in (False, True):
        assert loaded.predict(QUERIES, as_if_unknown=unknown) == tiny_model.predict(QUERIES, as_if_unknown=unknown)


def test_joblib_files_hold_only_plain_values_and_numbers(tiny_model: RoutingModel, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path)

    def check(value: object) -> None:
        if isinstance(value, dict):
            for key, member in value.items():
                check(key)
                check(member)
        elif isinstance(value, list):
            for member in value:
                check(member)
        elif isinstance(value, np.ndarray):
            assert value.dtype.kind in "biuf"
        else:
            assert value is None or type(value) in (str, int, float, bool), type(value)

    for path in tmp_path.glob("*.joblib"):
        check(joblib.load(path))


def test_the_same_data_give_the_same_files(tiny_factory: Factory, tiny_model: RoutingModel, tmp_path: Path) -> None:
    moment = datetime(2026, 7, 2, tzinfo=UTC)
    again = fit_model(tiny_factory, default_configuration(), clock=lambda: moment)
    for name, model in (("one", tiny_model), ("two", again)):
        (tmp_path / name).mkdir()
        save_model(model, tmp_path / name)
    for name in ROLES:
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        if name == "metrics.json":  # holds when and how long
            pair = [json.loads(path.read_text()) for path in (one, two)]
            for document in pair:
                del document["generated_at"], document["training_duration_sec"]
            assert pair[0] == pair[1]
        else:
            assert one.read_bytes() == two.read_bytes(), name


def test_golden_answers_replay_and_a_changed_one_is_named(
    tiny_model: RoutingModel, tmp_path: Path, reader: type
) -> None:
    save_model(tiny_model, tmp_path)
    golden = write_golden(tiny_model, tmp_path, count=12, seed=1)
    assert json.loads((tmp_path / "golden.json").read_text()) == golden
    assert len(golden["cases"]) == 12
    loaded = load_model(reader(tmp_path))
    assert replay_golden(loaded, golden) == []
    spoilt = copy.deepcopy(golden)
    spoilt["cases"][0]["answer"]["candidates"][0]["minutes"][0][1] *= 1.001
    [difference] = replay_golden(loaded, spoilt)
    assert difference.startswith("case 0.candidates[0].minutes[0][1]")
    assert replay_golden(loaded, {"schema_version": "other"})


def test_a_model_with_other_times_fails_the_golden_replay(
    tiny_factory: Factory, tiny_model: RoutingModel, tmp_path: Path
) -> None:
    golden = write_golden(tiny_model, tmp_path, count=6)
    results = tiny_factory.work_results().with_columns(pl.col("run_minutes") * 1.5)
    other = fit_model(tiny_factory.changed(work_results=results), default_configuration())
    assert replay_golden(other, golden)


def test_excluded_items_leave_no_routing_and_no_result_but_can_be_asked_for(
    tiny_factory: Factory, tmp_path: Path, reader: type
) -> None:
    model = fit_model(tiny_factory, default_configuration(), exclude_items=["RING004", "KIT002"])
    save_model(model, tmp_path)
    write_golden(model, tmp_path, count=500)
    tables = {path.stem: pl.read_parquet(path) for path in tmp_path.glob("*.parquet")}
    for name in ("routings", "times"):
        assert not tables[name].filter(pl.col("item_code").is_in(["RING004", "KIT002"])).height
    for path in tmp_path.iterdir():
        if path.name not in ("items.parquet", "training_metadata.json"):
            assert b"RING004" not in path.read_bytes(), path.name
    assert "RING004" not in joblib.load(tmp_path / "similarity_engine.joblib")["item_codes"]
    loaded = load_model(reader(tmp_path))
    assert loaded.excluded_items == ("KIT002", "RING004")
    [answer] = loaded.predict([ItemQuery(item_code="RING004")])
    assert (answer.status, answer.candidates[0].source) == (Status.OK, Source.PREDICTED)
    assert answer.candidates[0].routing_signature == "SAW>TURN>WASH>GRIND>WASH>PACK"


def test_fitting_reports_its_steps_and_can_be_cancelled(tiny_factory: Factory) -> None:
    seen: list[tuple[float, str]] = []
    fit_model(tiny_factory, default_configuration(), progress=lambda percent, step: seen.append((percent, step)))
    percentages = [percent for percent, _ in seen]
    assert percentages == sorted(percentages)
    assert percentages[-1] == 100
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        fit_model(tiny_factory, default_configuration(), cancelled=lambda: next(asked))


def test_no_routing_at_all_is_not_enough(tiny_factory: Factory) -> None:
    with pytest.raises(NotEnoughData, match="0 of 72 items"):
        fit_model(tiny_factory.changed(routings=tiny_factory.routings().clear()), default_configuration())


def test_the_packages_figures_are_measured(tiny_model: RoutingModel) -> None:
    metrics = tiny_model.documents["metrics.json"]
    assert metrics["accuracy"] == metrics["f1_weighted"] == 1.0
    assert metrics["routing_accuracy"] == 1.0  # the kind of item decides the routing entirely
    assert metrics["withheld_items"] == 72
    assert 0.6 <= metrics["time_interval_coverage"] <= 0.97
    importance = tiny_model.documents["feature_importance.json"]
    assert max(importance, key=lambda name: importance[name]) == "PART"
    buckets = tiny_model.documents["feature_recommendations.json"]
    assert sorted(name for names in buckets.values() for name in names) == sorted(importance)
    statistics = tiny_model.documents["feature_statistics.json"]
    assert statistics["PART"]["unique_values"] == 3
    assert statistics["SIZE"]["median"] == pytest.approx(77.5)


def test_serving_imports_neither_scikit_learn_nor_scipy(tiny_model: RoutingModel, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path)
    script = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.prediction.prediction_reader import FolderReader
from shared.prediction.answers import ItemQuery
from shared.prediction.package import load_model
load_model(FolderReader(Path(sys.argv[2]))).predict([ItemQuery(item_code="RING001")], as_if_unknown=True)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"sklearn", "scipy"}))
"""
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(here), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here.parents[1], check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
