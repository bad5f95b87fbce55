"""A clock that tests move, and what racing tests run in processes of their own, started at one moment."""

import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlmodel import select

from shared.clock import utc_now
from shared.database.engine import make_engine, reading
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion, QualityCycle, TrainingJob, VersionState, WorkState
from shared.database.work import WorkRows
from shared.errors import Conflict

PATIENCE_SECONDS = 60


class MovableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def run_together(target: Callable[..., None], url: str, number: int, *args: Any) -> list[Any]:
    """Run `target(url, index, barrier, results, *args)` in `number` new processes and return what each put."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(number), spawn.Queue()
    processes = [
        spawn.Process(target=target, args=(url, index, barrier, results, *args), daemon=True) for index in range(number)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=PATIENCE_SECONDS) for _ in processes]
    for process in processes:
        process.join(PATIENCE_SECONDS)
    assert [process.exitcode for process in processes] == [0] * number
    return found


def claim_and_finish(url: str, index: int, barrier: Barrier, results: Any, ids: list[str]) -> None:
    """Go for every row as fast as possible; hold each for a moment; report the ids that were won."""
    engine = make_engine(url)
    work = WorkRows(engine)
    won = []
    barrier.wait(PATIENCE_SECONDS)
    for row_id in ids:
        claim = work.claim(TrainingJob, row_id, worker=f"process-{index}", lease_seconds=30)
        if claim is not None:
            won.append(row_id)
            work.finish(claim, WorkState.SUCCEEDED, model_version=f"by-{index}")
    engine.dispose()
    results.put(won)


def claim_and_hang(url: str, results: Any, row_id: str) -> None:
    """Claim a row for a second, begin to write beside it, and never come to an end: for a test that kills it."""
    engine = make_engine(url)
    work = WorkRows(engine)
    claim = work.claim(TrainingJob, row_id, worker="doomed", lease_seconds=1)
    assert claim is not None
    with work.fenced(claim) as session:
        session.add(TrainingJob(id="half-written", created_at=utc_now()))
        session.flush()
        results.put(claim.token)
        time.sleep(PATIENCE_SECONDS)


def insert_slots(url: str, index: int, barrier: Barrier, results: Any, slots: list[str]) -> None:
    """Insert a cycle for every slot; report how many were taken."""
    engine = make_engine(url)
    work = WorkRows(engine)
    barrier.wait(PATIENCE_SECONDS)
    taken = sum(
        work.insert(QualityCycle(id=f"cycle-{index}-{slot}", slot=slot, created_at=utc_now())) for slot in slots
    )
    engine.dispose()
    results.put(taken)


def activate_in_turn(url: str, index: int, barrier: Barrier, results: Any, versions: list[str], rounds: int) -> None:
    """Activate versions again and again; after each try look at how many are active. Report (done, counts seen)."""
    engine = make_engine(url)
    models = ModelVersions(engine)
    done, seen = 0, set()
    barrier.wait(PATIENCE_SECONDS)
    for turn in range(rounds):
        try:
            models.transition(
                versions[(turn + index) % len(versions)], VersionState.ACTIVE, actor=f"p{index}", reason=""
            )
            done += 1
        except Conflict:
            pass
        with reading(engine) as session:
            active = session.exec(select(ModelVersion).where(ModelVersion.state == VersionState.ACTIVE)).all()
        seen.add(len(active))
    engine.dispose()
    results.put((done, seen))


def raise_alerts(url: str, index: int, barrier: Barrier, results: Any, times: int) -> None:
    """Raise the same alert again and again."""
    from shared.database.alerts import Alerts

    engine = make_engine(url)
    alerts = Alerts(engine)
    barrier.wait(PATIENCE_SECONDS)
    for _ in range(times):
        alerts.raise_alert("quality", "mae", f"from {index}")
    engine.dispose()
    results.put(times)
