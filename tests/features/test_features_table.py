"""What trees read: the same for one row and for many, bounded, and saying what the attributes say."""

from typing import Any

import numpy as np
import pytest

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.table import FeatureTable
from tests.features.samples import ATTRIBUTES, make_columns


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    return make_columns()


@pytest.fixture(scope="module")
def table(columns: dict[str, list[Any]]) -> FeatureTable:
    return FeatureTable.fit(ATTRIBUTES, columns)


def test_one_row_equals_its_row_among_all(table: FeatureTable, columns: dict[str, list[Any]]) -> None:
    rows = table.rows(columns)
    for place in range(0, len(rows), 7):
        alone = table.row({name: values[place] for name, values in columns.items()})
        assert np.array_equal(alone, rows[place], equal_nan=True)


def test_a_restored_table_gives_the_same_rows(table: FeatureTable, columns: dict[str, list[Any]]) -> None:
    again = FeatureTable.from_state(table.state())
    assert np.array_equal(again.rows(columns), table.rows(columns), equal_nan=True)
    assert again.names == table.names
    assert again.attribute_of.tolist() == table.attribute_of.tolist()
    assert again.categorical.tolist() == table.categorical.tolist()


def test_numbers_in_texts_and_texts_without_them_are_read() -> None:
    attributes = (Attribute(name="NAME", kind=AttributeKind.TEXT),)
    names = [f"{'SLEEVE' if n % 2 else 'GLAND'} {n},5 X {n}" for n in range(1, 60)]
    table = FeatureTable.fit(attributes, {"NAME": names})
    row = dict(zip(table.names, table.row({"NAME": "gland  77.5 x 3"}).tolist(), strict=True))
    assert (row["NAME#1"], row["NAME#2"]) == (77.5, 3.0)
    other = dict(zip(table.names, table.row({"NAME": "GLAND 2,5 X 2"}).tolist(), strict=True))
    assert row["NAME~pattern"] == other["NAME~pattern"]


def test_what_was_never_seen_is_the_last_category_and_missing_is_nan(table: FeatureTable) -> None:
    place = table.names.index("PART")
    known = {int(table.row({"PART": f"P{n}"})[place]) for n in range(90)}
    assert int(table.row({"PART": "never seen"})[place]) >= max(known)
    assert np.isnan(table.row({"PART": None})[place])
    assert table.categorical[place]


def test_drawings_and_attributes_without_weight_are_left_out() -> None:
    attributes = (
        Attribute(name="SIZE", kind=AttributeKind.NUMERIC, weight=0.0),
        Attribute(name="DRAWING", kind=AttributeKind.CODE, drawing=True),
        Attribute(name="KIND", kind=AttributeKind.CATEGORICAL),
    )
    table = FeatureTable.fit(attributes, {"SIZE": [1.0, 2.0], "DRAWING": ["A", "B"], "KIND": ["K", "K"]})
    assert table.names == ["KIND"]
    assert table.attribute_of.tolist() == [2]


def test_numbers_that_name_things_are_not_read_as_sizes() -> None:
    attributes = (
        Attribute(name="SERIES", kind=AttributeKind.CODE), Attribute(name="CUSTOMER", kind=AttributeKind.CATEGORICAL),
        Attribute(name="WIDTH", kind=AttributeKind.CATEGORICAL),
    )  # fmt: skip
    columns = {
        "SERIES": [f"G{n}" for n in range(600)],
        "CUSTOMER": [f"C{n % 40:03d}" for n in range(600)],
        "WIDTH": [f"{8 + n % 30} MM" for n in range(600)],
    }
    names = FeatureTable.fit(attributes, columns).names
    assert [name for name in names if name.startswith("SERIES")] == []
    assert [name for name in names if name.startswith("CUSTOMER")] == ["CUSTOMER"]
    assert "WIDTH#1" in names


def test_frequent_texts_with_numbers_stay_categories_however_many_rare_ones_there_are() -> None:
    attributes = (
        Attribute(name="PART", kind=AttributeKind.CATEGORICAL),
        Attribute(name="SERIAL", kind=AttributeKind.CATEGORICAL),
    )
    frequent, rare = [f"102#{n % 20}" for n in range(900)], [f"9{n}#{n}X" for n in range(400)]
    columns = {"PART": frequent + rare, "SERIAL": [f"S{n}-{n % 7}" for n in range(1_300)]}
    table = FeatureTable.fit(attributes, columns)
    place = table.names.index("PART")
    assert table.row({"PART": "102#3"})[place] != table.row({"PART": "102#4"})[place]
    assert "SERIAL" not in table.names  # nearly every item has its own


def test_a_word_is_found_in_every_text_whatever_signs_are_around_it() -> None:
    attributes = (
        Attribute(name="NAME", kind=AttributeKind.TEXT), Attribute(name="METAL", kind=AttributeKind.CATEGORICAL),
    )  # fmt: skip
    columns = {
        "NAME": [f"{'RING, ' if n % 2 else 'SHAFT '}{n}" for n in range(200)],
        "METAL": [("CAST IRON", "CAST STEEL", "ROLLED STEEL")[n % 3] for n in range(200)],
    }
    table = FeatureTable.fit(attributes, columns)

    def words(**values: str) -> set[str]:
        row = table.row(values)
        return {name for name, value in zip(table.names, row.tolist(), strict=True) if name[0] == ":" and value}

    assert words(NAME="(ring) 5", METAL="BRONZE") == {":RING"} == words(NAME="RING 5", METAL="BRONZE")
    assert words(NAME="5", METAL="rolled steel") & {":STEEL", ":ROLLED"} == words(NAME="ROLLED STEEL", METAL="") - {
        ":SHAFT"
    }
