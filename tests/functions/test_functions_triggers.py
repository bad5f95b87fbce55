"""Slots of timer firings, and what queue functions make of their messages."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from azure.functions.timer import TimerRequest

from functions.triggers import due_slot
from shared.bootstrap import Services
from shared.clock import utc_now
from shared.database.tables import Extract, QualityCycle, TrainingJob, WorkColumns
from shared.errors import MalformedRequest
from shared.storage.doorbells import message_text, parse_doorbell

PROJECT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 2, 0, 1, tzinfo=UTC)


def _timer(next_due: str | None, *, past_due: bool = False) -> TimerRequest:
    status = {"Last": "2026-02-28T02:00:00+00:00", "Next": next_due, "LastUpdated": ""} if next_due else None
    return TimerRequest(past_due=past_due, schedule_status=status, schedule={})


def test_a_firing_on_time_stands_for_its_scheduled_time() -> None:
    assert due_slot(_timer("2026-03-01T02:00:00+00:00"), now=NOW) == "2026-03-01T02:00:00+00:00"


def test_a_late_firing_stands_for_the_time_it_missed() -> None:
    late = NOW + timedelta(hours=7)
    assert due_slot(_timer("2026-03-01T02:00:00+00:00", past_due=True), now=late) == "2026-03-01T02:00:00+00:00"


def test_a_firing_by_hand_has_no_slot() -> None:
    assert due_slot(_timer("2026-03-02T02:00:00+00:00"), now=NOW) is None
    assert due_slot(_timer(None), now=NOW) is None


def test_the_same_moment_in_another_zone_is_the_same_slot() -> None:
    assert due_slot(_timer("2026-03-01T11:00:00+09:00"), now=NOW) == "2026-03-01T02:00:00+00:00"


@pytest.mark.parametrize(("table", "start"), [(Extract, "start_extract"), (QualityCycle, "start_quality_cycle")])
def test_a_doubled_firing_inserts_one_row(services: Services, table: type[WorkColumns], start: str) -> None:
    import functions.data
    import functions.quality

    module = functions.data if table is Extract else functions.quality
    fire = _user_function(module, start)
    due = utc_now().replace(microsecond=0).isoformat()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "current_services", lambda: services)
        for _ in range(3):
            fire(_timer(due))
    assert services.work.list(table)[1] == 1


def test_a_schedule_that_finds_the_queue_full_is_no_error(services: Services) -> None:
    import functions.training

    fire = _user_function(functions.training, "start_training")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions.training, "current_services", lambda: services)
        for hour in range(6):
            fire(_timer((utc_now() - timedelta(hours=hour)).isoformat()))
    rows = services.work.list(TrainingJob)[0]
    assert [row.state for row in rows].count("queued") == 1
    assert {row.state for row in rows} == {"queued", "skipped"}
    assert all("already queued" in row.reason for row in rows if row.state == "skipped")


@pytest.mark.parametrize(
    "body", ["", "x", "[]", "{}", '{"id": 3}', '{"id": ""}', "[" * 5000, '{"id": "' + "y" * 500 + '"}']
)
def test_a_message_that_is_no_doorbell_is_refused_with_a_reason(body: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_doorbell(body)


def _user_function(module: ModuleType, name: str) -> Callable[[TimerRequest], None]:
    for builder in module.blueprint._function_builders:
        if builder._function.get_user_function().__name__ == name:
            return cast(Callable[[TimerRequest], None], builder._function.get_user_function())
    raise LookupError(name)


def test_a_message_is_read_in_base64_and_in_plain_text() -> None:
    """SDK clients send plain text unless told otherwise; both forms reach the function."""
    assert parse_doorbell(message_text(b'{"id": "job_1"}')) == "job_1"
    assert parse_doorbell(message_text(base64.b64encode(b'{"id": "job_1"}'))) == "job_1"
    assert message_text(b"not a job") == "not a job"
    assert message_text(b"\xff\xfe")  # unreadable bytes are shown, not raised


def test_the_host_hands_over_messages_that_are_not_base64() -> None:
    """Else they would go to the poison queue unread, and from there to nobody."""
    host = json.loads((PROJECT / "host.json").read_text(encoding="utf-8"))
    assert host["extensions"]["queues"]["messageEncoding"] == "none"
