import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.erp.mapping.rows import factors, in_canonical_unit
from shared.erp.units import MINUTES_PER, factor, known_units, minutes_factor
from tests.erp.erp_support import TinyFactory

LENGTHS = {"um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "inch": 0.0254, "ft": 0.3048}  # metres
MASSES = {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1e3, "oz": 0.028349523125, "lb": 0.45359237}  # kilograms
SPELLINGS = {
    "mm": ("mm", "m/m", "㎜", "millimetre", "밀리"),
    "inch": ("in", "inch", "inches", '"', "″", "인치"),
    "um": ("µm", "μm", "micron"),
    "kg": ("kg", "kgs", "kilogram", "㎏"),
    "ft": ("ft", "feet", "'"),
}
TIMES = {
    "초": 1 / 60,
    "sec": 1 / 60,
    "분(Min.)": 1.0,
    "min": 1.0,
    "HR": 60.0,
    "시간": 60.0,
    "Days": 1440.0,
    "일": 1440.0,
}
KNOWN = st.sampled_from(sorted(LENGTHS)), st.sampled_from(sorted(MASSES))
STRANGERS = ("EA", "SET", "", "mmm", "inch mm", "%", "nm", "yd", "pcs", "분초", "moon", "--")


def test_the_known_units_are_these() -> None:
    assert set(known_units()) == LENGTHS.keys() | MASSES.keys()


@given(one=KNOWN[0], other=KNOWN[0])
def test_a_length_factor_is_the_ratio_of_the_sizes(one: str, other: str) -> None:
    assert factor(one, other) == pytest.approx(LENGTHS[one] / LENGTHS[other], rel=1e-12)


@given(one=KNOWN[1], other=KNOWN[1])
def test_a_mass_factor_is_the_ratio_of_the_sizes(one: str, other: str) -> None:
    assert factor(one, other) == pytest.approx(MASSES[one] / MASSES[other], rel=1e-12)


@given(units=st.one_of(st.lists(KNOWN[0], min_size=3, max_size=3), st.lists(KNOWN[1], min_size=3, max_size=3)))
def test_factors_compose_and_lead_back(units: list[str]) -> None:
    a, b, c = units
    there, onward, straight, back = factor(a, b), factor(b, c), factor(a, c), factor(b, a)
    assert None not in (there, onward, straight, back)
    assert math.isclose((there or 0) * (onward or 0), straight or 0, rel_tol=1e-12)
    assert math.isclose((there or 0) * (back or 0), 1.0, rel_tol=1e-12)


@given(length=KNOWN[0], mass=KNOWN[1])
def test_lengths_and_masses_never_convert_into_each_other(length: str, mass: str) -> None:
    assert factor(length, mass) is None
    assert factor(mass, length) is None


@given(data=st.data(), unit=st.sampled_from(sorted(SPELLINGS)))
def test_case_blanks_and_a_final_stop_do_not_change_a_spelling(data: st.DataObject, unit: str) -> None:
    spelling = data.draw(st.sampled_from(SPELLINGS[unit]))
    letters = [data.draw(st.sampled_from([letter, letter.upper(), f" {letter}", f"{letter}\t"])) for letter in spelling]
    written = "".join(letters) + data.draw(st.sampled_from(["", ".", " . ", "  "]))
    assert factor(written, unit) == 1.0


@given(data=st.data(), spelling=st.sampled_from(sorted(TIMES)))
def test_case_and_blanks_do_not_change_a_time_unit(data: st.DataObject, spelling: str) -> None:
    written = " ".join(data.draw(st.sampled_from([letter.upper(), letter.lower()])) for letter in spelling)
    assert minutes_factor(written) == TIMES[spelling]


@pytest.mark.parametrize("spelling", STRANGERS)
def test_an_unknown_unit_is_never_guessed(spelling: str) -> None:
    assert [factor(spelling, unit) for unit in known_units()] == [None] * len(known_units())
    assert minutes_factor(spelling) is None


@given(prefix=st.text(max_size=3), digit=st.integers(0, 9), suffix=st.sampled_from(["mm", "inch", "kg", "min", "hr"]))
def test_a_unit_with_a_number_in_it_is_unknown(prefix: str, digit: int, suffix: str) -> None:
    assert factor(f"{prefix}{digit}{suffix}", "mm") is None
    assert minutes_factor(f"{prefix}{digit}{suffix}") is None


def test_a_profiles_own_spelling_wins_over_the_usual_one() -> None:
    assert factor(" Zoll.", "mm", {"zoll": "inch"}) == 25.4
    assert factor("M", "mm", {"m": "mm"}) == 1.0
    assert factor("unheard-of", "mm", {"zoll": "inch"}) is None


@given(
    cells=st.lists(st.one_of(st.none(), st.sampled_from(["mm", "INCH", "EA", "", "kg"])), max_size=12),
    value=st.floats(0.001, 1e6),
)
def test_each_row_is_converted_by_its_own_unit_or_not_at_all(cells: list[str | None], value: float) -> None:
    spelled = pl.Series(cells, dtype=pl.String)
    found = in_canonical_unit(
        pl.Series([value] * len(cells), dtype=pl.Float64), factors(spelled, lambda text: factor(text, "mm"))
    )
    expected = {"mm": round(value, 6), "INCH": round(value * 25.4, 6)}
    assert found.to_list() == [pytest.approx(expected[cell]) if cell in expected else None for cell in cells]


@given(unit=st.sampled_from(sorted(MINUTES_PER)), minutes=st.floats(0.01, 1e5))
def test_a_time_keeps_its_length_through_any_unit(unit: str, minutes: float) -> None:
    per = MINUTES_PER[unit]  # type: ignore[index] # a StrEnum's text is its member
    assert in_canonical_unit(pl.Series([minutes / per]), pl.Series([per])).to_list() == [
        pytest.approx(minutes, abs=1e-6)
    ]


@pytest.mark.parametrize("zero", ["0", "0.0", " 0 ", "-0", "0e5"])
@pytest.mark.parametrize("unit", ["mm", "inch", "EA", ""])
def test_a_zero_that_means_unknown_is_unknown_in_any_unit_and_no_fault(
    factory: TinyFactory, zero: str, unit: str
) -> None:
    factory.write("parts.csv", f"code,kind,diameter,diameter_unit\n1,ring,{zero},{unit}\n")
    snapshot = factory.extract()
    assert snapshot.items()["diameter"].to_list() == [None]
    assert snapshot.issues.get("items", {}) == {}


def test_setup_may_have_a_unit_of_its_own(factory: TinyFactory) -> None:
    factory.document["routings"] |= {"time_unit": "seconds", "setup_time_unit": "hours"}
    factory.document["work_results"] |= {"setup_time_unit": "minutes", "time_unit_column": "unit"}
    factory.write("steps.csv", "code,seq,job,where,setup,run\n007,10,TURN,,2,30\n")
    factory.write(
        "reports.csv", "code,seq,job,day,pieces,setup_hours,run_hours,unit\n007,10,TURN,2025-05-01,4,7,90,sec\n"
    )
    snapshot = factory.extract()
    assert snapshot.routings().select("setup_minutes", "run_minutes_per_unit").rows() == [(120.0, 0.5)]
    assert snapshot.work_results().select("setup_minutes", "run_minutes").rows() == [(7.0, 1.5)]


@pytest.mark.parametrize(("counts", "quantities"), [("good_and_bad", [4.0, 6.0, 7.0]), ("good", [3.0, 4.0, 6.0, 9.0])])
def test_run_time_a_piece_is_that_of_all_pieces_whatever_the_quantity_counts(
    factory: TinyFactory, counts: str, quantities: list[float]
) -> None:
    header = "code,seq,job,day,pieces,bad,setup_hours,run_hours"
    reports = [(4, ""), (6, 0), (7, 2), (0, 3), (-2, 9)]
    lines = [f"8,10,TURN,2025-05-01,{good},{bad},0,1" for good, bad in reports]
    factory.write("reports.csv", "\n".join([header, *lines]) + "\n")
    factory.document["work_results"] |= {"quantity_counts": counts}
    factory.document["work_results"]["columns"]["bad_quantity"] = "bad"
    assert factory.extract().work_results()["quantity"].sort().to_list() == quantities
