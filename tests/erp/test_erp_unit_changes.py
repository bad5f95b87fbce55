"""Reports in another time unit from a day on, as a profile says it: read right, bounded, and mistakes named."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.erp.check.checking import check_profile
from shared.erp.profiles.model import load_profile, parse_profile
from shared.erp.profiles.unit_changes import confirmed
from shared.erp.sources.location import FolderLocation
from shared.erp.units import TimeUnit
from shared.errors import ProfileError
from tests.erp.erp_support import TinyFactory

HEADER = "code,seq,job,place,day,pieces,setup_hours,run_hours"
REPORTS = [
    "8,10,TURN,T1,2025-03-08,4,1,2",
    "8,10,TURN,T1,2025-03-09,4,60,120",  # the terminal of T1 writes minutes from here
    "8,10,TURN,T2,2025-03-09,4,1,2",
    "8,20,GRIND,G1,2025-03-09,4,1,2",
    "8,10,TURN,T1,2025-03-12,4,60,120",
    "8,10,TURN,T1,2025-03-13,4,1,2",  # and here it was put right
]


@pytest.fixture
def reported(factory: TinyFactory) -> TinyFactory:
    factory.write("reports.csv", "\n".join([HEADER, *REPORTS]) + "\n")
    factory.document["work_results"]["columns"]["resource_code"] = "place"
    return factory


def minutes(factory: TinyFactory, *changes: dict[str, Any]) -> list[tuple[float, float]]:
    """Return setup and run minutes of the reports in their order by day, operation and work centre."""
    factory.document["work_results"]["unit_changes"] = list(changes)
    results = factory.extract().work_results().sort("reported_at", "operation_code", "resource_code")
    return results.select("setup_minutes", "run_minutes").rows()


RIGHT, WRONG = (60.0, 120.0), (3_600.0, 7_200.0)


def test_reports_count_in_the_unit_that_holds_on_their_day_at_their_place(reported: TinyFactory) -> None:
    unread = [RIGHT, RIGHT, WRONG, RIGHT, WRONG, RIGHT]
    assert minutes(reported) == unread

    change = {"since": "2025-03-09", "until": "2025-03-12", "time_unit": "minutes"}
    assert minutes(reported, change | {"operations": "TURN", "resources": ["T1"]}) == [RIGHT] * 6
    assert reported.extract().issues["work_results"] == {
        "run_minutes read in minutes since 2025-03-09, as the profile says": 2,
        "setup_minutes read in minutes since 2025-03-09, as the profile says": 2,
    }
    wider = minutes(reported, change | {"operations": ["TURN"]})
    assert wider == [RIGHT, RIGHT, RIGHT, (1.0, 2.0), RIGHT, RIGHT]
    open_end = minutes(reported, change | {"until": None, "resources": ["T1"]})
    assert open_end == [RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, (1.0, 2.0)]


def test_one_of_the_times_may_be_in_another_unit_alone(reported: TinyFactory) -> None:
    change = {"since": "2025-03-09", "time_unit": "minutes", "resources": "T1", "times": ["run_minutes"]}
    assert minutes(reported, change)[2] == (3_600.0, 120.0)


def test_of_several_changes_for_a_report_the_last_counts(reported: TinyFactory) -> None:
    whole = {"since": "2025-03-09", "time_unit": "seconds"}
    again = {"since": "2025-03-12", "time_unit": "minutes", "operations": "TURN"}
    assert minutes(reported, whole, again)[-2:] == [RIGHT, (1.0, 2.0)]
    assert minutes(reported, again, whole)[-2:] == [(1.0, 2.0), (0.016667, 0.033333)]


def test_a_change_wins_over_the_unit_that_a_row_states(reported: TinyFactory) -> None:
    reported.write("reports.csv", f"{HEADER},unit\n8,10,TURN,T1,2025-03-09,4,60,120,hr\n")
    reported.document["work_results"]["time_unit_column"] = "unit"
    assert minutes(reported) == [WRONG]
    assert minutes(reported, {"since": "2025-03-09", "time_unit": "minutes"}) == [RIGHT]


def test_stating_the_tables_own_unit_changes_nothing_and_confirms_it(reported: TinyFactory) -> None:
    unread = minutes(reported)
    change = {"since": "2025-03-09", "until": "2025-03-12", "time_unit": "hours", "operations": "TURN"}
    assert minutes(reported, change) == unread
    changes = parse_profile(reported.document, source="tiny").work_results.unit_changes
    assert confirmed(changes, TimeUnit.HOURS, "TURN", date(2025, 3, 9)) is changes[0]
    assert confirmed(changes, TimeUnit.HOURS, "TURN", date(2025, 3, 13)) is None
    assert confirmed(changes, TimeUnit.HOURS, "GRIND", date(2025, 3, 9)) is None
    assert confirmed(changes, TimeUnit.MINUTES, "TURN", date(2025, 3, 9)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_unit": "minutes"}, "work_results.unit_changes.0.since: this field is missing"),
        ({"since": "2025-03-09"}, "work_results.unit_changes.0.time_unit: this field is missing"),
        ({"since": "2025-03-09", "time_unit": "min"}, "did you mean 'minutes'"),
        ({"since": 20250309, "time_unit": "minutes"}, "20250309 is no day; write it like 2026-03-31"),
        ({"since": "2025-03-09", "until": "2025-03-08", "time_unit": "hours"}, "lies before since"),
        ({"since": "2025-03-09", "time_unit": "hours", "times": ["wait_minutes"]}, "known are"),
        ({"since": "2025-03-09", "time_unit": "hours", "times": []}, "nothing is listed here"),
        ({"since": "2025-03-09", "time_unit": "hours", "operations": [10]}, "10 is no text"),
        ({"since": "2025-03-09", "time_unit": "hours", "operation": "TURN"}, "did you mean 'operations'"),
    ],
)
def test_a_mistake_in_a_change_is_named(factory: TinyFactory, change: dict[str, Any], said: str) -> None:
    factory.document["work_results"]["unit_changes"] = [change]
    with pytest.raises(ProfileError) as error:
        parse_profile(factory.document, source="tiny")
    assert said in str(error.value)


def test_a_change_that_speaks_of_no_report_is_told_by_the_check(reported: TinyFactory) -> None:
    change = {"since": "2025-03-09", "time_unit": "minutes"}
    spoken = [change | {"operations": "TURN", "resources": "T1"}, change | {"operations": "TURM"}]
    reported.document["work_results"]["unit_changes"] = [*spoken, change | {"until": "2025-03-10", "resources": "G2"}]
    profile = parse_profile(reported.document, source="tiny")
    report = check_profile(profile, FolderLocation(reported.source), now=datetime(2025, 6, 1, tzinfo=UTC))
    found = [finding for finding in report.findings if "unit_changes" in finding.field]

    assert [finding.field for finding in found] == ["work_results.unit_changes.1", "work_results.unit_changes.2"]
    assert "holds for none of 6 reports" in found[0].message


def test_changes_are_bounded_in_number() -> None:
    document = load_profile("demo").model_dump(mode="json")
    document["work_results"]["unit_changes"] = [{"since": "2025-03-09", "time_unit": "hours"}] * 101
    with pytest.raises(ProfileError, match="unit_changes"):
        parse_profile(document, source="demo")
