import json
from typing import Any

from shared.erp.quality.months import MONTHS
from shared.erp.quality.summary import summarise
from tests.erp.erp_support import FILES, TinyFactory


def test_the_summary_is_plain_json(factory: TinyFactory) -> None:
    summary = summarise(factory.extract())
    assert json.loads(json.dumps(summary)) == summary


def test_completeness_and_range_of_each_attribute_are_given(factory: TinyFactory) -> None:
    kind, diameter = summarise(factory.extract())["attributes"]
    assert (kind["name"], kind["completeness"], kind["distinct"]) == ("kind", 1.0, 2)
    assert (diameter["known"], diameter["completeness"], diameter["unit"]) == (2, 0.6667, "mm")
    assert (diameter["minimum"], diameter["median"], diameter["maximum"]) == (10.0, 17.7, 25.4)


def test_duplicates_impossible_values_and_orphans_are_counted(factory: TinyFactory) -> None:
    factory.write("parts.csv", FILES["parts.csv"] + "8,ring,1,inch\n")
    factory.write("steps.csv", FILES["steps.csv"] + "X,10,TURN,사내,5,2\n8,20,COAT,외주,-1,3\n")
    report = "9,10,TURN,2025-05-01,4,0.1,0.2\n"
    factory.write("reports.csv", FILES["reports.csv"] + report + report + "8,30,PACK,2025-05-01,4,0.1,0.2\n")
    summary = summarise(factory.extract())
    assert summary["duplicates"] == {"items": 1, "routing_steps": 0, "equal_work_results": 1}
    assert summary["impossible_values"] == {"routings": {"setup_minutes is negative": 1}}
    assert summary["orphans"] == {
        "routing_steps_of_unknown_items": 1,
        "work_results_of_unknown_items": 0,
        "work_results_without_routing": 2,
        "work_results_of_unplanned_operations": 1,
    }
    assert summary["issues"]["routings"][0]["samples"]


def test_coverage_says_how_much_of_the_plan_has_actuals(factory: TinyFactory) -> None:
    coverage = summarise(factory.extract())["coverage"]
    assert coverage["items_with_routing"] == 2
    assert coverage["items_with_routing_share"] == 0.6667
    assert coverage["routed_items_with_actuals_share"] == 1.0
    assert coverage["planned_operations_with_actuals_share"] == 0.6667
    assert (coverage["first_report"], coverage["last_report"]) == ("2025-05-01", "2025-05-02")


def test_an_empty_table_of_results_is_no_error(factory: TinyFactory) -> None:
    factory.write("reports.csv", FILES["reports.csv"].splitlines()[0] + "\n")
    summary = summarise(factory.extract())
    assert summary["coverage"]["first_report"] is None
    check = summary["time_check"]
    assert (check["joined_operations"], check["booked_to_planned_median"], check["warning"]) == (0, None, None)
    assert (check["operations"], check["apart"], summary["months"]["work_results"]) == ([], [], [])


def _many(factory: TinyFactory, *, unit: str) -> None:
    codes = [f"P{number}" for number in range(40)]
    factory.document["work_results"]["time_unit"] = unit
    factory.write("parts.csv", "code,kind,diameter,diameter_unit\n" + "".join(f"{code},ring,1,mm\n" for code in codes))
    factory.write("steps.csv", "code,seq,job,where,setup,run\n" + "".join(f"{code},10,A,사내,5,6\n" for code in codes))
    head = "code,seq,job,day,pieces,setup_hours,run_hours\n"
    factory.write("reports.csv", head + "".join(f"{code},10,A,2025-05-01,2,5,12\n" for code in codes))


def test_a_snapshot_without_steps_or_reports_is_said_to_teach_nothing(factory: TinyFactory) -> None:
    for name in ("steps.csv", "reports.csv"):
        factory.write(name, FILES[name].splitlines()[0] + "\n")
    found = {finding["field"]: finding["severity"] for finding in summarise(factory.extract())["findings"]}
    assert (found["routings"], found["work_results"]) == ("error", "warning")


