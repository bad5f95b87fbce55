"""Minutes of operations: right, honest, and with intervals that hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from shared.prediction.minutes.forms.lines import LinesForm
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import Observations
from tests.prediction.minutes_plant import SETUP, Plant, fit_plant, make_plant
from tests.prediction.prediction_factories import Factory

QUANTITIES = (1.0, 20.0, 500.0)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return fit_plant(make_plant())


def _everything(plant: Plant) -> np.ndarray[Any, Any]:
    return np.arange(len(plant.items.codes))


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("task", [0, 1])
def test_orders_of_withheld_items_are_near_the_truth(plant: Plant, quantity: float, task: int) -> None:
    places = _everything(plant)
    found = plant.ask(places, task).order(quantity)
    ratio = found[:, 1] / plant.order_minutes(task, places, quantity)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.median(np.abs(ratio - 1)) < 0.08
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[:, 1] < found[:, 2]).all()


def test_a_setup_that_one_order_in_ten_lacks_keeps_its_value() -> None:
    def skip(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {**row, "setup_minutes": 0.0} if rng.random() < 0.1 else row

    plant = fit_plant(make_plant(change=skip))
    places = _everything(plant)
    found = plant.ask(places, 0)
    assert np.median(found.minutes[:, 0]) == pytest.approx(SETUP["TURN"], rel=0.1)
    assert (found.high[:, 0] < 2 * SETUP["TURN"]).all()
    for quantity in QUANTITIES:
        ratio = found.order(quantity)[:, 1] / plant.order_minutes(0, places, quantity)
        assert np.median(ratio) == pytest.approx(1.0, abs=0.07)


def test_an_operation_that_never_books_a_setup_has_none() -> None:
    plant = fit_plant(make_plant(change=lambda row, rng: {**row, "setup_minutes": 0.0}))
    found = plant.ask(_everything(plant), 1)
    assert (found.minutes[:, 0] == 0).all()
    assert (found.high[:, 0] == 0).all()
    assert np.allclose(found.order(20.0)[:, 1], 20 * found.minutes[:, 1])


def test_disturbed_orders_do_not_move_the_estimate(plant: Plant) -> None:
    def stop(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {**row, "run_minutes": row["run_minutes"] * 10} if rng.random() < 0.06 else row

    places = _everything(plant)
    calm = plant.ask(places, 0).minutes[:, 1]
    disturbed = fit_plant(make_plant(change=stop)).ask(places, 0).minutes[:, 1]
    assert np.median(disturbed / calm) == pytest.approx(1.0, abs=0.06)
    assert np.abs(np.log(disturbed / calm)).max() < 0.25


def test_intervals_hold_for_parts_that_scatter_differently() -> None:
    plant = fit_plant(make_plant(items=360, scatter={"ring": 0.1, "disc": 0.5}))
    inside: dict[int, list[bool]] = {0: [], 1: []}
    widths: dict[int, list[float]] = {0: [], 1: []}
    places = _everything(plant)
    for task in range(2):
        found = plant.ask(places, task)
        for place in places.tolist():
            row = int(plant.routings.offsets[place]) + task
            for order in range(int(plant.orders.start[row]), int(plant.orders.start[row + 1])):
                low, _, high = found.order(float(plant.orders.quantity[order]))[place]
                family = int(plant.items.families[place])
                inside[family].append(bool(low <= plant.orders.minutes[order] <= high))
                widths[family].append(float(np.log(high / low)))
    for family in range(2):
        assert np.mean(inside[family]) == pytest.approx(0.8, abs=0.05)
    names = plant.items.family_names
    assert np.mean(widths[names.index("disc")]) > 2 * np.mean(widths[names.index("ring")])


@pytest.mark.parametrize("fold_count", [2, 5])
def test_no_figure_knows_the_own_results_of_an_item_asked_as_if_unknown(fold_count: int) -> None:
    factory = make_plant()
    plant = fit_plant(factory, fold_count=fold_count)
    place = 5
    sisters = [plant.items.codes[other] for other in plant.items.sisters(place).tolist()]
    assert len(sisters) == 2
    results = factory.work_results()
    mine = pl.col("item_code").is_in(sisters)
    altered = results.with_columns(
        pl.when(mine).then(pl.col("run_minutes") * 7).otherwise(pl.col("run_minutes")),
        pl.when(mine).then(pl.col("setup_minutes") * 3).otherwise(pl.col("setup_minutes")),
    )
    other = fit_plant(factory.changed(work_results=altered), fold_count=fold_count)
    places = plant.items.sisters(place)
    for task in range(2):
        before, after = plant.ask(places, task), other.ask(places, task)
        assert np.array_equal(before.order(20.0), after.order(20.0))
        assert np.array_equal(before.low, after.low)
        assert np.array_equal(before.trimmed_mean, after.trimmed_mean, equal_nan=True)
        assert not np.isin(before.used_row, plant.routings.offsets[places] + task).any()


def test_own_results_of_a_known_item_count_most() -> None:
    speeds = np.exp(np.random.default_rng(3).normal(0, 0.4, 240))

    def own_speed(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {**row, "run_minutes": row["run_minutes"] * speeds[int(row["item_code"][1:])]}

    plant = fit_plant(make_plant(orders=4, change=own_speed))
    places = _everything(plant)
    truth = (plant.order_minutes(0, places, 1.0) - SETUP["TURN"]) * speeds
    known, unknown = plant.ask(places, 0, known=True), plant.ask(places, 0)
    errors = [np.abs(np.log(found.minutes[:, 1] / truth)).mean() for found in (known, unknown)]
    assert errors[0] < 0.5 * errors[1]
    assert np.isin(plant.routings.offsets[places], known.used_row).all()
    assert not (unknown.used_row == plant.routings.offsets[places[unknown.used_request]]).any()
    width = [np.log(found.high / found.low)[:, 1].mean() for found in (known, unknown)]
    assert width[0] < 0.8 * width[1]


def test_a_batch_is_answered_like_each_item_alone(plant: Plant) -> None:
    places = np.arange(0, 240, 7)
    together = plant.ask(places, 0)
    for number, place in enumerate(places.tolist()):
        alone = plant.ask(np.array([place]), 0)
        assert np.allclose(alone.order(20.0)[0], together.order(20.0)[number], rtol=1e-6)
        assert alone.samples[0] == together.samples[number]


def test_an_operation_never_seen_takes_its_plan(plant: Plant) -> None:
    places = np.array([3, 4])
    near, views = plant.near(places), plant.items.folds[places].astype(np.int64)
    plan = np.array([[30.0, 4.0], [np.nan, np.nan]])
    nothing = np.full(2, -1)
    found = plant.model.estimate(
        plant.seen,
        near,
        views,
        plant.vectors[places],
        plant.rows[places],
        np.arange(2),
        nothing,
        nothing,
        plan,
        nothing,
    )
    assert found.minutes[0] == pytest.approx([30.0, 4.0], rel=0.01)
    assert (found.minutes[1] > 0).all()
    assert (found.samples == 0).all()
    assert np.isnan(found.trimmed_mean).all()
    assert (found.order(10.0)[:, 2] > found.order(10.0)[:, 0]).all()


def test_a_plant_without_results_answers_by_its_plans() -> None:
    factory = make_plant(items=120)
    plant = fit_plant(factory.changed(work_results=factory.work_results().head(0)))
    places = _everything(plant)
    found = plant.ask(places, 0)
    assert np.median(found.order(20.0)[:, 1] / plant.order_minutes(0, places, 20.0)) == pytest.approx(1.0, abs=0.05)
    assert (found.samples == 0).all()


def test_the_state_gives_the_same_model(plant: Plant) -> None:
    places = np.arange(10)
    model = MinutesModel.from_state(plant.model.state())
    again = Plant(**{**vars(plant), "model": model, "seen": Observations.from_state(plant.seen.state())})
    assert np.array_equal(again.ask(places, 1).order(4.0), plant.ask(places, 1).order(4.0))


def test_the_same_plant_gives_the_same_model(plant: Plant) -> None:
    again = fit_plant(make_plant())
    mine, others = plant.model.form, again.model.form
    assert isinstance(mine, LinesForm)
    assert isinstance(others, LinesForm)
    assert np.array_equal(others.slopes, mine.slopes)
    assert np.array_equal(again.model.scores, plant.model.scores)


def _few_booked(plan_of: Callable[[float, np.random.Generator], float | None]) -> Factory:
    """Return a plant in which one item in eight was booked, with these plans of its run minutes."""
    rng = np.random.default_rng(3)

    def few(row: dict[str, Any], _: np.random.Generator) -> dict[str, Any]:
        return row if int(row["item_code"][1:]) % 8 == 1 else {**row, "quantity": 0.0}

    factory = make_plant(items=480, orders=1, scatter={"ring": 0.4, "disc": 0.4}, change=few)
    plans = [plan_of(minutes, rng) for minutes in factory.routings()["run_minutes_per_unit"]]
    routings = factory.routings().with_columns(run_minutes_per_unit=pl.Series(plans, dtype=pl.Float64))
    return factory.changed(routings=routings)


def _error(factory: Factory) -> float:
    """Return the median error of withheld items' run minutes."""
    plant = fit_plant(factory)
    places = _everything(plant)
    truth = plant.order_minutes(0, places, 1.0) - SETUP["TURN"]
    return float(np.median(np.abs(np.log(plant.ask(places, 0).minutes[:, 1] / truth))))


