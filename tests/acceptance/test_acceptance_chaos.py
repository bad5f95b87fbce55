"""Everything killed at its worst moments: the next start goes on, loses nothing and does nothing twice."""

import contextlib
import shutil
import time
from dataclasses import dataclass, field

import httpx
import pytest
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from tests.acceptance import acceptance_chaos_support as chaos
from tests.acceptance.acceptance_support import RunningInstance, eventually
from tests.acceptance.conftest import ITEMS, InstanceOf

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

KILLED_AT = ("reading the factory's data", "learning the minutes", "activating the model")


@dataclass
class Story:
    """One instance's life under three deaths, told once for all tests, in whatever order they look at it."""

    instance: RunningInstance
    states: list[str]
    events: list[str]
    readings: int
    faults: list[str]
    answered: int
    five_times: dict[str, object]
    works: list[chaos.Work] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    answered_for_inference: int = 0
    left_by_the_supervisor: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(instance_of: InstanceOf) -> Story:
    """A first start killed at three of its steps and then let finish; a message sent five times; and the two roles."""
    instance = instance_of("killed", items=ITEMS)
    for step in KILLED_AT:
        chaos.launch(instance)
        _await_line(instance, step)
        instance.kill_everything()
    instance.up()
    story = Story(
        instance=instance,
        states=[row["state"] for row in chaos.query(instance, "SELECT state FROM model_versions")],
        events=[row["to_state"] for row in chaos.query(instance, "SELECT to_state FROM model_events ORDER BY id")],
        readings=len(chaos.query(instance, "SELECT id FROM extracts WHERE state = 'succeeded'")),
        faults=[*chaos.doubled(instance), *chaos.astray(instance)],
        answered=_ask(instance),
        five_times=_ring_five_times(instance),
    )
    story.left_by_the_supervisor = _left_by_the_supervisor(instance)
    instance.kill_everything()
    _split_roles(story)
    return story


def _ask(instance: RunningInstance) -> int:
    return instance.predict(instance.get("items?limit=1")["items"][0]["item_code"]).status_code


def _ring_five_times(instance: RunningInstance) -> dict[str, object]:
    cycle = chaos.begin_cycle(instance)[0]
    with QueueClient.from_connection_string(
        chaos.connection_string(instance), "quality-cycles", message_encode_policy=TextBase64EncodePolicy()
    ) as queue:
        for _ in range(5):
            queue.send_message(f'{{"id": "{cycle[1]}"}}')
        eventually(lambda: queue.get_queue_properties().approximate_message_count == 0, 60)
    return _await_end(instance, cycle)


def _left_by_the_supervisor(instance: RunningInstance) -> list[int]:
    """Kill it alone, and return which processes are still there six seconds later."""
    assert instance.process is not None
    instance.process.kill()
    instance.process.wait(10)
    with contextlib.suppress(AssertionError):
        instance.wait_gone(seconds=6)
    return instance.members()


def _split_roles(story: Story) -> None:
    """Work asked for under one role, everything killed, storage's data deleted, and started under the other role."""
    instance = story.instance
    instance.options = ("--role", "inference")
    instance.up()
    story.works = [*chaos.begin_cycle(instance), *chaos.begin_extract(instance)]
    time.sleep(3)  # longer than a queue is polled
    story.queued = [row["state"] for work in story.works if (row := chaos.work_row(instance, work))]
    story.answered_for_inference = _ask(instance)
    instance.kill_everything()
    for path in chaos.rubbish(instance):
        chaos.make_old(path)
    shutil.rmtree(instance.data_dir / "azurite")
    instance.options = ("--role", "training")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ROUTING_SWEEP_SCHEDULE", "*/5 * * * * *")
        chaos.launch(instance)


def test_a_first_start_killed_at_three_steps_goes_on_where_it_stopped(story: Story) -> None:
    assert story.states == ["active"]
    assert story.events == ["pending", "active"]
    assert story.readings == 1
    assert story.faults == []
    assert story.answered == 200


def test_a_message_that_comes_five_times_does_its_work_once(story: Story) -> None:
    assert (story.five_times["state"], story.five_times["attempt"]) == ("succeeded", 1)


def test_a_supervisor_killed_alone_takes_everything_with_it(story: Story) -> None:
    assert story.left_by_the_supervisor == []


def test_the_inference_role_answers_and_leaves_background_work_alone(story: Story) -> None:
    assert story.answered_for_inference == 200
    assert story.queued == ["queued", "queued"]


def test_work_whose_messages_are_gone_is_done_once_by_the_training_role(story: Story) -> None:
    instance = story.instance
    for work in story.works:
        row = _await_end(instance, work)
        assert (row["state"], row["attempt"]) == ("succeeded", 1), row
    assert chaos.unended(instance) == []
    assert chaos.doubled(instance) == []
    assert httpx.get(f"{instance.address}/api/health/live", timeout=5).status_code == 404


def test_nothing_is_left_lying_about(story: Story) -> None:
    for work in story.works:
        _await_end(story.instance, work)
    eventually(lambda: chaos.rubbish(story.instance) == [], 90)


def _await_line(instance: RunningInstance, text: str) -> None:
    eventually(lambda: any(text in line for line in instance.lines()), 180)


def _await_end(instance: RunningInstance, work: chaos.Work) -> dict[str, object]:
    def ended() -> dict[str, object] | None:
        row = chaos.work_row(instance, work)
        return dict(row) if row is not None and row["state"] in chaos.FINAL_STATES[work[0]] else None

    row: dict[str, object] = eventually(ended, 120)
    return row
