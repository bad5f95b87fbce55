"""Extracts of a real database: only what changed, the whole on request, and a server that dies in the middle."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from shared.database.alerts import Alerts
from shared.database.data_quality import DataQualityRows
from shared.database.tables import AlertState, Extract, WorkState
from shared.database.work import WorkRows
from shared.erp.extract import extract
from shared.erp.mirror.store import TableStore
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import OdbcLocation
from shared.errors import SourceError, SourceUnavailable
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.doorbells import Doorbells
from tests.database.database_support import MovableClock
from tests.postgresql import PostgreSql, missing_for_postgresql, running_postgresql

CHANGES = "changes: {changed_at: CHANGED, key: ID}"
ROWS = 600
TABLES = f"""
CREATE TABLE "items" ("ID" int PRIMARY KEY, "CODE" text, "MATERIAL" text, "CHANGED" timestamp);
CREATE TABLE "routings" ("ID" int PRIMARY KEY, "CODE" text, "SEQ" int, "OP" text, "SETUP" numeric(9,3),
                         "RUN" numeric(9,3), "CHANGED" timestamp);
CREATE TABLE "results" ("ID" int PRIMARY KEY, "CODE" text, "OP" text, "DAY" date, "QTY" int, "RUN" numeric(9,3),
                        "CHANGED" timestamp);
INSERT INTO "items" SELECT n, 'I' || n, 'steel', timestamp '2025-01-01' + n * interval '6 hours'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO "routings" SELECT n, 'I' || n, 10, 'CUT', 5, 1.5, timestamp '2025-01-01' + n * interval '6 hours'
  FROM generate_series(1, {ROWS}) n;
INSERT INTO "results" SELECT n, 'I' || n, 'CUT', date '2025-02-01', 4, 6.25, timestamp '2025-01-01' + n * interval '6h'
  FROM generate_series(1, {ROWS}) n;
"""

Service = Callable[[PostgreSql], Snapshots]


@pytest.fixture
def database(postgresql: PostgreSql) -> PostgreSql:
    """A database with the three tables."""
    return _filled(postgresql.new_database())


def _filled(database: PostgreSql) -> PostgreSql:
    with database.connect() as session:
        session.execute(TABLES)
    return database


@pytest.fixture
def service(settings: Settings, engine: Engine, work: WorkRows, unreachable: Doorbells, clock: MovableClock) -> Service:
    """Services whose ERP is a database, with the profile of the folder's tables and their changes."""
    path = Path(settings.profile)
    text = path.read_text()
    for table in ("items", "routings", "results"):
        text = text.replace(f"  table: {table}\n", f"  table: {table}\n  {CHANGES}\n")
    path.write_text(text + "source: {odbc: {attempts: 1}}\n")

    def made(database: PostgreSql) -> Snapshots:
        changed = {"source": "", "erp_connection": SecretStr(database.odbc)}
        return Snapshots(settings.model_copy(update=changed), engine, work, unreachable, clock)

    return made


def _reads(work: WorkRows) -> dict[str, tuple[str, int]]:
    """Return how and how many rows the newest extract read of each table."""
    newest = work.list(Extract, limit=1)[0][0]
    return {table: (read["mode"], read["rows"] + read["keys"]) for table, read in (newest.reads or {}).items()}


def test_second_extract_reads_what_changed_and_equals_a_full_one(
    service: Service, database: PostgreSql, settings: Settings, engine: Engine, work: WorkRows, clock: MovableClock
) -> None:
    """Rows inserted, updated and deleted; the row of the extract says what was read."""
    snapshots = service(database)
    first = snapshots.take_now(reason="first")
    assert _reads(work) == dict.fromkeys(first.rows, ("full", ROWS))
    with database.connect() as session:
        session.execute("""UPDATE "items" SET "MATERIAL" = 'brass', "CHANGED" = '2025-12-01' WHERE "ID" = 3""")
        session.execute("""INSERT INTO "routings" VALUES (9000, 'I3', 20, 'MILL', 1, 2, '2025-12-01')""")
        session.execute("""DELETE FROM "results" WHERE "ID" = 7""")
    clock.advance(60)
    second = snapshots.take_now(reason="second")
    assert _reads(work) == {
        "items": ("incremental", 5 + 1), "routings": ("incremental", 5 + 1), "work_results": ("incremental", 5 + 599)
    }  # fmt: skip
    clock.advance(60)
    full = snapshots.take_now(reason="third", full=True)
    assert _reads(work) == {table: ("full", rows) for table, rows in full.rows.items()}
    location = OdbcLocation(SecretStr(database.odbc))
    without = extract(load_profile(settings.profile), location, settings.data_dir / "other", now=clock())
    assert first.fingerprint != second.fingerprint == full.fingerprint == without.fingerprint
    assert {row.snapshot_id for row in DataQualityRows(engine).history("tiny", limit=9)} == {
        snapshot.id for snapshot in (first, second, full)
    }