def test_plans_of_items_never_booked_help_where_few_were_booked() -> None:
    without = _error(_few_booked(lambda minutes, rng: None))
    helped = _error(_few_booked(lambda minutes, rng: 1.6 * minutes * float(np.exp(rng.normal(0, 0.1)))))
    assert helped < 0.75 * without


def test_plans_that_say_nothing_do_no_harm() -> None:
    without = _error(_few_booked(lambda minutes, rng: None))
    assert _error(_few_booked(lambda minutes, rng: float(rng.uniform(1, 60)))) < 1.15 * without


def test_an_operation_that_never_scatters_is_said_as_it_is_and_widens_no_other() -> None:
    def even(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        same = {"setup_minutes": 30.0, "run_minutes": 7.0 * row["quantity"]}
        return {**row, **same} if row["operation_code"] == "TURN" else row

    plant = fit_plant(make_plant(change=even))
    places = _everything(plant)
    found = plant.ask(places, 0)
    for quantity in QUANTITIES:
        assert found.order(quantity) == pytest.approx(np.full((len(places), 3), 30.0 + 7.0 * quantity), rel=1e-3)
    assert found.high - found.low == pytest.approx(np.zeros((len(places), 2)), abs=0.01)
    other = plant.ask(places, 1)
    booked = [plant.orders.run[plant.orders.row == row] for row in plant.routings.offsets[places] + 1]
    inside = [
        (runs >= low) & (runs <= high)
        for runs, low, high in zip(booked, other.low[:, 1], other.high[:, 1], strict=True)
    ]
    assert 0.74 < np.concatenate(inside).mean() < 0.86


def test_an_operation_without_any_plan_is_learned_from_the_few_that_booked_it() -> None:
    factory = _few_booked(lambda minutes, rng: None)
    reports = factory.work_results()
    factory = factory.changed(work_results=reports.filter(pl.col("item_code").is_in(["I0001", "I0009", "I0017"])))
    plant = fit_plant(factory)
    booked = plant.orders.run[plant.routings.task[plant.orders.row] == 0]
    said = plant.ask(_everything(plant), 0).minutes[:, 1]
    assert booked.min() * 0.8 < np.median(said) < booked.max() * 1.25