def test_a_factor_of_sixty_between_plan_and_actual_is_pointed_out(factory: TinyFactory) -> None:
    _many(factory, unit="hours")  # the source's figures are minutes
    check = summarise(factory.extract())["time_check"]
    assert check["booked_to_planned_median"] == 60.0
    assert "minutes and hours" in check["warning"]


def test_right_units_raise_no_warning(factory: TinyFactory) -> None:
    _many(factory, unit="minutes")
    check = summarise(factory.extract())["time_check"]
    assert (check["joined_operations"], check["booked_to_planned_median"], check["warning"]) == (40, 1.0, None)


# ------------------------------------------------------------------------------------------- the join, in the document


def test_the_join_is_told_with_counts_reasons_and_samples(factory: TinyFactory) -> None:
    report = "8,30,PACK,2025-05-01,4,0.1,0.2\n9,10,TURN,2025-05-01,4,0.1,0.2\n007,15,COAT,2025-05-01,4,0.1,0.2\n"
    factory.write("reports.csv", FILES["reports.csv"] + report)
    join = summarise(factory.extract())["join"]
    assert (join["work_results"], join["joined"], join["joined_share"]) == (5, 3, 0.6)
    assert {entry["kind"]: entry["count"] for entry in join["kinds"]} == {"exact": 2, "renumbered": 1}
    assert {entry["kind"]: entry["count"] for entry in join["not_joined"]} == {
        "the item has no routing": 1,
        "no step at this sequence": 1,
    }
    assert join["not_joined_by"]["operations"] == [
        {"code": "PACK", "count": 1, "share": 1.0},
        {"code": "TURN", "count": 1, "share": 0.3333},
    ]
    assert join["not_joined_by"]["families"] == [
        {"code": "ring", "count": 1, "share": 0.25},
        {"code": "seal", "count": 1, "share": 1.0},
    ]
    assert join["samples"]["renumbered"] == [
        {"item_code": "007", "routing_no": None, "sequence": 15, "operation_code": "COAT"}
    ]
    assert (join["steps"]["planned"], join["steps"]["with_actuals"]) == (3, 3)


def test_planned_steps_without_actuals_are_told_by_reason(factory: TinyFactory) -> None:
    steps = summarise(factory.extract())["join"]["steps"]
    assert [(entry["kind"], entry["count"]) for entry in steps["without"]] == [("the operation was never reported", 1)]
    assert steps["never_reported_operations"] == [{"code": "COAT", "count": 1, "share": 1.0}]


def test_sequences_that_never_agree_are_pointed_out(factory: TinyFactory) -> None:
    factory.write("reports.csv", FILES["reports.csv"].replace(",10,TURN", ",1,TURN"))
    summary = summarise(factory.extract())
    assert [entry["kind"] for entry in summary["join"]["kinds"]] == ["renumbered"]
    assert "100 % of the work results were reported at another sequence" in _messages(summary)


def test_routing_numbers_that_never_agree_are_pointed_out(factory: TinyFactory) -> None:
    factory.document["routings"]["columns"]["routing_no"] = "where"
    factory.document["work_results"]["columns"]["routing_no"] = "pieces"
    summary = summarise(factory.extract())
    assert [entry["kind"] for entry in summary["join"]["kinds"]] == ["other routing"]
    assert "100 % of the work results name a routing that their item does not have" in _messages(summary)


# ------------------------------------------------------------------------------------------------------------- columns