def test_request_for_a_full_reading_is_carried_by_its_row(
    service: Service, database: PostgreSql, work: WorkRows, clock: MovableClock
) -> None:
    """The worker that runs it is another than the one that was asked."""
    service(database).take_now(reason="first")
    clock.advance(60)
    row = service(database).start(None, "the view was changed", full=True)
    assert row is not None
    done = service(database).run(row.id)
    assert done is not None
    assert done.state == WorkState.SUCCEEDED
    assert {mode for mode, _rows in _reads(work).values()} == {"full"}


def test_row_is_run_with_the_workers_own_secret(
    service: Service, database: PostgreSql, engine: Engine, clock: MovableClock
) -> None:
    """Whoever asked under another user or password is served; another database is not read in its stead."""
    row = service(replace(database, user="somebody", password="outdated")).start(None, "asked elsewhere")
    assert row is not None
    assert database.password not in row.source
    done = service(database).run(row.id)
    assert done is not None
    assert done.state == WorkState.SUCCEEDED
    clock.advance(60)
    row = service(replace(database, database="another")).start(None, "asked for another database")
    assert row is not None
    refused = service(database).run(row.id)
    assert refused is not None
    assert refused.state == WorkState.FAILED
    assert "database=another" in (refused.error or "")
    (alert,), _total = Alerts(engine).list(state=AlertState.OPEN)
    assert alert.kind == "extract-failed"


def test_server_that_is_killed_in_the_middle_leaves_the_last_good_extract(
    service: Service, engine: Engine, work: WorkRows, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` while rows are fetched: an alert at once, another attempt in a minute, and the old data in use."""
    missing = missing_for_postgresql()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    with running_postgresql() as server:
        _filled(server)
        good = service(server).take_now(reason="good")
        _kill_after_the_first_table(monkeypatch, server.process_id)
        clock.advance(60)
        row = service(server).start(None, "the server dies")
        assert row is not None
        waiting = service(server).run(row.id)
    assert waiting is not None
    assert waiting.state == WorkState.QUEUED
    assert service(server).current().id == good.id
    (alert,), _total = Alerts(engine).list(state=AlertState.OPEN)
    assert (alert.kind, "next in 1 min" in alert.message) == ("extract-failed", True)
    assert work.claim(Extract, row.id, worker="early", lease_seconds=60) is None
    clock.advance(61)
    with pytest.raises(SourceUnavailable):
        service(server).take_now(reason="somebody waits")
    again = service(server).run(row.id)
    assert again is not None
    assert (again.state, again.attempt) == (WorkState.QUEUED, 2)


def _kill_after_the_first_table(monkeypatch: pytest.MonkeyPatch, process_id: int) -> None:
    write = TableStore.write

    def killing(self: TableStore, rows: Any) -> Any:
        os.kill(process_id, signal.SIGKILL)
        monkeypatch.setattr(TableStore, "write", write)
        return write(self, rows)

    monkeypatch.setattr(TableStore, "write", killing)


def test_database_that_never_answers_is_given_up_and_a_later_success_closes_the_alert(
    service: Service, database: PostgreSql, engine: Engine, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five attempts over fifty minutes, one alert that counts them."""

    def away(*_arguments: Any, **_words: Any) -> None:
        raise SourceUnavailable("The database does not answer.", remedy="Start it.")

    snapshots = service(database)
    row = snapshots.start(None, "schedule")
    assert row is not None
    with monkeypatch.context() as patch:
        patch.setattr("shared.snapshots.service.extract", away)
        waited = 0
        while (done := snapshots.run(row.id)) is None or done.state == WorkState.QUEUED:
            clock.advance(60)
            waited += 1
            assert waited < 100
    assert (done.state, done.attempt) == (WorkState.FAILED, 5)
    assert waited == 1 + 5 + 15 + 30
    (alert,), _total = Alerts(engine).list(state=AlertState.OPEN)
    assert alert.count == 5
    snapshots.take_now(reason="it is back")
    assert Alerts(engine).count_open() == 0


def test_quality_that_cannot_be_told_fails_no_extract(
    snapshots: Snapshots, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot is in use; its row of data quality is missing."""

    def broken(_snapshot: Any) -> dict[str, Any]:
        raise ZeroDivisionError

    monkeypatch.setattr("shared.snapshots.service.summarise", broken)
    taken = snapshots.take_now(reason="first")
    assert snapshots.current().id == taken.id
    assert DataQualityRows(engine).find(taken.id) is None


def test_mirror_names_no_secret(service: Service, database: PostgreSql, settings: Settings) -> None:
    """Neither in the names of its files nor in its documents."""
    service(database).take_now(reason="first")
    names = [str(path.relative_to(settings.mirrors)) for path in settings.mirrors.rglob("*")]
    documents = [json.loads(path.read_text()) for path in settings.mirrors.rglob("mirror.json")]
    assert len(documents) == 3
    assert database.password not in str(names) + str(documents)


def test_broken_profile_is_the_askers_source_error(service: Service, database: PostgreSql, settings: Settings) -> None:
    """A key that the table lacks is said with its field; the alert names the extract."""
    path = Path(settings.profile)
    path.write_text(path.read_text().replace("key: ID", "key: NUMBER"))
    with pytest.raises(SourceError, match=r"changes\.key"):
        service(database).take_now(reason="first")
