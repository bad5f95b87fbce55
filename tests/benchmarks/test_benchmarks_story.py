"""The story of a broken factory, three days in small; the whole one is `python -m benchmarks.story`."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

from benchmarks.story.__main__ import fails
from benchmarks.story.acting import Day, Script, Story
from benchmarks.story.drawing import chart
from benchmarks.story.telling import done, noticed, overview, phases, sentences, strongest, summary, table
from shared.database.tables import QualityCycle

SCRIPT = Script(kind="units", items=150, orders_a_day=140, steady_days=1, days_until_repair=1, days_after=1)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Day]]:
    story = Story(tmp_path_factory.mktemp("story"), SCRIPT)
    yield list(story.act())
    story.close()


def test_each_day_s_orders_are_read_and_judge_the_model_that_has_not_seen_them(days: list[Day]) -> None:
    phases_of = [("2026-07-01", "before"), ("2026-07-02", "during"), ("2026-07-03", "after")]
    assert [(day.day.isoformat(), day.phase) for day in days] == phases_of
    for day in days:
        assert day.cycle.state == "succeeded", day.cycle.error
        assert day.version == days[0].version
    assert (days[1].cycle.metrics or {})["quality"]["metadata"]["mode"] == "after the model's data"
    assert not days[0].alarms
    assert days[0].activated is None


def test_another_unit_stops_learning_until_a_person_states_it(days: list[Day]) -> None:
    _, during, after = days

    assert noticed(during) == ["ALARM UNIT_SUSPECTED AS90 60 x"]
    assert during.retraining["refused"].startswith(
        f"No job: a change of unit is suspected in AS90 (since {during.day})"
    )
    assert after.person == (
        f"profile: unit_changes [{{'since': '{during.day}', 'time_unit': 'minutes', 'operations': ['AS90']}}]"
    )
    assert noticed(after) == []
    assert done(after)[1:] == ["alert unit-suspected AS90 closed"]
    assert not any(day.jobs for day in days)
    assert after.figure("mae", "AS90")["value"] < during.figure("mae", "AS90")["value"] / 5


def test_a_story_is_told_in_numbers(days: list[Day]) -> None:
    told, lines = summary(days), table(days).splitlines()
    error = days[1].figure("trim_mae")

    assert told["false_alarms"] == 0
    assert told["phases"]["before"]["trim_mae"] == days[0].figure("trim_mae")
    assert lines[3].startswith("2026-07-02  during")
    assert f"{error['value']:.1f} ({error['low']:.1f} to {error['high']:.1f})" in lines[3]
    assert f"{error['high']:.1f}), n {error['n']}" in phases(days, ["AS90"])
    side_by_side = overview({"units": told, "again": told}).splitlines()
    assert side_by_side[2].split("  ")[-1] == "day 1: UNIT_SUSPECTED AS90 60 x"
    assert len(side_by_side) == 2 + 2 + 2 * 3
    assert ElementTree.fromstring(chart(days, "units")).tag.endswith("svg")


def test_an_alarm_and_what_it_led_to_are_told(days: list[Day]) -> None:
    finding = {
        "issue": "RISING_ERROR", "metric": "rise.mae", "evident": True, "message": "Errors are greater.",
        "value": 1.25, "threshold": 1.0, "log_evidence": 9.0, "limit": 6.0,
    }  # fmt: skip
    refused = {"metadata": {"retraining": {"asked": True, "refused": "No job: the queue is full."}}}
    cycle = QualityCycle(
        id="cycle", created_at=days[1].cycle.created_at, sample_size=10, strategy="random", seed=1,
        metrics={"quality": {"alerts": [finding]} | refused, "overall": {"trim_mae": {"value": 5.0, "n": 9}}},
    )  # fmt: skip
    day = Day(day=days[1].day, version="old", cycle=cycle, jobs=(), activated="new", phase="during")

    assert noticed(day) == ["ALARM RISING_ERROR 1.25 x"]
    assert done(day) == ["no job", "new serves"]
    assert sentences(day) == ["Errors are greater.", "No job: the queue is full."]
    assert strongest(day) == finding
    assert summary([days[0], day])["days_until_alarm"] == 1
    assert summary([days[0], day])["activated"] == "new"
    assert "alarm" in chart([days[0], day], "machines")


def test_a_story_fails_where_the_loop_did_not_help() -> None:
    better, same = {"value": -0.2, "low": -0.3, "high": -0.1}, {"value": 0.0, "low": -0.1, "high": 0.1}
    learned = {
        "false_alarms": 0,
        "activated": "new",
        "same_orders": {"trim_mae_change": better, "process_match_change": same},
    }
    settled = {"false_alarms": 0, "person": ["stated"], "alerts_closed": ["unit-suspected"], "quiet_after": True}

    assert not fails("machines", learned)
    assert fails("machines", learned | {"false_alarms": 1})
    assert fails("family", learned | {"activated": None, "same_orders": None})
    assert fails("family", learned | {"same_orders": {"trim_mae_change": same, "process_match_change": same}})
    assert not fails("units", settled)
    assert fails("units", settled | {"quiet_after": False})
    assert fails("units", settled | {"alerts_closed": []})
