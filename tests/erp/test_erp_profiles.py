import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.erp.canonical import AttributeKind
from shared.erp.profiles.model import (
    Profile,
    RoutingColumns,
    WorkResultColumns,
    known_profiles,
    load_profile,
    parse_profile,
)
from shared.errors import ProfileError
from shared.settings import PROJECT_DIR
from tests.erp.erp_support import DOCUMENT, TinyFactory
from tests.erp.profile_mistakes import MISTAKES

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


@pytest.mark.parametrize(("old", "new", "field", "said"), MISTAKES, ids=[f"{m[2]}-{m[3]}" for m in MISTAKES])
def test_a_typical_mistake_is_one_sentence_with_its_field_line_and_what_to_write(
    tmp_path: Path, profile_text: Render, old: str, new: str, field: str, said: str
) -> None:
    text = profile_text(old, new)
    path = _written(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    problems = {problem["field"]: problem for problem in caught.value.facts["errors"]}
    assert field in problems, problems
    assert said in problems[field]["message"]
    assert caught.value.detail.startswith(f"{path}: ")
    last = field.rpartition(".")[2]
    line = problems[field]["line"]
    if f"{last}:" in new:
        assert f"{last}:" in text.splitlines()[line - 1]
    assert caught.value.detail.count(problems[field]["message"]) == 1


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just text\n"])
def test_a_file_that_holds_no_fields_is_said_so(tmp_path: Path, content: str) -> None:
    with pytest.raises(ProfileError, match=r"\(document\).*where fields \(name: value\) belong"):
        load_profile(_written(tmp_path, content))


def test_a_day_that_no_calendar_has_is_refused(tmp_path: Path, profile_text: Render) -> None:
    wrong = "  table: steps\n  filters: [{column: seq, at_least: 2024-02-31}]"
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(_written(tmp_path, profile_text("  table: steps", wrong)))


_FIELDS = st.sampled_from(
    sorted({field for model in (RoutingColumns, WorkResultColumns) for field in model.model_fields})
)


@given(field=_FIELDS, place=st.integers(0, 30), letter=st.sampled_from("abcxyz_"))
def test_a_slip_of_one_letter_is_told_the_name_that_was_meant(field: str, place: int, letter: str) -> None:
    slip = field[: place % len(field)] + letter + field[place % len(field) :]
    model = RoutingColumns if field in RoutingColumns.model_fields else WorkResultColumns
    table = "routings" if model is RoutingColumns else "work_results"
    document = copy.deepcopy(DOCUMENT)
    document[table]["columns"][slip] = "some_column"
    with pytest.raises(ProfileError) as caught:
        parse_profile(document, source="slip.yaml")
    problem = caught.value.facts["errors"][0]
    assert problem["field"] == f"{table}.columns.{slip}"
    assert "did you mean" in problem["message"]


FILTERS: list[tuple[dict[str, object], list[str]]] = [
    ({"column": "state", "one_of": [" released ", "NEW"]}, ["a", "b", "c"]),
    ({"column": "state", "one_of": ["new"], "keep_empty": False}, ["b"]),
    ({"column": "state", "not_one_of": ["OLD"]}, ["a", "b", "c"]),
    ({"column": "state", "contains": ["ELE", "ew"]}, ["a", "b", "c"]),
    ({"column": "state", "not_contains": ["l"], "keep_empty": False}, ["b"]),
    ({"column": "state", "starts_with": ["re", "o"], "keep_empty": False}, ["a", "d"]),
    ({"column": "seq", "at_least": 20}, ["b", "c", "d"]),
    ({"column": "from", "at_most": "2024-12-31"}, ["a", "b", "d"]),
    ({"column": "from", "newer_than_days": 300}, ["b", "c"]),
    ({"column": "from", "newer_than_days": 300, "keep_empty": False}, ["c"]),
    ({"valid_from": "from", "valid_to": "to"}, ["a", "b"]),
    ({"valid_to": "to"}, ["a", "b", "c"]),
    ({"valid_from": "from", "valid_to": "to", "keep_empty": False}, ["a"]),
]


@pytest.mark.parametrize(("condition", "kept"), FILTERS, ids=[str(sorted(f[0])) for f in FILTERS])
def test_a_filter_keeps_the_rows_that_meet_it_and_counts_the_others(
    factory: TinyFactory, condition: dict[str, object], kept: list[str]
) -> None:
    factory.write(
        "steps.csv",
        "code,seq,job,where,setup,run,state,from,to\n"
        "007,10,a,Y,1,1,Released,2024-01-01,2999-12-31\n"
        "007,20,b,Y,1,1, new ,,\n"
        "007,30,c,Y,1,1,,2025-06-02,2026-01-01\n"
        "007,40,d,Y,1,1,Old,2020-01-01,2025-05-31\n",
    )
    factory.document["routings"]["filters"] = [condition]
    snapshot = factory.extract()
    assert sorted(snapshot.routings()["operation_code"]) == kept
    counted = [count for reason, count in snapshot.issues["routings"].items() if "left out by the filter" in reason]
    assert sum(counted) == 4 - len(kept)


def test_cells_that_a_filter_cannot_read_are_counted_apart(factory: TinyFactory) -> None:
    steps = "code,seq,job,where,setup,run,from\n7,10,a,Y,1,1,01.02.2024\n7,20,b,Y,1,1,2025-01-01\n7,30,c,Y,1,x1,\n"
    factory.write("steps.csv", steps.replace("7,", "007,"))
    factory.document["routings"]["filters"] = [
        {"column": "from", "at_most": "2024-12-31"},
        {"column": "run", "at_least": 1},
    ]
    assert factory.extract().issues["routings"] == {
        "filter column from is not a date": 1,
        "left out by the filter on from": 1,
        "filter column run is not a number": 1,
    }


def test_today_is_the_day_of_an_old_export_where_the_profile_names_it(factory: TinyFactory) -> None:
    header = "code,seq,job,where,setup,run,from,to"
    steps = ["007,10,OLD,Y,1,1,,2024-06-30", "007,20,THEN,Y,1,1,2024-05-01,", "007,30,NEW,Y,1,1,2024-07-01,"]
    factory.write("steps.csv", "\n".join([header, *steps]) + "\n")
    factory.write(
        "reports.csv",
        "code,seq,job,day,pieces,setup_hours,run_hours\n"
        "007,10,OLD,2024-01-01,1,0,1\n007,10,OLD,2024-06-01,1,0,1\n007,20,NEW,2024-07-02,1,0,1\n",
    )
    factory.document["routings"]["filters"] = [{"valid_from": "from", "valid_to": "to"}]
    factory.document["work_results"]["believable"] = {"maximum_age_days": 100}
    factory.document["source"] = {"as_of": "2024-07-01"}
    snapshot = factory.extract()
    assert snapshot.routings()["operation_code"].to_list() == ["THEN", "NEW"]
    assert snapshot.issues["work_results"] == {
        "left out: older than 100 days": 1,
        "not believable: reported in the future": 1,
    }


BELIEVABLE: list[tuple[dict[str, object], str, int]] = [
    ({"minimum_quantity": 5}, "not believable: under 5 pieces", 2),
    ({"maximum_quantity": 10}, "not believable: over 10 pieces", 1),
    ({"maximum_setup_minutes": 40}, "not believable: setup over 40 minutes", 1),
    ({"maximum_minutes": 100}, "not believable: over 100 minutes", 2),
    ({"minimum_run_minutes": 12}, "not believable: at most 12 minutes of run time", 1),
    ({"maximum_run_minutes_per_unit": 10}, "not believable: run over 10 minutes a piece", 1),
    ({"excluded_operations": ["WAIT", "COAT"]}, "left out: an excluded operation", 1),
    ({"maximum_age_days": 60}, "left out: older than 60 days", 1),
]


@pytest.mark.parametrize(("rule", "reason", "count"), BELIEVABLE, ids=[next(iter(b[0])) for b in BELIEVABLE])
def test_work_that_a_rule_does_not_believe_is_counted_under_it(
    factory: TinyFactory, rule: dict[str, object], reason: str, count: int
) -> None:
    factory.write(
        "reports.csv",
        "code,seq,job,day,pieces,setup_hours,run_hours\n"
        "007,10,TURN,2025-05-01,4,0.1,0.2\n"
        "007,20,COAT,2025-05-02,3,1,1\n"
        "8,10,TURN,2025-01-02,50,,3\n",
    )
    factory.document["work_results"]["believable"] = rule
    snapshot = factory.extract()
    assert snapshot.issues["work_results"] == {reason: count}
    assert snapshot.rows["work_results"] == 3 - count


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in (field.annotation, *_inside(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _field_names(inner)


def _inside(annotation: object) -> Iterator[object]:
    for inner in get_args(annotation):
        yield inner
        yield from _inside(inner)


def test_the_document_explains_every_field_and_its_examples_are_valid() -> None:
    text = (PROJECT_DIR / "docs" / "PROFILES.md").read_text(encoding="utf-8")
    missing = {name for name in _field_names(Profile) if not re.search(rf"\b{name}\b", text)}
    assert missing == set()
    whole, filters, *parts = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    parse_profile(whole, source="the first example")
    parse_profile(whole | {"routings": whole["routings"] | filters}, source="the filters")
    for part in parts:
        document = copy.deepcopy(whole)
        for table, fields in part.items():
            document.setdefault(table, {}).update(fields)
            if "sql" in fields:
                del document[table]["table"]
        parse_profile(document, source="an example")
