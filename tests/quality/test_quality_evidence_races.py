"""Several workers at once: each actual enters the alarm's test once, and no cycle's evidence is overwritten."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from shared.clock import utc_now
from shared.database import work as work_module
from shared.database.engine import make_engine, reading
from shared.database.tables import QualityCycle, QualityEvidence, TestedActual, WorkState
from shared.erp.snapshot import Snapshot
from shared.prediction.model import RoutingModel
from shared.quality.evidence.store import WHOLE
from shared.quality.judging import Judgement
from shared.quality.measured import MeasuredCycle
from shared.quality.options import CycleOptions
from tests.databases import set_up
from tests.postgresql import PostgreSql
from tests.quality.conftest import Ward, activate, forget_the_last_400_days, make_ward

WORKERS = 2
PATIENCE_SECONDS = 60


class Meeting:
    """Lets the workers wait for one another between their judging and their writing, once a round."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(WORKERS)
        self._met = threading.local()

    def __call__(self, measured: MeasuredCycle, judgement: Judgement) -> dict[str, Any]:
        if getattr(self._met, "cycle_id", "") != measured.row.id:  # one who judges again waits for nobody
            self._met.cycle_id = measured.row.id
            self._barrier.wait(PATIENCE_SECONDS)
        return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql").new_database()
        found = server.url
    set_up(found)
    return found


@pytest.fixture
def workers(url: str, tmp_path: Path, demo_snapshot: Snapshot, demo_model: RoutingModel) -> Iterator[list[Ward]]:
    """Workers with connections of their own, whose model knows no order of the last 400 days."""
    meeting = Meeting()
    made = [make_ward(tmp_path, make_engine(url), demo_snapshot, demo_model, (meeting,)) for _ in range(WORKERS)]
    for one in made:
        forget_the_last_400_days(one)
    activate(made[0], "version_old", demo_model.data_as_of)
    yield made
    for one in made:
        one.engine.dispose()


def _together(work: list[Callable[[], Any]]) -> None:
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result(PATIENCE_SECONDS)


def test_cycles_that_end_at_once_count_each_actual_once(workers: list[Ward]) -> None:
    """Two rounds: in the first both store evidence where there is none, in the second both change what is there."""
    ids: list[str] = []
    for seeds in ((5, 6), (7, 8)):
        rows = [
            one.cycles.start(None, "a test", CycleOptions(sample_size=18, seed=seed))
            for one, seed in zip(workers, seeds, strict=True)
        ]
        ids += [row.id for row in rows if row is not None]
        _together([partial(one.cycles.run, row.id) for one, row in zip(workers, rows, strict=True) if row is not None])
    done = [workers[0].cycles.get(cycle_id) for cycle_id in ids]
    told = {row.id: (row.metrics or {})["evidence"] for row in done}
    with reading(workers[0].engine) as session:
        tested = session.exec(select(TestedActual)).all()
        whole = session.exec(select(QualityEvidence).where(QualityEvidence.stream == WHOLE)).one()

    assert [(row.state, row.attempt) for row in done] == [(WorkState.SUCCEEDED, 1)] * len(ids)
    by_cycle = {cycle_id: sum(one.cycle_id == cycle_id for one in tested) for cycle_id in ids}
    assert by_cycle == {cycle_id: told[cycle_id]["new_actuals"] for cycle_id in ids}
    assert all(by_cycle.values())
    # Who wrote later judged again, with what the other one had stored: the samples overlap.
    for two in (ids[:2], ids[2:]):
        first, second = sorted(two, key=lambda cycle_id: told[cycle_id]["cycles"])
        assert told[second]["cycles"] == told[first]["cycles"] + 1
        assert told[second]["tested_before"] > 0
    assert whole.state["cycles"] == len(ids)
    assert whole.cycle_id == max(ids, key=lambda cycle_id: told[cycle_id]["cycles"])


def test_a_cycle_that_two_workers_are_told_of_is_tested_once(
    workers: list[Ward], tmp_path: Path, demo_snapshot: Snapshot, demo_model: RoutingModel
) -> None:
    row = workers[0].cycles.start(None, "a test", CycleOptions(sample_size=40, seed=5))
    assert row is not None
    alone = [make_ward(tmp_path, one.engine, demo_snapshot, demo_model) for one in workers]
    for one in alone:
        forget_the_last_400_days(one)
    _together([partial(one.cycles.run, row.id) for one in alone for _ in range(3)])
    _together([partial(one.cycles.run, row.id) for one in alone])  # and again, when it has ended
    done = workers[0].work.get(QualityCycle, row.id)
    with reading(workers[0].engine) as session:
        tested = session.exec(select(TestedActual.cycle_id)).all()
        stored = session.exec(select(QualityEvidence.state).where(QualityEvidence.stream == WHOLE)).one()

    assert (done.state, done.attempt) == (WorkState.SUCCEEDED, 1)
    assert set(tested) == {row.id}
    assert len(tested) == (done.metrics or {})["evidence"]["new_actuals"]
    assert stored["cycles"] == 1


def test_a_worker_that_dies_before_the_end_is_committed_leaves_no_evidence(
    workers: list[Ward], tmp_path: Path, demo_snapshot: Snapshot, demo_model: RoutingModel, monkeypatch: Any
) -> None:
    """Evidence, keys and the row's end are written, and nothing stays; `benchmarks.faults` does it with a kill."""
    alone = make_ward(tmp_path, workers[0].engine, demo_snapshot, demo_model)
    forget_the_last_400_days(alone)
    row = alone.cycles.start(None, "a test", CycleOptions(sample_size=40, seed=5))
    assert row is not None
    really = work_module._write

    def die(*arguments: Any) -> None:
        really(*arguments)
        raise SystemExit("the worker dies")

    monkeypatch.setattr(work_module, "_write", die)
    with pytest.raises(SystemExit):
        alone.cycles.run(row.id)
    monkeypatch.setattr(work_module, "_write", really)
    with reading(alone.engine) as session:
        assert session.exec(select(TestedActual)).all() == []
        assert session.exec(select(QualityEvidence)).all() == []
    alone.work._clock = lambda: utc_now() + timedelta(seconds=60)  # the lease has run out
    done = alone.cycles.run(row.id)
    with reading(alone.engine) as session:
        tested = session.exec(select(TestedActual.cycle_id)).all()

    assert done is not None
    assert (done.state, done.attempt) == (WorkState.SUCCEEDED, 2)
    assert len(tested) == (done.metrics or {})["evidence"]["new_actuals"] > 0
