"""The generated demo factory, small: withheld items are answered well enough, and intervals hold."""

from datetime import UTC, datetime

import numpy as np
import pytest

from shared.configuration import default_configuration
from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.prediction.answers import ItemQuery, Source, Status
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("demo")
    generate_demo(folder / "source", items=900, seed=11)
    now = datetime(2026, 7, 1, tzinfo=UTC)
    return extract(load_profile("demo"), FolderLocation(folder / "source"), folder / "snapshots", now=now)


@pytest.fixture(scope="module")
def withheld(snapshot: Snapshot) -> list[str]:
    routed = snapshot.routings()["item_code"].unique().sort().to_list()
    return [str(code) for code in np.random.default_rng(4).choice(routed, 150, replace=False)]


@pytest.fixture(scope="module")
def model(snapshot: Snapshot, withheld: list[str]) -> RoutingModel:
    return fit_model(snapshot, default_configuration(), exclude_items=withheld)


def test_orders_of_items_that_the_model_never_saw_fall_into_their_intervals(
    snapshot: Snapshot, withheld: list[str], model: RoutingModel
) -> None:
    inside = []
    frame = snapshot.work_results().filter(snapshot.work_results()["item_code"].is_in(withheld))
    for row in frame.sample(min(800, frame.height), seed=1).to_dicts():
        [answer] = model.predict([ItemQuery(item_code=row["item_code"])], candidates=1, quantity=row["quantity"])
        assert answer.status is Status.OK
        booked = row["run_minutes"] + (row["setup_minutes"] or 0.0)
        for operation in answer.candidates[0].operations:
            if operation.operation_code == row["operation_code"]:
                inside.append(operation.optimistic_minutes <= booked <= operation.safe_minutes)
    assert len(inside) > 500
    assert 0.70 <= np.mean(inside) <= 0.90


def test_the_measured_figures_agree_with_items_that_were_never_seen(
    snapshot: Snapshot, withheld: list[str], model: RoutingModel
) -> None:
    full = fit_model(snapshot, default_configuration())
    truth = {code: full.predict([ItemQuery(item_code=code)])[0].candidates[0].routing_signature for code in withheld}
    right = 0
    for code in withheld:
        best = model.predict([ItemQuery(item_code=code)])[0].candidates[0]
        assert best.source is Source.PREDICTED
        right += best.routing_signature == truth[code]
    claimed = model.documents["metrics.json"]["routing_accuracy"]
    # the withheld items' sisters may be seen here and not in the claim, so reality may only be better
    assert right / len(withheld) >= claimed - 2.5 * np.sqrt(claimed * (1 - claimed) / len(withheld))
    assert claimed > 0.3
