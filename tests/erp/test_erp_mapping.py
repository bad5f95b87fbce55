from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.erp import parsing, units
from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, item_schema
from tests.erp.erp_support import FILES, NOW, TinyFactory

PARTS = "code,kind,diameter,diameter_unit\n"
STEPS = "code,seq,job,where,setup,run\n"
REPORTS = "code,seq,job,day,pieces,setup_hours,run_hours\n"


def test_the_canonical_tables_have_exactly_their_columns_and_types(factory: TinyFactory) -> None:
    snapshot = factory.extract()
    assert dict(snapshot.items().schema) == item_schema(snapshot.attributes)
    assert dict(snapshot.routings().schema) == ROUTING_SCHEMA
    assert dict(snapshot.work_results().schema) == WORK_RESULT_SCHEMA


def test_inches_become_millimetres_whatever_their_spelling(factory: TinyFactory) -> None:
    spellings = ["MM", "mm ", "INCH", "inch", " In.", '""""', "인치"]  # the sixth is a quoted double prime
    lines = [f"{100 + row},ring,2,{spelling}" for row, spelling in enumerate(spellings)]
    factory.write("parts.csv", PARTS + "\n".join(lines) + "\n")
    assert factory.extract().items()["diameter"].to_list() == [2.0, 2.0, 50.8, 50.8, 50.8, 50.8, 50.8]


def test_an_unknown_or_empty_unit_makes_a_value_unknown_and_is_counted(factory: TinyFactory) -> None:
    factory.write("parts.csv", PARTS + "1,ring,2,EA\n2,ring,3,\n3,ring,4,mm\n4,ring,,EA\n")
    snapshot = factory.extract()
    assert snapshot.items()["diameter"].to_list() == [None, None, 4.0, None]
    assert snapshot.issues["items"] == {"the unit of diameter is unknown": 1, "the unit of diameter is empty": 1}
    assert snapshot.issue_samples["items"]["the unit of diameter is unknown"] == ["1: EA"]


