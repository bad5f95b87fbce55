"""Lets processes change versions at once, kills them at random moments, and counts the active versions meanwhile."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Engine, text
from sqlmodel import select

from benchmarks.activations.worker import add_version
from shared.database.engine import make_engine, reading
from shared.database.models import PINNED, TRANSITIONS, UNPINNED, ModelVersions
from shared.database.tables import ModelEvent, ModelVersion, VersionState
from shared.settings import PROJECT_DIR

_LOOK_SECONDS = 0.002


@dataclass
class Changes:
    """What a play did and saw."""

    calls: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    looks: int = 0
    wrong_looks: list[int] = field(default_factory=list)  # numbers of active versions seen that were not one
    faults: list[str] = field(default_factory=list)  # in the history afterwards
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether there was one active version at every look, and the history tells of nothing else."""
        return not self.wrong_looks and not self.faults

    def __str__(self) -> str:
        """Say it in one line."""
        outcomes = ", ".join(f"{what} {count}" for what, count in sorted(self.calls.items()))
        seen = f"{self.looks} looks, {len(self.wrong_looks)} with no or several active versions"
        wrong = f"{len(self.faults)} faults in the history {self.faults[:3]}"
        return (
            f"{sum(self.calls.values())} calls ({outcomes}); {self.kills} kills; {seen}; {wrong}; {self.seconds:.0f} s"
        )


def play(url: str, *, calls: int, workers: int = 4, seed: int = 42, kill_every: float = 100.0) -> Changes:
    """Change versions `calls` times in all from `workers` processes on the migrated database of `url`, and judge.

    One of the processes is killed after every `kill_every` calls on average, at any moment of what it does then.
    """
    engine, changes, dice = make_engine(url), Changes(), random.Random(seed)
    try:
        versions = ModelVersions(engine)
        for number in range(4):
            add_version(versions, f"v{number}")
        versions.transition("v0", VersionState.ACTIVE, actor="benchmark", reason="the first")
        over = threading.Event()
        looking = threading.Thread(target=_look, args=(engine, changes, over))
        began = time.monotonic()
        looking.start()
        try:
            _let_them(url, changes, calls, workers, dice, kill_every)
        finally:
            over.set()
            looking.join()
        changes.seconds = time.monotonic() - began
        changes.faults = faults_of_history(engine)
    finally:
        engine.dispose()
    return changes


def _let_them(url: str, changes: Changes, calls: int, workers: int, dice: random.Random, kill_every: float) -> None:
    lock, seeds = threading.Lock(), iter(range(1, 1_000_000))
    running: dict[int, subprocess.Popen[str]] = {}

    def keep_one(place: int) -> None:
        while sum(changes.calls.values()) < calls:
            with lock:
                process = _start(url, next(seeds))
            assert process.stdout is not None
            for line in process.stdout:
                with lock:
                    changes.calls[line.strip()] += 1
                    running[place] = process  # at work, and not still starting: it may be killed
                if sum(changes.calls.values()) >= calls:
                    break
            process.kill()
            process.wait()
            process.stdout.close()
            with lock:
                running.pop(place, None)

    threads = [threading.Thread(target=keep_one, args=(place,)) for place in range(workers)]
    for thread in threads:
        thread.start()
    next_kill = dice.expovariate(1 / kill_every)
    while any(thread.is_alive() for thread in threads):
        time.sleep(dice.random() / 100)
        if sum(changes.calls.values()) < next_kill:
            continue
        next_kill += dice.expovariate(1 / kill_every)
        with lock:
            if running and sum(changes.calls.values()) < calls:
                running.pop(dice.choice(list(running))).kill()
                changes.kills += 1
    for thread in threads:
        thread.join()


def _start(url: str, seed: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.activations.worker", url, str(seed), "1000000"],
        cwd=PROJECT_DIR, env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _look(engine: Engine, changes: Changes, over: threading.Event) -> None:
    counting = text("SELECT COUNT(*) FROM model_versions WHERE state = 'active'")
    while not over.wait(_LOOK_SECONDS):
        with engine.connect() as connection:
            found = int(connection.execute(counting).scalar_one())
        changes.looks += 1
        if found != 1:
            changes.wrong_looks.append(found)


def faults_of_history(engine: Engine) -> list[str]:
    """Play the events again in their order and return where they or the rows break a rule."""
    with reading(engine) as session:
        events = session.exec(select(ModelEvent).order_by(ModelEvent.id)).all()  # type: ignore[arg-type]
        rows = {row.version: row for row in session.exec(select(ModelVersion)).all()}
    states: dict[str, str | None] = {}
    faults = []
    for event in events:
        before = states.get(event.version)
        if event.from_state != before:
            faults.append(f"event {event.id}: {event.version} was {before}, not {event.from_state}")
        if event.to_state in (PINNED, UNPINNED):
            continue
        if before is not None and not _allowed(before, event.to_state):
            faults.append(f"event {event.id}: {before} to {event.to_state}")
        states[event.version] = event.to_state
        active = [version for version, state in states.items() if state == VersionState.ACTIVE]
        if len(active) > 1:
            faults.append(f"event {event.id}: {active} are active at once")
    faults += [f"{name} is {row.state}, its events say {states.get(name)}" for name, row in rows.items()
               if states.get(name) != row.state]  # fmt: skip
    return faults


def _allowed(before: str, after: str) -> bool:
    return after in TRANSITIONS[before] or (before, after) == (VersionState.ACTIVE, VersionState.RETIRED)
