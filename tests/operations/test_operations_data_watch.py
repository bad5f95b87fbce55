"""Data that grew old or got much worse raises one alert, which closes by itself when the trouble is over."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.bootstrap import Services
from shared.database.data_quality import DataQualityRows
from shared.database.tables import Alert, Extract, SnapshotRow
from shared.operations.data_watch import DATA_QUALITY_DROP, LOOK_EVERY, SNAPSHOT_OLD
from shared.settings import Settings
from tests.database.database_support import MovableClock
from tests.databases import set_up

HOUR = 3600.0


class Watched:
    """An installation whose storage is nowhere, a clock that a test moves, and what the sweep does to its alerts."""

    def __init__(self, services: Services, clock: MovableClock) -> None:
        self.services = services
        self.clock = clock
        self.quality = DataQualityRows(services.engine, clock)

    def snapshot(self, *, profile: str = "demo", at: datetime | None = None) -> None:
        """Register a snapshot of this moment."""
        moment = at or self.clock()
        row = SnapshotRow(
            id=f"snap_{profile}_{moment:%d%H%M}", profile=profile, folder="x", fingerprint="f", data_as_of=moment,
            rows={}, created_at=self.clock(),
        )  # fmt: skip
        self.services.snapshot_rows.insert(row)

    def measure(self, *, rows: int = 1000, **shares: float) -> None:
        """Store the key figures of a snapshot taken an hour after the one before."""
        self.clock.advance(HOUR)
        document = {
            "schema_version": "test@1",
            "snapshot": f"snap_{self.clock():%d%H%M}",
            "profile": "demo",
            "data_as_of": self.clock().isoformat(),
            "fingerprint": "f",
            "figures": {"rows": {"items": rows}, "shares": shares},
        }
        self.quality.store(document)
        self.snapshot()

    def sweep(self) -> int:
        """Let a minute pass and sweep; return how many alerts of the data changed."""
        self.clock.advance(LOOK_EVERY.total_seconds())
        return self.services.sweep.watch.run()

    def alert(self, kind: str) -> Alert | None:
        """Return the alert that stands, if one does."""
        return self.services.alerts.standing(kind, "demo")

    def configure(self, **data: Any) -> None:
        """Change the live configuration."""
        self.services.configuration_store.patch({"data": data}, "anna")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;"
        "BlobEndpoint=http://127.0.0.1:9/none;QueueEndpoint=http://127.0.0.1:9/none;"
    )
    settings = Settings(data_dir=tmp_path, ROUTING_STORAGE_CONNECTION=nowhere)
    set_up(settings.database)
    clock = MovableClock()
    services = Services(settings, clock=clock)
    yield Watched(services, clock)
    services.engine.dispose()


# ------------------------------------------------------------------------------------------------------ old snapshots


def test_an_old_snapshot_raises_one_alert_until_a_fresh_one_exists(watched: Watched) -> None:
    watched.snapshot()
    watched.clock.advance(35 * HOUR)
    assert watched.sweep() == 0
    watched.clock.advance(1 * HOUR)
    assert watched.sweep() == 1
    alert = watched.alert(SNAPSHOT_OLD)
    assert alert is not None
    assert "demo" in alert.message
    assert alert.details is not None
    assert "data extract" in alert.details["remedy"]
    assert watched.sweep() == 0
    assert watched.alert(SNAPSHOT_OLD) == alert  # neither counted up nor written again
    watched.snapshot()
    assert watched.sweep() == 1
    assert watched.alert(SNAPSHOT_OLD) is None


def test_the_age_allowed_is_configuration(watched: Watched) -> None:
    watched.configure(maximum_age_hours=2)
    watched.snapshot()
    watched.clock.advance(2 * HOUR)
    assert watched.sweep() == 1
    watched.configure(maximum_age_hours=48)
    assert watched.sweep() == 1
    assert watched.alert(SNAPSHOT_OLD) is None


def test_another_profiles_snapshot_is_no_fresh_one(watched: Watched) -> None:
    watched.snapshot()
    watched.clock.advance(40 * HOUR)
    watched.snapshot(profile="adventureworks")
    assert watched.sweep() == 1


def test_a_new_installation_has_time_for_its_first_snapshot_from_when_it_was_asked_for(watched: Watched) -> None:
    watched.clock.advance(100 * HOUR)
    assert watched.sweep() == 0
    asked = Extract(id="e1", profile="demo", source="x", created_at=watched.clock())
    assert watched.services.work.insert(asked)
    watched.clock.advance(30 * HOUR)
    assert watched.sweep() == 0
    watched.clock.advance(10 * HOUR)
    assert watched.sweep() == 1
    alert = watched.alert(SNAPSHOT_OLD)
    assert alert is not None
    assert "no snapshot" in alert.message


def test_the_database_is_looked_at_once_a_minute(watched: Watched) -> None:
    watched.snapshot(at=watched.clock() - timedelta(hours=99))
    assert watched.sweep() == 1
    watched.services.alerts.close_matching(SNAPSHOT_OLD, "demo", "anna")
    assert watched.services.sweep.watch.run() == 0
    assert watched.sweep() == 1


def test_health_is_degraded_by_an_old_snapshot_and_says_what_to_do(watched: Watched) -> None:
    watched.snapshot()
    watched.clock.advance(40 * HOUR)
    part = watched.services.health.detail()["parts"]["data"]
    assert part["status"] == "degraded"
    assert part["data_as_of"] == (watched.clock() - timedelta(hours=40)).isoformat()
    assert part["data_age_seconds"] == 40 * HOUR
    assert "data extract" in part["remedy"]
    watched.snapshot()
    part = watched.services.health.detail()["parts"]["data"]
    assert (part["status"], part["data_age_seconds"]) == ("up", 0.0)


# ---------------------------------------------------------------------------------------------------------- bad data


def test_a_column_that_lost_its_values_is_named_until_it_recovers(watched: Watched) -> None:
    watched.measure(KIND=0.95, SIZE=0.80)
    assert watched.sweep() == 0
    watched.measure(KIND=0.94, SIZE=0.60)
    assert watched.sweep() == 1
    alert = watched.alert(DATA_QUALITY_DROP)
    assert alert is not None
    assert "SIZE (80 % before, 60 % now)" in alert.message
    assert "KIND" not in alert.message
    watched.measure(KIND=0.94, SIZE=0.61)  # no further fall, and still far below
    assert watched.sweep() == 1
    assert watched.alert(DATA_QUALITY_DROP) is not None
    watched.measure(KIND=0.94, SIZE=0.75)
    assert watched.sweep() == 1
    assert watched.alert(DATA_QUALITY_DROP) is None


def test_a_table_that_lost_its_rows_is_named(watched: Watched) -> None:
    watched.measure(rows=1000)
    watched.measure(rows=890)
    assert watched.sweep() == 1
    alert = watched.alert(DATA_QUALITY_DROP)
    assert alert is not None
    assert "rows of items (1,000 before, 890 now)" in alert.message


def test_falls_of_two_snapshots_stand_together_in_one_alert(watched: Watched) -> None:
    watched.measure(KIND=0.9, SIZE=0.9)
    watched.measure(KIND=0.9, SIZE=0.5)
    assert watched.sweep() == 1
    watched.measure(KIND=0.3, SIZE=0.5)
    assert watched.sweep() == 1
    alert = watched.alert(DATA_QUALITY_DROP)
    assert alert is not None
    assert alert.details is not None
    assert {entry["figure"] for entry in alert.details["fallen"]} == {"KIND", "SIZE"}
    assert alert.count == 2


def test_a_fall_that_a_person_closed_is_not_raised_again(watched: Watched) -> None:
    watched.measure(SIZE=0.9)
    watched.measure(SIZE=0.5)
    assert watched.sweep() == 1
    watched.services.alerts.close_matching(DATA_QUALITY_DROP, "demo", "anna")
    assert watched.sweep() == 0
    watched.measure(SIZE=0.5)
    assert watched.sweep() == 0


def test_the_fall_allowed_is_configuration_and_a_column_that_went_is_no_fall(watched: Watched) -> None:
    watched.configure(maximum_drop=0.5)
    watched.measure(SIZE=0.9, GONE=1.0)
    watched.measure(SIZE=0.5)
    assert watched.sweep() == 0
