"""A small factory of two items in CSV files, with a profile of its own, and everything an extract needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.database.engine import make_engine
from shared.database.work import WorkRows
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells
from tests.database.database_support import MovableClock
from tests.databases import set_up

PROFILE = """
name: tiny
items:
  table: items
  columns: {item_code: CODE}
  attributes:
    MATERIAL: {kind: categorical}
routings:
  table: routings
  time_unit: minutes
  run_time: per_unit
  columns: {item_code: CODE, sequence: SEQ, operation_code: OP, setup_minutes: SETUP, run_minutes_per_unit: RUN}
work_results:
  table: results
  time_unit: minutes
  columns: {item_code: CODE, operation_code: OP, reported_at: DAY, quantity: QTY, run_minutes: RUN}
"""


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "erp"
    folder.mkdir()
    (folder / "items.csv").write_text("CODE,MATERIAL\nA,steel\nB,brass\n")
    (folder / "routings.csv").write_text("CODE,SEQ,OP,SETUP,RUN\nA,10,CUT,5,1\nB,10,TURN,6,2\n")
    (folder / "results.csv").write_text("CODE,OP,DAY,QTY,RUN\nA,CUT,2026-01-05,10,11\n")
    return folder


@pytest.fixture
def settings(tmp_path: Path, source: Path) -> Settings:
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    return Settings(
        data_dir=tmp_path / "data", profile=str(tmp_path / "tiny.yaml"), source=str(source), lease_seconds=4,
        heartbeat_seconds=0.2,
    )  # fmt: skip


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    set_up(settings.database)
    engine = make_engine(settings.database)
    yield engine
    engine.dispose()


@pytest.fixture
def work(engine: Engine, clock: MovableClock) -> WorkRows:
    return WorkRows(engine, clock=clock)


@pytest.fixture
def unreachable() -> Doorbells:
    """Doorbells of a storage service that nobody runs."""
    from shared.platform import free_ports

    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}/nobody"
    return Doorbells(Storage(f"AccountName=nobody;AccountKey=bm9ib2R5;BlobEndpoint={address};QueueEndpoint={address}"))


@pytest.fixture
def snapshots(
    settings: Settings, engine: Engine, work: WorkRows, unreachable: Doorbells, clock: MovableClock
) -> Snapshots:
    return Snapshots(settings, engine, work, unreachable, clock)