def test_a_profile_may_say_what_an_empty_unit_means_and_add_spellings(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["diameter"] |= {"source_unit": "inch", "unit_spellings": {"zoll": "inch"}}
    factory.write("parts.csv", PARTS + "1,ring,2,\n2,ring,3,Zoll\n3,ring,4,mm\n")
    assert factory.extract().items()["diameter"].to_list() == [50.8, 76.2, 4.0]


def test_mass_and_length_never_convert_into_each_other(factory: TinyFactory) -> None:
    factory.write("parts.csv", PARTS + "1,ring,2,kg\n")
    assert factory.extract().items()["diameter"].to_list() == [None]


@given(value=st.floats(0.001, 1e5), spelling=st.sampled_from(["INCH", "in", "Inches", "mm", "CM", "m"]))
def test_a_length_keeps_its_size_through_any_unit(value: float, spelling: str) -> None:
    to_mm, to_inch = units.factor(spelling, "mm"), units.factor(spelling, "inch")
    assert to_mm is not None
    assert to_inch is not None
    assert value * to_mm == pytest.approx(value * to_inch * 25.4)


def test_zero_is_unknown_only_where_the_profile_says_so(factory: TinyFactory) -> None:
    factory.write("parts.csv", PARTS + "1,ring,0,mm\n2,ring,0.0,inch\n3,ring,5,mm\n")
    assert factory.extract().items()["diameter"].to_list() == [None, None, 5.0]
    factory.document["items"]["attributes"]["diameter"]["zero_is_unknown"] = False
    assert factory.extract().items()["diameter"].to_list() == [0.0, 0.0, 5.0]


def test_a_size_beyond_its_bounds_is_impossible_in_the_canonical_unit(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["diameter"] |= {"minimum": 1, "maximum": 100}
    factory.write("parts.csv", PARTS + "1,ring,50,inch\n2,ring,50,mm\n3,ring,-1,mm\n")
    snapshot = factory.extract()
    assert snapshot.items()["diameter"].to_list() == [None, 50.0, None]
    assert snapshot.issues["items"] == {"diameter is impossible": 2}


def test_null_tokens_blanks_and_trailing_blanks_are_cleaned(factory: TinyFactory) -> None:
    factory.write("parts.csv", PARTS + " 1 , ring ,1,mm\n2,NaN,1,mm\n3,-,1,mm\n4,   ,1,mm\n")
    items = factory.extract().items()
    assert items["item_code"].to_list() == ["1", "2", "3", "4"]
    assert items["kind"].to_list() == ["ring", None, None, None]


def test_a_number_can_be_a_null_token(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["diameter"]["null_tokens"] = ["9999"]
    factory.write("parts.csv", PARTS + "1,ring,9999,mm\n2,ring,9998,mm\n")
    snapshot = factory.extract()
    assert snapshot.items()["diameter"].to_list() == [None, 9998.0]
    assert "items" not in snapshot.issues


def test_typed_numbers_know_null_tokens_and_refuse_infinity() -> None:
    cells = pl.Series([1.0, 9999.0, float("inf"), float("nan"), None])
    read, bad = parsing.number(cells, null_tokens=["9999"], decimal_comma=False)
    assert read.to_list() == [1.0, None, None, None, None]
    assert bad.to_list() == [False, False, True, False, False]


def test_spellings_of_one_value_are_merged(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["kind"]["values"] = {"yes": "Y", "y": "Y"}
    factory.write("parts.csv", PARTS + "1,Yes,1,mm\n2,y ,1,mm\n3,no,1,mm\n")
    assert factory.extract().items()["kind"].to_list() == ["Y", "Y", "no"]


def test_a_repeated_item_is_merged_into_its_most_complete_row_in_any_order(factory: TinyFactory) -> None:
    rows = ["1,,1,mm", "1,ring,1,mm", "2,seal,1,mm"]
    factory.write("parts.csv", PARTS + "\n".join(rows) + "\n")
    first = factory.extract()
    factory.write("parts.csv", PARTS + "\n".join(reversed(rows)) + "\n")
    second = factory.extract()
    assert first.items()["kind"].to_list() == ["ring", "seal"]
    assert first.issues["items"] == {"item_code is repeated": 1}
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("lower", "higher"), [("9", "10"), ("", "A"), ("B", "AA"), ("A", "b"), ("C", "0"), ("2024-12-31", "2025-01-01")]
)
def test_of_a_repeated_item_the_highest_revision_counts_where_the_profile_says_so(
    factory: TinyFactory, lower: str, higher: str
) -> None:
    rows = [f"1,ring,1,mm,{lower}", f"1,,2,mm,{higher}", f"1,,2,mm,{higher}"]
    factory.write("parts.csv", f"{PARTS.strip()},rev\n" + "\n".join(rows) + "\n")
    factory.document["items"]["keep"] = {"highest": "rev"}
    snapshot = factory.extract()
    assert snapshot.items().rows() == [("1", None, 2.0)]
    assert snapshot.issues["items"] == {"item_code is repeated": 1, "item_code is repeated, rows equal": 1}


def test_item_codes_meet_across_tables_in_either_case_when_the_profile_says_so(factory: TinyFactory) -> None:
    factory.document["source"] = {"item_code_case": "upper"}
    factory.write("parts.csv", PARTS + "ab1,ring,1,mm\n")
    factory.write("steps.csv", STEPS + "AB1,10,TURN,사내,1,1\n")
    factory.write("reports.csv", REPORTS + "Ab1 ,10,TURN,2025-05-01,1,0,1\n")
    snapshot = factory.extract()
    assert snapshot.items()["item_code"].to_list() == ["AB1"]
    assert (snapshot.rows["routings"], snapshot.rows["work_results"]) == (1, 1)


def test_hours_of_results_become_minutes_of_the_whole_order(factory: TinyFactory) -> None:
    results = factory.extract().work_results()
    assert results["setup_minutes"].to_list() == [6.0, 30.0]
    assert results["run_minutes"].to_list() == [12.0, 60.0]
    assert results["quantity"].to_list() == [4.0, 2.0]


def test_a_time_of_one_piece_is_multiplied_by_the_quantity(factory: TinyFactory) -> None:
    factory.document["work_results"]["run_time"] = "per_unit"
    assert factory.extract().work_results()["run_minutes"].to_list() == [48.0, 120.0]


def test_one_undivided_time_is_run_and_leaves_setup_unknown(factory: TinyFactory) -> None:
    factory.document["work_results"]["undivided_time"] = True
    del factory.document["work_results"]["columns"]["setup_minutes"]
    results = factory.extract().work_results()
    assert results["setup_minutes"].to_list() == [None, None]
    assert results["run_minutes"].to_list() == [12.0, 60.0]


def test_a_run_time_of_a_lot_is_divided_by_the_pieces_it_covers(factory: TinyFactory) -> None:
    factory.document["routings"] |= {"run_time": "per_lot", "lot_quantity": "lot"}
    factory.write(
        "steps.csv", "code,seq,job,where,setup,run,lot\n007,10,A,사내,5,50,100\n007,20,B,사내,5,50,0\n8,10,A,사내,,,\n"
    )
    snapshot = factory.extract()
    assert snapshot.routings()["run_minutes_per_unit"].to_list() == [0.5, None, None]
    assert snapshot.issues["routings"] == {"lot_quantity is missing or not positive, so the run time is": 1}


def test_a_unit_stated_row_by_row_wins_over_the_profile(factory: TinyFactory) -> None:
    factory.document["routings"]["time_unit_column"] = "unit"
    factory.write(
        "steps.csv",
        "code,seq,job,where,setup,run,unit\n"
        "007,10,A,사내,1,2,분(Min.)\n007,20,A,사내,1,2,시간(Hr.)\n007,30,A,사내,30,6,sec\n"
        "007,40,A,사내,1,2,\n007,50,A,사내,1,2,moon\n",
    )
    snapshot = factory.extract()
    assert snapshot.routings()["setup_minutes"].to_list() == [1.0, 60.0, 0.5, 1.0, None]
    assert snapshot.routings()["run_minutes_per_unit"].to_list() == [2.0, 120.0, 0.1, 2.0, None]
    assert snapshot.issues["routings"] == {"the time unit is unknown, so the times are": 1}


def test_in_house_values_are_read_and_others_counted(factory: TinyFactory) -> None:
    factory.write(
        "steps.csv", STEPS + "8,10,A,사내,1,1\n8,20,A,외주 ,1,1\n8,30,A,n,1,1\n8,40,A,maybe,1,1\n8,50,A,,1,1\n"
    )
    snapshot = factory.extract()
    assert snapshot.routings()["inside"].to_list() == [True, False, False, None, None]
    assert list(snapshot.issues["routings"].values()) == [1]


def test_bad_planned_steps_are_counted_by_reason_and_the_rest_is_used(factory: TinyFactory) -> None:
    factory.write(
        "steps.csv",
        STEPS + "8,10,A,사내,1,1\n,20,A,사내,1,1\nX9,10,A,사내,1,1\n8,ten,A,사내,1,1\n8,1.5,A,사내,1,1\n"
        "8,,A,사내,1,1\n8,30,-,사내,1,1\n8,40,B,사내,-5,abc\n8,10,A,사내,1,1\n",
    )
    snapshot = factory.extract()
    assert snapshot.issues["routings"] == {
        "item_code is empty": 1,
        "item_code is unknown": 1,
        "sequence is not a number": 1,
        "sequence is not a whole number": 1,
        "sequence is missing": 1,
        "operation_code is empty": 1,
        "setup_minutes is negative": 1,
        "run_minutes_per_unit is not a number": 1,
        "the step is repeated, rows equal": 1,
    }
    kept = snapshot.routings()
    assert kept.select("sequence", "setup_minutes", "run_minutes_per_unit").rows() == [(10, 1.0, 1.0), (40, None, None)]


def test_bad_reports_are_counted_by_reason_and_the_rest_is_used(factory: TinyFactory) -> None:
    good = "8,10,A,2025-05-01,2,0.1,0.2\n"
    factory.write(
        "reports.csv",
        REPORTS + good + "nan,10,A,2025-05-01,2,0.1,0.2\nX9,10,A,2025-05-01,2,0.1,0.2\n8,10,,2025-05-01,2,0.1,0.2\n"
        "8,10,A,2025-02-30,2,0.1,0.2\n8,10,A,,2,0.1,0.2\n8,10,A,2025-05-01,0,0.1,0.2\n8,10,A,2025-05-01,two,0.1,0.2\n"
        "8,10,A,2025-05-01,2,0.1,-0.2\n8,10,A,2025-05-01,2,-0.1,0.2\n8,10,A,2025-05-01,2,0.1,\n8,10,A,2025-05-01,2,0,0\n"
        "8,10,A,2026-05-01,2,0.1,0.2\n",
    )
    snapshot = factory.extract()
    assert snapshot.issues["work_results"] == {
        "item_code is empty": 1,
        "item_code is unknown": 1,
        "operation_code is empty": 1,
        "reported_at is not a date": 1,
        "reported_at is missing": 1,
        "quantity is not positive": 1,
        "quantity is not a number": 1,
        "run_minutes is negative": 1,
        "setup_minutes is negative": 1,
        "run_minutes is missing": 1,
        "not believable: at most 0 minutes": 1,
        "not believable: reported in the future": 1,
    }
    assert snapshot.rows["work_results"] == 1


def test_only_believable_reports_are_kept(factory: TinyFactory) -> None:
    factory.document["work_results"]["believable"] = {
        "maximum_minutes": 600,
        "maximum_run_minutes_per_unit": 100,
        "maximum_age_days": 365,
    }
    factory.write(
        "reports.csv",
        REPORTS
        + "8,10,A,2025-05-01,2,0,1\n8,10,A,2025-05-01,2,0,11\n8,10,A,2025-05-01,1,0,2\n8,10,A,2020-05-01,2,0,1\n",
    )
    snapshot = factory.extract()
    assert snapshot.rows["work_results"] == 1
    assert sorted(snapshot.issues["work_results"].values()) == [1, 1, 1]


def test_at_most_five_samples_are_kept_for_a_reason(factory: TinyFactory) -> None:
    factory.write("steps.csv", STEPS + "".join(f"X{row},10,A,사내,1,1\n" for row in range(9)))
    snapshot = factory.extract()
    assert snapshot.issues["routings"] == {"item_code is unknown": 9}
    assert snapshot.issue_samples["routings"]["item_code is unknown"] == ["X0", "X1", "X2", "X3", "X4"]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"column": "until", "at_least": "today"}, [20, 30, 40]),
        ({"column": "until", "at_least": "today", "keep_empty": False}, [20, 40]),
        ({"column": "until", "at_most": date(2025, 1, 1)}, [10, 30]),
        ({"column": "seq", "at_most": 20}, [10, 20]),
        ({"column": "job", "one_of": ["B", "C"]}, [20, 30]),
        ({"column": "job", "not_one_of": "A"}, [20, 30]),
    ],
)
def test_filters_keep_what_meets_them_and_count_the_rest(
    factory: TinyFactory, condition: dict[str, object], kept: list[int]
) -> None:
    factory.document["routings"]["filters"] = [condition]
    factory.write(
        "steps.csv",
        "code,seq,job,where,setup,run,until\n8,10,A,사내,1,1,2024-12-31\n8,20,B,사내,1,1,2025-06-01\n"
        "8,30,C,사내,1,1,\n8,40,A,사내,1,1,2999-12-31\n",
    )
    snapshot = factory.extract()
    assert snapshot.routings()["sequence"].to_list() == kept
    assert snapshot.issues["routings"] == {f"left out by the filter on {condition['column']}": 4 - len(kept)}


