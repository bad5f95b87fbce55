"""The story of a broken factory, its first two days in small; the whole one is `python -m benchmarks.story`."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from benchmarks.story.acting import Day, Script, Story
from benchmarks.story.telling import chart, events, strongest, summary, table
from shared.database.tables import QualityCycle

SCRIPT = Script(kind="machines", items=150, orders_a_day=140, steady_days=1, most_broken_days=1)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Day]]:
    with threadpool_limits(1, user_api="blas"):
        story = Story(tmp_path_factory.mktemp("story"), SCRIPT)
        yield list(story.act())
        story.close()


def test_each_day_s_orders_are_read_and_judge_the_model_that_has_not_seen_them(days: list[Day]) -> None:
    assert [(day.day.isoformat(), day.broken) for day in days] == [("2026-07-01", False), ("2026-07-02", True)]
    for day in days:
        assert day.cycle.state == "succeeded", day.cycle.error
        assert day.version == days[0].version
    assert (days[1].cycle.metrics or {})["quality"]["metadata"]["mode"] == "after the model's data"
    assert not days[0].alarms
    assert days[0].activated is None


def test_a_story_is_told_in_numbers(days: list[Day]) -> None:
    told, lines = summary(days), table(days).splitlines()

    assert told["false_alarms"] == 0
    assert told["trim_mae"]["steady"] == pytest.approx(days[0].figure("trim_mae")["value"])
    assert len(lines) == 2 + len(days)
    assert f"{days[1].figure('trim_mae')['value']:.1f} min" in lines[-1]
    assert ElementTree.fromstring(chart(days, "machines")).tag.endswith("svg")


def test_an_alarm_and_what_it_led_to_are_told(days: list[Day]) -> None:
    finding = {
        "issue": "RISING_ERROR", "evident": True, "message": "Errors are greater.", "log_evidence": 9.0, "limit": 6.0,
    }  # fmt: skip
    cycle = QualityCycle(
        id="cycle", created_at=days[1].cycle.created_at, sample_size=10, strategy="random", seed=1,
        metrics={"quality": {"alerts": [finding]}, "overall": {"trim_mae": {"value": 5.0, "n": 9}}},
    )  # fmt: skip
    day = Day(day=days[1].day, version="old", cycle=cycle, jobs=(), activated="new", broken=True)

    assert events(day) == ["ALARM: Errors are greater.", "new serves"]
    assert strongest(day) == (9.0, 6.0)
    assert summary([days[0], day])["days_until_alarm"] == 1
    assert summary([days[0], day])["activated"] == "new"
    assert "alarm" in chart([days[0], day], "machines")