def test_unknown_and_empty_units_are_conflicts_and_said_in_a_sentence(factory: TinyFactory) -> None:
    factory.write("parts.csv", FILES["parts.csv"] + "A,ring,5,ell\nB,ring,5,ell\nC,ring,5,\n")
    summary = summarise(factory.extract())
    diameter = summary["attributes"][1]
    assert diameter["unusable"] == {"the unit of diameter is unknown": 2, "the unit of diameter is empty": 1}
    assert [(entry["table"], entry["count"]) for entry in summary["unit_conflicts"]] == [("items", 2), ("items", 1)]
    assert "the unit of diameter is unknown (A: ell; B: ell)" in _messages(summary)


def test_sizes_of_one_drawing_that_are_25_4_apart_are_a_unit_conflict(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["drawing"] = {"kind": "code", "drawing": True}
    rows = (
        "code,kind,diameter,diameter_unit,drawing\nA,ring,2,mm,D1\nB,ring,50.8,mm,D1\nC,ring,2,mm,D2\nE,ring,50,mm,D3\n"
    )
    factory.write("parts.csv", rows)
    summary = summarise(factory.extract())
    assert summary["attributes"][1]["inch_conflicts"] == {"drawings": 1, "samples": ["D1: 2 and 50.8"]}
    assert "differs by a factor of 25.4" in _messages(summary)


def test_columns_that_say_nothing_or_spell_it_twice_are_pointed_out(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"] |= {
        "colour": {"kind": "categorical", "column": "colour"},
        "grade": {"kind": "categorical", "column": "grade"},
        "height": {"kind": "numeric", "column": "height"},
    }
    rows = "code,kind,diameter,diameter_unit,colour,grade,height\n"
    factory.write("parts.csv", rows + "A,ring,1,mm,,X,0\nB,Ring,2,mm,,X,0\nC,seal,3,mm,,X,7\n")
    summary = summarise(factory.extract())
    said = _messages(summary)
    assert "colour is known for 0 % of the items" in said
    assert "grade has the same value wherever it is known" in said
    assert "1 values of kind differ from another by case" in said
    assert "height is 0 in 66.7 % of the items" in said


def test_completeness_of_the_mapped_columns_of_the_other_tables_is_given(factory: TinyFactory) -> None:
    columns = summarise(factory.extract())["columns"]
    routings = {entry["name"]: entry["completeness"] for entry in columns["routings"]}
    assert routings["setup_minutes"] == 0.6667
    assert "resource_code" not in routings  # it is not mapped


# --------------------------------------------------------------------------------------------------------------- times


def test_one_operation_in_another_unit_is_named(factory: TinyFactory) -> None:
    codes = [f"P{number}" for number in range(40)]
    factory.document["work_results"]["time_unit"] = "minutes"
    factory.write("parts.csv", "code,kind,diameter,diameter_unit\n" + "".join(f"{code},ring,1,mm\n" for code in codes))
    steps = "".join(f"{code},10,A,사내,5,6\n{code},20,B,사내,5,6\n{code},30,C,사내,5,6\n" for code in codes)
    factory.write("steps.csv", "code,seq,job,where,setup,run\n" + steps)
    reports = "".join(
        f"{code},10,A,2025-05-01,2,5,12\n{code},20,B,2025-05-01,2,5,720\n{code},30,C,2025-05-01,2,5,12\n"
        for code in codes
    )
    head = "code,seq,job,day,pieces,setup_hours,run_hours\n"
    factory.write("reports.csv", head + reports + "P1,10,A,2025-05-02,2,5,720\n")
    summary = summarise(factory.extract())
    check = summary["time_check"]
    assert check["warning"] is None
    assert (check["operations"][0]["operation_code"], check["operations"][0]["median"]) == ("B", 60.0)
    assert "booked run times of B are about 60 times" in check["operations"][0]["warning"]
    assert [(entry["factor"], entry["count"]) for entry in check["apart"]] == [(60.0, 1)]
    assert "Booked run times of B are about 60 times" in _messages(summary)


# -------------------------------------------------------------------------------------------------------------- months


def test_the_same_data_is_told_month_by_month(factory: TinyFactory) -> None:
    factory.document["routings"]["columns"]["created_at"] = "made"
    factory.write("steps.csv", (
        "code,seq,job,where,setup,run,made\n"
        "007,10,TURN,사내,5,2,2025-02-03\n007,20,COAT,외주,,,2025-02-03\n8,10,TURN,사내,6,4,2025-03-01\n"
    ))  # fmt: skip
    factory.write("reports.csv", FILES["reports.csv"] + "8,10,TURN,2025-02-02,2,,1\n8,10,XX,2025-02-03,2,0.1,1\n")
    summary = summarise(factory.extract())
    months = summary["months"]
    assert [(row["month"], row["work_results"], row["items"]) for row in months["work_results"]] == [
        ("2025-02", 2, 1),
        ("2025-05", 2, 2),
    ]
    assert [(row["joined_share"], row["setup_known_share"]) for row in months["work_results"]] == [
        (0.5, 0.5),
        (1.0, 1.0),
    ]
    assert [(row["month"], row["routings"], row["items"]) for row in months["created"]] == [
        ("2025-02", 1, 1),
        ("2025-03", 1, 1),
    ]
    assert [row["run_time_known_share"] for row in months["created"]] == [0.5, 1.0]
    assert months["created"][0]["completeness"] == {"kind": 1.0, "diameter": 1.0}
    assert "No work was reported in 2025-03, 2025-04." in _messages(summary)


def test_a_month_in_which_set_up_times_went_missing_is_pointed_out(factory: TinyFactory) -> None:
    days = [f"2025-{month:02d}-05" for month in (2, 3, 4)]
    told = "".join(f"007,10,TURN,{day},{pieces},0.1,0.2\n" for day in days for pieces in range(1, 41))
    blank = "".join(f"007,10,TURN,2025-05-05,{pieces},,0.2\n" for pieces in range(1, 41))
    factory.write("reports.csv", FILES["reports.csv"].splitlines()[0] + "\n" + told + blank)
    assert "In 2025-05 only 0 % of the work results have a setup time; 100 % is usual." in _messages(
        summarise(factory.extract())
    )


def test_only_the_latest_months_are_told_apart(factory: TinyFactory) -> None:
    days = [f"{2015 + number // 12}-{number % 12 + 1:02d}-01" for number in range(60)]
    factory.write("reports.csv", FILES["reports.csv"].splitlines()[0] + "\n" + "".join(
        f"007,10,TURN,{day},4,0.1,0.2\n" for day in days
    ))  # fmt: skip
    summary = summarise(factory.extract())
    months = summary["months"]["work_results"]
    assert len(months) == MONTHS + 1
    assert (months[0]["month"], months[0]["work_results"]) == ("earlier", 60 - MONTHS)
    assert (months[1]["month"], months[-1]["month"]) == ("2017-01", "2019-12")
    assert "days older than the snapshot" in _messages(summary)


# ------------------------------------------------------------------------------------------------------- one document


def test_the_figures_are_what_one_snapshot_is_compared_with_the_next_by(factory: TinyFactory) -> None:
    summary = summarise(factory.extract())
    figures = summary["figures"]
    assert figures["rows"] == {"items": 3, "routings": 3, "work_results": 2}
    assert figures["shares"]["completeness of diameter"] == 0.6667
    assert figures["shares"]["work results that joined the plan"] == 1.0
    assert figures["findings"] == len(summary["findings"])


def test_findings_are_sorted_by_how_much_they_matter(factory: TinyFactory) -> None:
    _many(factory, unit="hours")
    severities = [finding["severity"] for finding in summarise(factory.extract())["findings"]]
    assert severities[0] == "error"
    assert severities == sorted(severities, key=["error", "warning", "hint"].index)


def _messages(summary: dict[str, Any]) -> str:
    assert all(finding["remedy"] for finding in summary["findings"])
    return "\n".join(finding["message"] for finding in summary["findings"])