def test_columns_to_carry_travel_with_the_routing_as_text(factory: TinyFactory) -> None:
    factory.document["routings"]["carry"] = ["note"]
    factory.write("steps.csv", "code,seq,job,where,setup,run,note\n8,10,A,사내,1,1,0042\n")
    assert factory.extract().routings()["note"].to_list() == ["0042"]


def test_days_are_read_in_every_declared_form_with_or_without_a_time(factory: TinyFactory) -> None:
    days = ["2025-05-01", "2025/05/01", "20250501", "2025.05.01", "2025-05-01T09:30:00", "2025-05-01 9:30"]
    lines = "".join(f"8,{10 * row},A,{day},1,0,1\n" for row, day in enumerate(days))
    factory.write("reports.csv", REPORTS + lines)
    assert factory.extract().work_results()["reported_at"].unique().to_list() == [date(2025, 5, 1)]


def test_age_and_future_are_judged_by_the_given_moment(factory: TinyFactory) -> None:
    assert factory.extract(now=NOW - timedelta(days=31)).rows["work_results"] == 1
    assert factory.extract(now=datetime.fromisoformat("2025-05-03T00:00:00+00:00")).rows["work_results"] == 2


@given(value=st.floats(-1e12, 1e12, allow_nan=False))
def test_a_written_number_is_read_back(value: float) -> None:
    read, bad = parsing.number(pl.Series([repr(value), f" {value!r} "]), null_tokens=[""], decimal_comma=False)
    assert read.to_list() == [value, value]
    assert not bad.any()


@pytest.mark.parametrize(
    ("text", "comma", "expected"),
    [
        ("1,234.5", False, 1234.5),
        ("1.234,5", True, 1234.5),
        ("0,5", True, 0.5),
        ("1,23", False, None),
        ("inf", False, None),
    ],
)
def test_thousands_and_decimal_marks_are_read_as_declared(text: str, comma: bool, expected: float | None) -> None:
    read, bad = parsing.number(pl.Series([text]), null_tokens=[""], decimal_comma=comma)
    assert read.to_list() == [expected]
    assert bad.to_list() == [expected is None]


def test_files_of_the_tiny_factory_have_no_issue(factory: TinyFactory) -> None:
    assert set(FILES) == {path.name for path in factory.source.iterdir()}
    assert factory.extract().issues == {}
