"""Lost messages are rung again, unhandled ones are kept with their reason, and replay undoes a burial."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.azurite.service import Azurite
from shared.bootstrap import Services
from shared.clock import utc_now
from shared.database.tables import QualityCycle, Registration, RegistrationState, TrainingJob, WorkState
from shared.errors import InvalidInput
from shared.operations.sweep import RING_AFTER_SECONDS, STALE_AFTER
from shared.settings import Settings
from tests.databases import set_up

pytestmark = pytest.mark.azurite


@pytest.fixture
def services(tmp_path: Path, azurite: Azurite) -> Iterator[Services]:
    """An empty installation with real storage, whose queues are empty."""
    settings = Settings(data_dir=tmp_path, ROUTING_STORAGE_CONNECTION=azurite.connection_string)
    set_up(settings.database)
    made = Services(settings)
    for queue in (TrainingJob.QUEUE, QualityCycle.QUEUE, Registration.QUEUE, "extracts"):
        made.doorbells.ensure(queue)
        made.storage.queue(queue).clear_messages()
    yield made
    made.engine.dispose()


def _old_job(services: Services, job_id: str = "job-1") -> TrainingJob:
    long_ago = utc_now() - timedelta(seconds=RING_AFTER_SECONDS * 2)
    job = TrainingJob(id=job_id, reason="test", created_at=long_ago)
    assert services.work.insert(job)
    return job


def test_a_row_whose_message_was_lost_is_rung_for_once(services: Services) -> None:
    _old_job(services)
    assert services.sweep.run()["rung"] == 1
    assert services.doorbells.depth(TrainingJob.QUEUE) == 1
    assert services.sweep.run()["rung"] == 0  # it was rung just now
    assert services.doorbells.depth(TrainingJob.QUEUE) == 1


def test_a_dead_workers_row_is_rung_for(services: Services) -> None:
    _old_job(services)
    assert services.work.claim(TrainingJob, "job-1", worker="dead", lease_seconds=0.001) is not None
    assert services.sweep.run()["rung"] == 1


def test_a_live_workers_row_is_left_alone(services: Services) -> None:
    _old_job(services)
    assert services.work.claim(TrainingJob, "job-1", worker="alive", lease_seconds=60) is not None
    assert services.sweep.run()["rung"] == 0


def test_a_manifest_that_no_event_announced_is_noticed(services: Services) -> None:
    services.packages.ensure_container()
    container = services.storage.blobs.get_container_client("model-drop")
    container.upload_blob("unannounced/manifest.json", b"{}", overwrite=True)
    try:
        assert services.sweep.run()["noticed"] >= 1
        rows, _ = services.work.list(Registration)
        assert "unannounced" in {row.version for row in rows}
    finally:
        container.delete_blob("unannounced/manifest.json")


def test_forgotten_scratch_folders_go_and_fresh_ones_stay(services: Services) -> None:
    import os

    staging = services.settings.data_dir / "staging"
    for name, age in (("old", STALE_AFTER * 2), ("fresh", timedelta(0))):
        (staging / name).mkdir(parents=True)
        then = (utc_now() - age).timestamp()
        os.utime(staging / name, (then, then))
    assert services.sweep.run()["removed"] == 1
    assert sorted(entry.name for entry in staging.iterdir()) == ["fresh"]


def test_storage_being_away_stops_only_the_parts_that_need_it(tmp_path: Path) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;"
        "BlobEndpoint=http://127.0.0.1:9/none;QueueEndpoint=http://127.0.0.1:9/none;"
    )
    settings = Settings(data_dir=tmp_path, ROUTING_STORAGE_CONNECTION=nowhere)
    set_up(settings.database)
    services = Services(settings)
    _old_job(services)
    done = services.sweep.run()
    assert set(done) == {
        "made_up", "rung", "noticed", "removed", "mended", "tidied", "retired", "forgotten", "watched", "sealed", "told"
    }  # fmt: skip
    assert not any(done.values())
    assert services.work.get(TrainingJob, "job-1").rung_at is None  # so that the next round rings


def test_a_message_that_is_no_doorbell_is_kept_with_its_reason(services: Services) -> None:
    poison_id = services.burial.bury(TrainingJob.QUEUE, "not a job", message_id="m1")
    assert services.burial.bury(TrainingJob.QUEUE, "not a job", message_id="m1") == poison_id
    rows, total = services.poison_messages.list()
    assert total == 1
    assert "JSON" in rows[0].reason
    alerts, _ = services.alerts.list(kind="poison-message")
    assert [alert.subject for alert in alerts] == [TrainingJob.QUEUE]
    with pytest.raises(InvalidInput, match="never work"):
        services.burial.replay(poison_id, "operator")


def test_a_buried_job_is_failed_and_a_replay_puts_it_back_to_work(services: Services) -> None:
    _old_job(services)
    poison_id = services.burial.bury(TrainingJob.QUEUE, '{"id": "job-1"}', message_id="m2")
    assert services.work.get(TrainingJob, "job-1").state == WorkState.FAILED
    replayed = services.burial.replay(poison_id, "operator")
    assert replayed.replayed_by == "operator"
    assert services.work.get(TrainingJob, "job-1").state == WorkState.QUEUED
    assert services.doorbells.depth(TrainingJob.QUEUE) == 1


def test_a_buried_registration_is_rejected(services: Services) -> None:
    row = services.registrations.notice("some-version", b"{}")
    services.burial.bury(Registration.QUEUE, f'{{"id": "{row.id}"}}', message_id="m3")
    assert services.work.get(Registration, row.id).state == RegistrationState.REJECTED


def test_a_message_for_a_row_that_ended_changes_nothing(services: Services) -> None:
    _old_job(services)
    claim = services.work.claim(TrainingJob, "job-1", worker="w", lease_seconds=60)
    assert claim is not None
    services.work.finish(claim, WorkState.SUCCEEDED)
    services.burial.bury(TrainingJob.QUEUE, '{"id": "job-1"}', message_id="m4")
    assert services.work.get(TrainingJob, "job-1").state == WorkState.SUCCEEDED
