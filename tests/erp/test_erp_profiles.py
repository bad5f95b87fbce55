from collections.abc import Callable
from pathlib import Path

import pytest

from shared.erp.canonical import AttributeKind
from shared.erp.profiles import known_profiles, load_profile
from shared.errors import ProfileError

Render = Callable[..., str]


def _written(folder: Path, text: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", known_profiles())
def test_every_shipped_profile_is_valid_and_named_like_its_file(name: str) -> None:
    assert load_profile(name).name == name


def test_the_declared_attributes_carry_kind_unit_and_flags() -> None:
    attributes = {attribute.name: attribute for attribute in load_profile("demo").attributes}
    assert attributes["OUTDIAMETER"].kind is AttributeKind.NUMERIC
    assert attributes["OUTDIAMETER"].unit == "mm"
    assert attributes["OUTDIAMETER"].zero_is_unknown
    assert attributes["PART_TYPE"].family
    assert [attribute.name for attribute in attributes.values() if attribute.drawing] == ["DRAW_NO"]


def test_a_profile_can_be_given_by_its_path(tmp_path: Path, profile_text: Render) -> None:
    assert load_profile(_written(tmp_path, profile_text())).name == "tiny"


def test_an_unknown_profile_names_the_nearest_one() -> None:
    with pytest.raises(ProfileError, match="did you mean 'demo'"):
        load_profile("dem")


def test_a_missing_profile_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.yaml"):
        load_profile(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("time_unit: minutes", "tim_unit: minutes", r"routings\.tim_unit \(line \d+\): unknown field .*'time_unit'"),
        ("time_unit: minutes", "time_unit: fortnights", r"routings\.time_unit \(line \d+\): .*'minutes'"),
        ("item_code: code", "item_cod: code", r"items\.columns\.item_cod .*'item_code'"),
        ("  table: steps", "  sql: SELECT 1\n  table: steps", r"routings .*either table .* or sql"),
        ("unit: mm", "unit: mmm", r"items\.attributes\.diameter\.unit \(line \d+\): unknown unit 'mmm' \(did you mean 'mm'\?\)"),
        ("kind: categorical", "kind: categorial", r"items\.attributes\.kind\.kind .*'categorical'"),
        ("family: true", "familiy: true", r"items\.attributes\.kind\.familiy .*did you mean 'family'"),
        ("run_minutes_per_unit: run", "run_minutes: run", r"routings\.columns\.run_minutes .*'run_minutes_per_unit'"),
        ("time_unit: minutes", "time_unit: minutes\n  run_time: per_lot", r"run_time: per_lot and lot_quantity"),
        ("time_unit: hours", "time_unit: hours\n  undivided_time: true", r"leave setup_minutes out"),
        ("kind: categorical", "kind: categorical\n      unit: mm", r"belong to kind numeric"),
    ],
)
def test_a_wrong_field_is_named_with_its_line_and_the_nearest_known_name(
    tmp_path: Path, profile_text: Render, old: str, new: str, expected: str
) -> None:
    path = _written(tmp_path, profile_text(old, new))
    with pytest.raises(ProfileError, match=expected) as caught:
        load_profile(path)
    assert str(path) in caught.value.detail
    assert caught.value.facts["errors"][0]["line"]


def test_the_line_of_a_wrong_field_is_the_line_in_the_file(tmp_path: Path, profile_text: Render) -> None:
    text = profile_text("time_unit: minutes", "time_unit: fortnights")
    line = 1 + text.splitlines().index("  time_unit: fortnights")
    with pytest.raises(ProfileError) as caught:
        load_profile(_written(tmp_path, text))
    assert caught.value.facts["errors"][0]["line"] == line


def test_a_missing_field_is_named(tmp_path: Path, profile_text: Render) -> None:
    with pytest.raises(ProfileError, match=r"work_results\.columns\.quantity .*missing"):
        load_profile(_written(tmp_path, profile_text("    quantity: pieces\n", "")))


def test_a_field_stated_twice_is_refused(tmp_path: Path, profile_text: Render) -> None:
    text = profile_text("time_unit: minutes", "time_unit: minutes\n  time_unit: hours")
    with pytest.raises(ProfileError, match=r"routings\.time_unit stands there twice"):
        load_profile(_written(tmp_path, text))


def test_text_that_is_no_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="line 3"):
        load_profile(_written(tmp_path, "name: tiny\nitems: [unclosed\n"))


def test_two_conditions_in_one_filter_are_refused(tmp_path: Path, profile_text: Render) -> None:
    two = "table: steps\n  filters:\n  - {column: seq, at_least: 1, at_most: 2}"
    with pytest.raises(ProfileError, match="exactly one of one_of"):
        load_profile(_written(tmp_path, profile_text("table: steps", two)))
