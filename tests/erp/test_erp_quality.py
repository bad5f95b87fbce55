import json

from shared.erp.quality import summarise
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
    assert summary["time_check"] == {"joined_operations": 0, "booked_to_planned_median": None, "warning": None}


def _many(factory: TinyFactory, *, unit: str) -> None:
    codes = [f"P{number}" for number in range(40)]
    factory.document["work_results"]["time_unit"] = unit
    factory.write("parts.csv", "code,kind,diameter,diameter_unit\n" + "".join(f"{code},ring,1,mm\n" for code in codes))
    factory.write("steps.csv", "code,seq,job,where,setup,run\n" + "".join(f"{code},10,A,사내,5,6\n" for code in codes))
    head = "code,seq,job,day,pieces,setup_hours,run_hours\n"
    factory.write("reports.csv", head + "".join(f"{code},10,A,2025-05-01,2,5,12\n" for code in codes))


def test_a_factor_of_sixty_between_plan_and_actual_is_pointed_out(factory: TinyFactory) -> None:
    _many(factory, unit="hours")  # the source's figures are minutes
    check = summarise(factory.extract())["time_check"]
    assert check["booked_to_planned_median"] == 60.0
    assert "minutes and hours" in check["warning"]


def test_right_units_raise_no_warning(factory: TinyFactory) -> None:
    _many(factory, unit="minutes")
    check = summarise(factory.extract())["time_check"]
    assert check == {"joined_operations": 40, "booked_to_planned_median": 1.0, "warning": None}
