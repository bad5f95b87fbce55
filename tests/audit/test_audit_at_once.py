"""Many processes add to one chain at once: no gap, no fork, no deadlock, on SQLite and on PostgreSQL."""

import multiprocessing
import random
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import col, select

from shared.audit.recording import note
from shared.clock import utc_now
from shared.database.audit import Audit
from shared.database.engine import make_engine, writing
from shared.database.tables import Alert
from tests.databases import set_up
from tests.postgresql import PostgreSql

PROCESSES, CHANGES, ROWS = 4, 30, 3


def _alert(name: str) -> Alert:
    return Alert(id=name, kind="k", subject=name, message="m", created_at=utc_now(), updated_at=utc_now())


def _change_rows(engine: Engine, dice: random.Random) -> None:
    """Note first, then lock a row: with the chain taken at the note, two of these would wait for each other."""
    with writing(engine) as session:
        note(session, "thing.changed", "before")
        name = f"alert{dice.randrange(ROWS)}"
        row = session.exec(select(Alert).where(col(Alert.id) == name).with_for_update()).one()
        row.count += 1
        session.add(row)
        session.flush()
        note(session, "thing.changed", name, after={"count": row.count})


def _run(url: str, keys: Path, seed: int) -> None:
    engine = make_engine(url)
    Audit(engine, keys).follow()
    dice = random.Random(seed)
    for _ in range(CHANGES):
        _change_rows(engine, dice)
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_change_things_at_once_make_one_chain(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    if kind == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.new_database().url
    set_up(url)
    engine = make_engine(url)
    with writing(engine) as session:
        session.add_all(_alert(f"alert{number}") for number in range(ROWS))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_run, args=(url, tmp_path / "keys", seed)) for seed in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    audit = Audit(engine, tmp_path / "keys")
    verdict = audit.verify()
    assert verdict.ok, verdict.findings
    assert (verdict.events, verdict.unsealed) == (PROCESSES * CHANGES * 2, 0)
    engine.dispose()
