"""Data quality rows: one a snapshot, kept when the snapshot is gone, their history newest first and bounded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.database import data_quality
from shared.database.data_quality import DataQualityRows
from shared.database.engine import make_engine
from shared.database.snapshots import SnapshotRows
from shared.database.tables import Extract
from shared.database.work import WorkRows
from tests.database.database_support import MovableClock
from tests.databases import set_up
from tests.postgresql import PostgreSql

FIRST = datetime(2026, 2, 1, 1, 0, tzinfo=UTC)


@pytest.fixture
def rows(engine: Engine, clock: MovableClock) -> DataQualityRows:
    return DataQualityRows(engine, clock)


def a_document(number: int, *, profile: str = "demo", share: float = 0.5) -> dict[str, Any]:
    return {
        "schema_version": "test@1",
        "snapshot": f"snap_{profile}_{number}",
        "profile": profile,
        "data_as_of": (FIRST + timedelta(days=number)).isoformat(),
        "fingerprint": "f" * 64,
        "figures": {"items": 10 + number, "shares": {"KIND": share}},
        "findings": ["a Ø of 0"],
    }


def test_a_stored_document_is_found_word_for_word(rows: DataQualityRows, clock: MovableClock) -> None:
    rows.store(a_document(1))
    row = rows.find("snap_demo_1")
    assert row is not None
    assert row.document == a_document(1)
    assert (row.data_as_of, row.created_at) == (FIRST + timedelta(days=1), clock())
    assert rows.find("snap_demo_2") is None


def test_storing_a_snapshot_again_replaces_it(rows: DataQualityRows) -> None:
    rows.store(a_document(1, share=0.5))
    rows.store(a_document(1, share=0.7))
    assert [entry.figures["shares"] for entry in rows.history("demo", limit=9)] == [{"KIND": 0.7}]


def test_the_history_is_one_profiles_newest_first_and_ends_where_asked(rows: DataQualityRows) -> None:
    for number in (2, 1, 3):
        rows.store(a_document(number))
    rows.store(a_document(9, profile="other"))
    assert [entry.figures["items"] for entry in rows.history("demo", limit=2)] == [13, 12]
    assert [entry.figures["items"] for entry in rows.history("demo", limit=9, until=FIRST + timedelta(days=2))] == [
        12,
        11,
    ]
    assert rows.history("nobody's", limit=9) == []


def test_the_oldest_go_when_a_profile_has_too_many(rows: DataQualityRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_quality, "KEPT", 3)
    rows.store(a_document(0, profile="other"))
    for number in range(5):
        rows.store(a_document(number))
    assert [entry.snapshot_id for entry in rows.history("demo", limit=9)] == [
        "snap_demo_4",
        "snap_demo_3",
        "snap_demo_2",
    ]
    assert rows.find("snap_other_0") is not None


def test_a_server_keeps_them_too(postgresql: PostgreSql, clock: MovableClock) -> None:
    """PostgreSQL: migrated, replaced, listed, and the moment of the first extract found."""
    server = postgresql.new_database()
    url = server.url
    set_up(url)
    engine = make_engine(url)
    rows = DataQualityRows(engine, clock)
    for share in (0.5, 0.7):
        rows.store(a_document(1, share=share))
    rows.store(a_document(2))
    assert [entry.figures["shares"]["KIND"] for entry in rows.history("demo", limit=9)] == [0.5, 0.7]
    stored = rows.find("snap_demo_1")
    assert stored is not None
    assert stored.document == a_document(1, share=0.7)
    assert SnapshotRows(engine, clock).first_asked_for("demo") is None
    WorkRows(engine, clock=clock).insert(Extract(id="e1", profile="demo", source="x", created_at=clock()))
    assert SnapshotRows(engine, clock).first_asked_for("demo") == clock()
    engine.dispose()
