"""Delivers messages several times, in any order, to real worker processes, and counts the effects."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import col, select

from shared.clock import utc_now
from shared.database.engine import make_engine, reading
from shared.database.tables import JobLine, ModelVersion, TrainingJob, WorkState
from shared.database.work import WorkRows
from shared.settings import PROJECT_DIR

MOST_DELIVERIES = 5
LATE_SHARE = 0.2  # of the messages, delivered once more after everything has ended


@dataclass
class Deliveries:
    """What a play did."""

    messages: int
    workers: int
    deliveries: int = 0
    again: int = 0  # messages that followed: a delivery that ended with an error, a bell that was rung again
    swept: int = 0  # messages that the sweep's look at the rows found missing
    effects: int = 0
    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Say it in one line."""
        rate = f"{self.messages / self.seconds:.1f} jobs/s, {self.deliveries / self.seconds:.1f} deliveries/s"
        came = f"{self.deliveries} deliveries to {self.workers} workers"
        followed = f"{self.again} came again, {self.swept} by the sweep"
        wrong = f"{len(self.doubled)} doubled, {len(self.missing)} missing, {len(self.unended)} unended"
        outcome = f"{self.effects} effects, {wrong}; {self.seconds:.1f} s, {rate}"
        return f"{self.messages} messages, {came} ({followed}): {outcome}"

    @property
    def exact(self) -> bool:
        """Whether each message had its effect once."""
        return self.effects == self.messages and not (self.doubled or self.missing or self.unended)


class _Queue:
    """Messages in the order in which they come; one that follows comes at any later place."""

    def __init__(self, messages: list[str], dice: random.Random) -> None:
        self._waiting = messages
        self._dice = dice
        self._lock = threading.Lock()
        self.given = 0
        self.again = 0

    def next(self) -> str | None:
        with self._lock:
            if not self._waiting:
                return None
            self.given += 1
            return self._waiting.pop()

    def put_back(self, message: str) -> None:
        with self._lock:
            self.again += 1
            self._waiting.insert(self._dice.randint(0, len(self._waiting)), message)


def play(
    data_dir: Path, database_url: str, *, messages: int, workers: int = 4, seed: int = 42, kind: str = "small"
) -> Deliveries:
    """Insert the jobs, deliver each 1 to 5 times in any order, then some once more, and count."""
    dice = random.Random(seed)
    url = database_url or f"sqlite:///{(data_dir / 'routing.db').as_posix()}"
    engine = make_engine(url)
    done = Deliveries(messages, workers)
    try:
        work = WorkRows(engine)
        ids = _insert(work, messages)
        order = [job_id for job_id in ids for _ in range(dice.randint(1, MOST_DELIVERIES))]
        dice.shuffle(order)
        late = dice.sample(ids, max(1, int(messages * LATE_SHARE)))
        processes = [_start(data_dir, database_url, kind) for _ in range(workers)]
        try:
            begun = time.monotonic()
            _hand_out(order, processes, dice, done)
            while due := work.due(TrainingJob, now=utc_now(), ring_after_seconds=0):
                done.swept += len(due)
                _hand_out(due, processes, dice, done)
            _hand_out(late, processes, dice, done)
            done.seconds = time.monotonic() - begun
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        _count(engine, ids, done)
    finally:
        engine.dispose()
    return done


def _hand_out(
    messages: list[str], processes: "list[subprocess.Popen[str]]", dice: random.Random, done: Deliveries
) -> None:
    queue = _Queue(messages, dice)
    with ThreadPoolExecutor(len(processes)) as pool:
        for handed_out in [pool.submit(_deliver, queue, process) for process in processes]:
            handed_out.result()
    done.deliveries += queue.given
    done.again += queue.again


def _insert(work: WorkRows, messages: int) -> list[str]:
    now = utc_now()
    ids = [f"job_{number:05d}" for number in range(messages)]
    for number, job_id in enumerate(ids):
        at = now + timedelta(microseconds=number)
        work.insert(TrainingJob(id=job_id, reason="a delivery", priority=number % 3, created_at=at))
    return ids


def _start(data_dir: Path, database_url: str, kind: str) -> "subprocess.Popen[str]":
    with (data_dir / "workers.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.deliveries.worker", str(data_dir), database_url, kind],
            cwd=PROJECT_DIR,
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"a worker did not start: {(data_dir / 'workers.log').read_text()[-2000:]}")
    return process


def _deliver(queue: _Queue, process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    while (message := queue.next()) is not None:
        process.stdin.write(f"{message}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if answer == "":
            raise RuntimeError("a worker died")
        for following in answer.split():
            queue.put_back(following)


def _count(engine: Engine, ids: list[str], done: Deliveries) -> None:
    with reading(engine) as session:
        made = Counter(session.exec(select(ModelVersion.job_id).where(col(ModelVersion.job_id).in_(ids))).all())
        rows = {row.id: row for row in session.exec(select(TrainingJob).where(col(TrainingJob.id).in_(ids))).all()}
        told = Counter(session.exec(select(JobLine.job_id).where(col(JobLine.message).startswith("registered "))).all())
    done.effects = sum(made.values())
    done.doubled = [f"{job_id}: {count} versions" for job_id, count in made.items() if count > 1]
    done.doubled += [f"{job_id}: ended {count} times" for job_id, count in told.items() if count > 1]
    done.missing = [job_id for job_id in ids if made[job_id] == 0]
    done.unended = [row.id for row in rows.values() if row.state != WorkState.SUCCEEDED]
