"""What a model knows of operations and attributes, counted again by hand from the factory's tables."""

from collections import Counter
from statistics import median
from typing import Any, cast

import pytest

from shared.configuration import default_configuration
from shared.prediction.fit import fit_model
from shared.prediction.known_values import KnownValues
from shared.prediction.model import RoutingModel
from tests.prediction.prediction_factories import ATTRIBUTES, make_factory


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    """The planned steps of the factory; each of its items has one routing."""
    return make_factory().routings().to_dicts()


def test_every_operation_is_told_as_the_routings_have_it(tiny_model: RoutingModel, steps: list[dict[str, Any]]) -> None:
    rows, total = tiny_model.known_operations.find("", limit=100, offset=0)
    assert total == len(rows) == len({step["operation_code"] for step in steps})
    assert [row.items for row in rows] == sorted((row.items for row in rows), reverse=True)
    for row in rows:
        mine = [step for step in steps if step["operation_code"] == row.operation_code]
        assert (row.steps, row.items) == (len(mine), len({step["item_code"] for step in mine}))
        assert row.setup_minutes == pytest.approx(median(step["setup_minutes"] for step in mine))
        assert row.run_minutes_per_unit == pytest.approx(median(step["run_minutes_per_unit"] for step in mine))
        said = Counter(step["inside"] for step in mine)
        assert row.outsourced_share == pytest.approx(said[False] / (said[True] + said[False]))
        assert row.inside is (said[True] >= said[False])
        assert {centre.resource_code: centre.steps for centre in row.work_centres} == Counter(
            step["resource_code"] for step in mine
        )
        assert row.operation_name == Counter(step["operation_name"] for step in mine).most_common(1)[0][0]
    wash = next(row for row in rows if row.operation_code == "WASH")
    assert wash.steps > wash.items  # a ring is washed twice


def test_operations_are_found_by_code_and_name_the_beginnings_first(tiny_model: RoutingModel) -> None:
    known = tiny_model.known_operations
    assert [row.operation_code for row in known.find("pa", limit=5, offset=0)[0]] == ["PACK"]
    found, total = known.find("P", limit=50, offset=0)
    assert total == len(found)
    starts = [row.operation_code.startswith("P") for row in found]
    assert starts == sorted(starts, reverse=True)
    assert [row.operation_code for row in known.find("p", limit=1, offset=1)[0]] == [found[1].operation_code]
    assert known.find("no such thing", limit=5, offset=0) == ([], 0)


def test_attributes_tell_their_frequent_values_and_ranges(tiny_model: RoutingModel) -> None:
    items = make_factory().items()
    told = {each.name: each for each in tiny_model.known_values.all}
    assert list(told) == [attribute.name for attribute in ATTRIBUTES]
    for name, each in told.items():
        values: list[Any] = [value for value in items[name].to_list() if value is not None]
        assert (each.filled, each.distinct) == (len(values), len(set(values)))
        if each.kind in ("numeric", "date"):
            shown: list[Any] = [str(value) for value in values] if each.kind == "date" else values
            low, middle, high = cast("tuple[Any, Any, Any]", (each.low, each.median, each.high))
            assert min(shown) <= low <= middle <= high <= max(shown)
            assert each.values == []
            assert sum(low <= value <= high for value in shown) >= 0.97 * len(shown)
        else:
            counts = {value: count for value, count in Counter(values).items() if count > 1}
            assert {value.value: value.items for value in each.values} == counts or len(each.values) == 50
            assert all(counts[value.value] == value.items for value in each.values)
            assert (each.low, each.median, each.high) == (None, None, None)


def test_an_attribute_that_nothing_has_is_told_so() -> None:
    frame = make_factory().items().clear()
    for each in KnownValues(frame, ATTRIBUTES).all:
        assert (each.filled, each.values, each.low, each.high) == (0, [], None, None)


def test_settings_of_the_moment_do_not_make_it_be_worked_out_again(tiny_model: RoutingModel) -> None:
    other = tiny_model.under(default_configuration().prediction)
    assert other.known_values is tiny_model.known_values
    assert other.known_operations is tiny_model.known_operations
    assert tiny_model.known_values.all is tiny_model.known_values.all


def test_an_item_of_its_own_without_work_centres_has_none_told() -> None:
    factory = make_factory()
    import polars as pl

    bare = factory.routings().with_columns(
        pl.lit(None, pl.String).alias("resource_code"), pl.lit(None, pl.Boolean).alias("inside"),
        pl.lit(None, pl.Float64).alias("setup_minutes"),
    )  # fmt: skip
    model = fit_model(factory.changed(routings=bare), default_configuration())
    for row in model.known_operations.find("", limit=50, offset=0)[0]:
        assert (row.work_centres, row.inside, row.outsourced_share, row.setup_minutes) == ([], None, None, None)
