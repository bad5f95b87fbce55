"""What the `{name}` places in the paths of bindings are filled with."""

import json
import re

import pytest

from funchost.bindingdata import BindingData, fill, properties_of


def test_names_are_found_whatever_their_case_and_a_later_layer_wins() -> None:
    data = BindingData({"Id": "of the message", "Name": "a"}, {"id": "of the body"})
    assert fill("{ID}/{name}", data) == "of the body/a"


def test_members_of_objects_are_reached_by_dots() -> None:
    data = BindingData({"Metadata": {"Line": "7", "deep": {"er": 2}}})
    assert fill("x/{metadata.line}/{metadata.deep.er}", data) == "x/7/2"
    with pytest.raises(ValueError, match=re.escape("{metadata.deep}")):
        fill("{metadata.deep}", data)


def test_braces_can_be_real_and_must_pair() -> None:
    assert fill("{{{a}}}", BindingData({"a": "1"})) == "{1}"
    with pytest.raises(ValueError, match="gives no value"):
        fill("{", BindingData())
    with pytest.raises(ValueError, match="gives no value"):
        fill("{b}", BindingData({"a": "1"}))


def test_new_ids_and_the_time_need_no_trigger() -> None:
    first, second = (fill("{rand-guid}", BindingData()) for _ in range(2))
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", fill("{DateTime}", BindingData()))


def test_the_members_of_a_json_object_become_texts() -> None:
    text = json.dumps({"a": "x", "n": 3, "f": 2.0, "g": 1.5, "yes": True, "no": None, "list": [1], "o": {"p": 1}})
    assert properties_of(text) == {"a": "x", "n": "3", "f": "2", "g": "1.5", "yes": "True", "o": {"p": 1}}


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a":', "7", '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_other_texts_have_no_members(text: str) -> None:
    assert properties_of(text) == {}
