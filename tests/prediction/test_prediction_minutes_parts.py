"""The parts that minutes are made of: joined orders, undivided times, scatter, groupings, profiles."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from shared.prediction.memory import build_items, build_routings, choose_current
from shared.prediction.minutes import lessons, regression
from shared.prediction.minutes.forms.lines import LinesForm
from shared.prediction.minutes.groups import fit_groups
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import condense
from shared.prediction.minutes.orders import Orders, arrange_orders
from shared.prediction.minutes.profiles import Strategy, order_times, time_profiles, value_profile
from shared.prediction.minutes.scatter import order_quantile, order_score, setup_quantile
from shared.prediction.minutes.solver import PartSolver
from shared.prediction.minutes.views import Views
from tests.prediction.minutes_plant import ATTRIBUTES, DAY, SETUP, fit_plant, make_plant, piece_minutes
from tests.prediction.prediction_factories import Factory, assemble, result_row, routing_row

STRATEGIES = get_args(Strategy)


def _arranged(factory: Factory) -> tuple[Any, Any, Orders]:
    items = build_items(factory.items(), factory.attributes)
    routings = build_routings(choose_current(factory.routings(), DAY), items)
    orders = arrange_orders(factory.work_results(), items, routings, day=DAY, half_life_days=100.0, trim_share=0.05)
    return items, routings, orders


def _item(code: str) -> dict[str, Any]:
    return {"item_code": code, "PART": "ring", "SIZE": 10.0, "DRAWING": code}


def test_results_join_by_sequence_else_the_first_of_their_operation() -> None:
    steps = [routing_row("A", 10, "WASH"), routing_row("A", 20, "TURN"), routing_row("A", 30, "WASH")]
    booked = [
        result_row("A", 30, "WASH", order_no="exact", quantity=1.0),
        result_row("A", 99, "WASH", order_no="old numbers", quantity=2.0),
        result_row("A", 20, "SAW", order_no="not in the routing"),
        result_row("B", 10, "WASH", order_no="unknown item"),
        result_row("A", 20, "TURN", order_no="no pieces", quantity=0.0),
        result_row("A", 20, "TURN", order_no="less than nothing", run_minutes=-1.0),
    ]
    _, _, orders = _arranged(assemble([_item("A")], steps, booked, ATTRIBUTES))
    assert dict(zip(orders.row.tolist(), orders.quantity.tolist(), strict=True)) == {0: 2.0, 2: 1.0}
    assert orders.elsewhere.tolist() == [1]


def test_reports_of_one_order_are_one_order() -> None:
    steps = [routing_row("A", 10, "WASH"), routing_row("A", 20, "TURN"), routing_row("A", 30, "WASH")]
    parts = {"setup_minutes": None, "run_minutes": 480.0}
    booked = [
        result_row("A", 20, "TURN", order_no="W1", quantity=0.0, setup_minutes=30.0, run_minutes=0.0),
        result_row("A", 20, "TURN", order_no="W1", quantity=40.0, setup_minutes=None, run_minutes=80.0),
        result_row("A", 20, "TURN", order_no="W1", quantity=60.0, setup_minutes=5.0, run_minutes=120.0),
        *(result_row("A", 10, "WASH", order_no=None, quantity=10.0, **parts) for _ in range(2)),
        *(result_row("A", 30, "WASH", order_no="W1", quantity=10.0, **parts) for _ in range(3)),
        *(result_row("A", 40, "SAW", order_no="W1") for _ in range(3)),
        result_row("A", 40, "SAW", order_no="W2"),
    ]
    _, routings, orders = _arranged(assemble([_item("A")], steps, booked, ATTRIBUTES))
    seen = condense(orders, routings)
    assert orders.row.tolist() == [0, 0, 1, 2]
    assert orders.quantity.tolist() == [10.0, 10.0, 100.0, 30.0]
    assert orders.minutes.tolist() == [480.0, 480.0, 235.0, 1440.0]
    assert orders.setup[2] == 35.0
    assert seen.orders.tolist() == [2, 1, 1]
    assert orders.elsewhere.tolist() == [2]


def test_orders_booked_by_shift_are_foretold_as_one() -> None:
    factory = make_plant(items=200, orders=3, scatter={"ring": 0.1, "disc": 0.1})
    whole = factory.work_results().with_columns(
        setup_minutes=pl.lit(None, dtype=pl.Float64), run_minutes=pl.col("run_minutes") + pl.col("setup_minutes")
    )
    shifts = whole.with_columns(
        shift=pl.int_ranges(0, (pl.col("run_minutes") / 60).ceil().clip(1, 40).cast(pl.Int64))
    ).with_columns(number=pl.col("shift").list.len())
    shifts = shifts.explode("shift").with_columns(
        quantity=pl.col("quantity") / pl.col("number"), run_minutes=pl.col("run_minutes") / pl.col("number")
    )
    by_order, by_shift = (
        fit_plant(factory.changed(work_results=results.select(whole.columns))) for results in (whole, shifts)
    )
    places = np.arange(len(by_order.items.codes))
    for quantity in (1.0, 500.0):
        wanted, found = (plant.ask(places, 0).order(quantity) for plant in (by_order, by_shift))
        assert found == pytest.approx(wanted, rel=1e-3)


def test_reports_that_ended_years_ago_count_like_new_ones() -> None:
    factory = make_plant(items=60)
    _, _, recent = _arranged(factory)
    _, _, old = _arranged(factory.changed(work_results=factory.work_results().with_columns(
        pl.col("reported_at").dt.offset_by("-3650d")
    )))  # fmt: skip
    assert np.array_equal(old.weight, recent.weight)
    assert recent.weight.max() == 1.0
    assert recent.weight.min() == pytest.approx(0.5 ** (20 / 100))


def test_trimmed_orders_are_counted_and_left_out() -> None:
    booked = [result_row("A", 10, "TURN", order_no=f"W{n}", run_minutes=40.0 + n) for n in range(7)]
    booked.append(result_row("A", 10, "TURN", order_no="stopped", run_minutes=4_000.0))
    _, routings, orders = _arranged(assemble([_item("A")], [routing_row("A", 10, "TURN")], booked, ATTRIBUTES))
    seen = condense(orders, routings)
    assert seen.trimmed.tolist() == [1]
    assert seen.orders.tolist() == [7]
    assert seen.trimmed_mean[0] == pytest.approx(4.3)
    assert seen.raw_mean[0] > 40


def test_setup_is_recovered_from_one_undivided_time() -> None:
    factory = make_plant(items=300, orders=4)
    whole = factory.work_results().with_columns(
        run_minutes=pl.col("run_minutes") + pl.col("setup_minutes"), setup_minutes=pl.lit(None, dtype=pl.Float64)
    )
    planless = factory.routings().with_columns(setup_minutes=pl.lit(None, dtype=pl.Float64))
    plant = fit_plant(factory.changed(work_results=whole, routings=planless))
    places = np.arange(len(plant.items.codes))
    found = plant.ask(places, 0)
    assert np.median(found.minutes[:, 0]) == pytest.approx(SETUP["TURN"], rel=0.25)
    for quantity in (1.0, 4.0, 100.0):
        ratio = found.order(quantity)[:, 1] / plant.order_minutes(0, places, quantity)
        assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("idle", [0.0, 0.1, 0.6, 1.0])
def test_scores_and_quantiles_of_orders_are_each_others_inverse(idle: float) -> None:
    score = np.linspace(-4, 4, 33)
    same = (np.full(33, 45.0), np.full(33, 12.0), np.full(33, idle), np.full(33, 0.2))
    minutes = order_quantile(score, *same)
    assert (np.diff(minutes) > 0).all()
    assert order_score(minutes, *same) == pytest.approx(score, abs=1e-6)


def test_quantiles_of_a_setup_follow_the_share_of_orders_without_one() -> None:
    score = np.log(np.array([0.05, 0.5, 0.95]) / np.array([0.95, 0.5, 0.05]))
    same = (np.full(3, np.log(45.0)), np.full(3, 0.1))
    assert setup_quantile(score, same[0], np.full(3, 0.3), same[1])[0] == 0
    assert setup_quantile(score, same[0], np.zeros(3), same[1])[1] == pytest.approx(45.0)
    assert 30 < setup_quantile(score, same[0], np.full(3, 0.3), same[1])[1] < 45


def test_a_kind_that_scatters_more_gets_a_greater_factor_and_alike_ones_the_same() -> None:
    rng = np.random.default_rng(1)
    family = rng.integers(0, 20, 20_000)
    scores = rng.normal(0, np.where(family == 7, 2.0, 1.0))
    rows = np.stack([np.zeros(len(family)), family], axis=1).astype(np.float32)
    groups = fit_groups(scores, rows, np.array([True, True]), np.ones(len(family)))
    assert groups.features.tolist() == [1]
    factors = groups.of_items(np.array([[0, kind] for kind in range(21)], dtype=np.float32))
    alike = np.delete(factors[:20], 7)
    assert factors[7] / np.median(alike) == pytest.approx(2.0, rel=0.1)
    assert alike.max() / alike.min() < 1.15
    assert factors[20] == 1.0


@pytest.mark.parametrize("fold_count", [2, 3, 5])
def test_every_view_is_measured_without_its_fold(fold_count: int) -> None:
    factory = make_plant(items=60)
    items = build_items(factory.items(), factory.attributes, fold_count=fold_count)
    views = Views.of(items)
    for view in range(fold_count):
        assert np.array_equal(views.outside(view), items.folds != view)
        for part in np.flatnonzero(views.outside_parts(view)).tolist():
            left = views.apart(view, part)
            assert views.without(view) < left
            assert left in views.pairs
    assert views.outside(fold_count).all()
    assert all(len({int(views.parts[one]) for one in items.sisters(place)}) == 1 for place in range(60))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_optimistic_is_never_above_standard_nor_standard_above_safe(strategy: Strategy) -> None:
    rng = np.random.default_rng(2)
    for values in (rng.lognormal(2, 1, 40), np.full(9, 3.0), np.array([0.0, 0.0, 900.0])):
        found = value_profile(values, strategy)
        assert found is not None
        assert 0 <= found["profile"]["OPT"] <= found["profile"]["STD"] <= found["profile"]["SAFE"]
    assert value_profile(np.array([1.0, 2.0]), strategy) is None


def test_strategies_average_what_they_say() -> None:
    values = np.array([*np.full(38, 10.0), 0.0, 1_000.0])
    raw, trimmed = value_profile(values, "z_score"), value_profile(values, "trimmed")
    assert raw is not None
    assert trimmed is not None
    assert raw["raw"]["over_3"] == 1
    assert raw["profile"]["STD"] == pytest.approx(values.mean())
    assert trimmed["profile"] == {"OPT": 10.0, "STD": 10.0, "SAFE": 10.0}
    assert trimmed["trimmed"]["samples"] == 36


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_profiles_of_estimates_are_in_order_and_near_each_other(strategy: Strategy) -> None:
    plant = fit_plant(make_plant(items=120))
    places = np.arange(0, 120, 11)
    found = plant.ask(places, 0)
    times = order_times(found, 20.0, strategy)
    assert all((early <= late).all() for early, late in pairwise(times.T))
    assert np.median(times[:, 1] / found.order(20.0)[:, 1]) == pytest.approx(1.0, abs=0.35)


def test_the_document_of_time_profiles_tells_each_operation_apart() -> None:
    factory = make_plant(items=60)
    _, routings, orders = _arranged(factory)
    document = time_profiles(orders, routings, "sigma", datetime(2026, 7, 1, tzinfo=UTC))
    turn, wash = (document["operations"][code]["profiles"]["STD"] for code in ("TURN", "WASH"))
    sizes = factory.items()["SIZE"].to_list()
    for code, profile in (("TURN", turn), ("WASH", wash)):
        assert profile["setup_minutes"] == pytest.approx(SETUP[code], rel=0.1)
        typical = float(np.mean([piece_minutes(size, code) for size in sizes]))
        assert profile["run_minutes_per_unit"] == pytest.approx(typical, rel=0.15)
    assert document["strategy"] == "sigma"


@pytest.mark.parametrize("rows", [8, 24, 200])
def test_a_line_without_some_parts_is_the_ridge_regression_of_the_other_rows(rows: int) -> None:
    rng = np.random.default_rng(4)
    design, weight = rng.normal(size=(rows, 20)).astype(np.float32), rng.uniform(0.2, 1.0, rows)
    part, goals = np.arange(rows) % 4, rng.normal(size=(2, rows))
    left, solver = frozenset({1, 3}), PartSolver(design, weight, part)
    seen = solver.seen(left)
    assert np.array_equal(seen, part % 2 == 0)
    prepared = solver.prepared(np.where(seen, goals, 0.0).astype(np.float32))
    for goal, mine in zip(goals, prepared, strict=True):
        scaled = design[seen] * weight[seen, None]
        wanted = np.linalg.solve(scaled.T @ design[seen] + 0.3 * np.eye(20), scaled.T @ goal[seen])
        found = solver.coefficients(solver.solve(left, 0.3, mine))
        assert found == pytest.approx(wanted, abs=1e-4)
        assert solver.expected(found[None])[0] == pytest.approx(design @ wanted, abs=1e-3)


def test_lines_are_the_same_without_the_directions_in_which_no_item_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    def fitted(least: float) -> tuple[int, MinutesModel]:
        monkeypatch.setattr(lessons, "_LEAST_VARIED", least)
        plant = fit_plant(make_plant(scatter={"ring": 0.1, "disc": 0.1}))
        places = np.arange(len(plant.items.codes))
        learned = lessons.Lessons.of(plant.known, plant.near(places), places, 42)
        return learned.directions.shape[1], plant.model

    (few, fewer), (many, every) = fitted(lessons._LEAST_VARIED), fitted(-np.inf)
    assert 0 < few < many
    assert isinstance(fewer.form, LinesForm)
    assert isinstance(every.form, LinesForm)
    assert fewer.form.slopes.shape == every.form.slopes.shape
    np.testing.assert_allclose(fewer.form.base, every.form.base, atol=0.01)
    np.testing.assert_allclose(fewer.residuals, every.residuals, atol=0.01)


def test_many_items_designs_are_turned_as_a_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = fit_plant(make_plant(items=60))
    places = np.arange(len(plant.items.codes))
    learned = lessons.Lessons.of(plant.known, plant.near(places), places, 42)
    sample, entries = learned.regression_sample(), np.array([5, 0, 7])
    held = learned.turned(sample).design_of(entries)
    monkeypatch.setattr(lessons, "_HELD_ITEMS", 10)
    np.testing.assert_allclose(learned.turned(sample).design_of(entries), held, atol=1e-6)
    assert held.shape == (3, learned.directions.shape[1])


@pytest.mark.parametrize("fold_count", [2, 5])
def test_rows_beside_the_sample_differ_from_lines_that_have_not_seen_them(
    fold_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regression, "_MOST_ROWS", 150)
    plant = fit_plant(make_plant(scatter={"ring": 0.1, "disc": 0.1}), fold_count=fold_count)
    residuals, fold = plant.model.residuals, plant.items.folds[plant.known.owner]
    assert len(fold) > 2 * 150
    for view in range(fold_count):
        assert np.array_equal(np.isnan(residuals[view, :, 1]), fold == view)
    assert np.isfinite(residuals[-1]).all()
    assert np.abs(np.median(residuals[-1], axis=0)).max() < 0.05
    assert residuals[-1].std(axis=0).max() < 0.3


def test_an_undivided_time_that_no_quantity_changes_is_all_setup() -> None:
    factory = make_plant(items=40, orders=4)
    alike = factory.work_results().with_columns(
        setup_minutes=pl.lit(None, dtype=pl.Float64),
        run_minutes=pl.when(pl.col("operation_code") == "TURN").then(240.0).otherwise(pl.col("run_minutes")),
    )
    plant = fit_plant(factory.changed(work_results=alike))
    turned = plant.routings.task[plant.orders.row] == 0
    assert (plant.orders.setup[turned] == 240.0).all()
    assert (plant.orders.run[turned] == 0.0).all()
    assert (plant.orders.run[~turned] > 0.0).all()
    assert plant.ask(np.arange(40), 0).order(1_000.0)[:, 1] == pytest.approx(np.full(40, 240.0), rel=1e-4)


def test_what_a_drawing_has_in_common_is_told_by_its_other_rows() -> None:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(400), 5)
    common, weight = rng.normal(0, 0.3, 400)[group], rng.uniform(0.4, 1.0, 2_000)
    off = common + rng.normal(0, 0.2, 2_000)
    found = regression.in_common(off, weight, group)
    assert np.std(common - found) < 0.15
    off[7] += 1.0
    assert regression.in_common(off, weight, group)[7] == pytest.approx(found[7], abs=0.01)


@pytest.mark.parametrize("group", [np.arange(300), np.arange(300) // 3])
def test_rows_without_anything_in_common_keep_their_minutes(group: Any) -> None:
    off = np.random.default_rng(6).normal(0, 0.3, 300)
    off[::10] = np.nan
    found = regression.in_common(off, np.ones(300), group)
    assert np.abs(found).max() < 0.15
