"""The figures of the accuracy benchmark on cases that can be worked out by hand."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accuracy.asking import Proposal, Step, Times, ask
from benchmarks.accuracy.confidence import band, intraclass, judge_confidence, judge_families
from benchmarks.accuracy.plant import Plant, arrange
from benchmarks.accuracy.scoring import Sums, compare, estimate, resamplings, routing_metrics, time_metrics
from benchmarks.accuracy.simple import FamilyHabit, LastOrders
from benchmarks.accuracy.splitting import CutSnapshot, partition
from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, Attribute, AttributeKind


class _Shop:
    """Items A1 to A4 and B1, B2; A1 and A2 share a drawing; one order an item, A1 has two reports of one order."""

    profile_name = "shop"
    attributes = (
        Attribute(name="kind", kind=AttributeKind.CATEGORICAL, family=True),
        Attribute(name="drawing", kind=AttributeKind.CODE, drawing=True),
    )
    fingerprint = "shop"
    data_as_of = datetime(2026, 6, 30, tzinfo=UTC)
    codes = ("A1", "A2", "A3", "A4", "B1", "B2")

    def items(self) -> pl.DataFrame:
        drawings = ["d1", "D1 ", None, "d4", "d5", None]
        return pl.DataFrame({"item_code": self.codes, "kind": [c[0] for c in self.codes], "drawing": drawings})

    def routings(self) -> pl.DataFrame:
        rows = []
        for number, code in enumerate(self.codes):
            for place, operation in enumerate(["CUT", "WASH", "WASH"] if code[0] == "A" else ["CUT", "TURN"]):
                written = date(2025, 1 + number, 1)
                rows.append(
                    {"item_code": code, "routing_no": "1", "sequence": 10 * place + 10, "operation_code": operation,
                     "resource_code": f"{operation}-1", "inside": True, "created_at": written}
                )  # fmt: skip
        return pl.DataFrame(rows, schema=pl.Schema(ROUTING_SCHEMA))

    def work_results(self) -> pl.DataFrame:
        rows = []
        for number, code in enumerate([*self.codes, "A1"]):
            rows.append(
                {"item_code": code, "sequence": 30 if code[0] == "A" else 20, "order_no": f"o-{code}",
                 "operation_code": "WASH" if code[0] == "A" else "TURN", "quantity": 10.0,
                 "reported_at": date(2026, 1, 1 + number), "setup_minutes": 5.0, "run_minutes": 10.0 * (number + 1)}
            )  # fmt: skip
        rows += [
            {**rows[0], "quantity": 0.0, "setup_minutes": 4.0, "run_minutes": 0.0},
            {**rows[0], "quantity": 0.0, "order_no": "nothing made"},
        ]
        return pl.DataFrame(rows, schema=pl.Schema(WORK_RESULT_SCHEMA))


@pytest.fixture(scope="module")
def plant() -> Plant:
    return arrange(_Shop())


def test_reports_of_one_order_are_summed_at_the_step_they_name(plant: Plant) -> None:
    [first] = plant.orders.filter(pl.col("item_code") == "A1").to_dicts()
    assert (first["occurrence"], first["quantity"], first["setup"], first["run"]) == (1, 20.0, 14.0, 80.0)


def test_drawings_are_never_torn_apart(plant: Plant) -> None:
    for seed in range(20):
        parts = partition(plant, 3, seed)
        assert sorted(code for part in parts for code in part.asked) == list(_Shop.codes)
        assert any({"A1", "A2"} <= set(part.asked) for part in parts)


def test_a_cut_shows_nothing_of_what_came_later() -> None:
    cut = CutSnapshot(whole=_Shop(), day=date(2025, 3, 15))
    assert cut.newcomers == ["A4", "B1", "B2"]
    assert cut.items()["item_code"].to_list() == ["A1", "A2", "A3"]
    assert set(cut.routings()["item_code"]) == {"A1", "A2", "A3"}
    assert cut.work_results().is_empty()
    assert cut.data_as_of.date() == date(2025, 3, 15)


def test_family_habit_never_sees_the_withheld(plant: Plant) -> None:
    part = ask(plant, ["B1", "B2"])
    [first, _] = FamilyHabit(plant.without(["B1", "B2"])).propose(part)
    assert first.signatures == (("CUT", "WASH", "WASH"),)
    [first, _] = FamilyHabit(plant).propose(part)
    assert first.signatures[0] == ("CUT", "TURN")


def test_last_orders_are_setup_and_run_per_piece_at_the_asked_quantity(plant: Plant) -> None:
    asked = ask(plant, ["A4"])
    found = LastOrders(plant.without(["A4"])).minutes(asked)
    # A1 booked 14 + 80 on 20 pieces, A2 5 + 20 and A3 5 + 30 on 10: mean set-up 8, mean run of a piece 3
    assert found.value == pytest.approx([8.0 + 3.0 * 10])
    assert found.low[0] <= found.value[0] <= found.high[0]


def test_routing_metrics_of_a_half_right_proposal(plant: Plant) -> None:
    asked = ask(plant, ["A3", "B1"])
    steps = (
        Step(label=("CUT", 0), resource="CUT-1", inside=True),
        Step(label=("WASH", 0), resource="elsewhere", inside=False),
    )
    proposals = [Proposal(signatures=(("CUT", "WASH"), ("CUT", "WASH", "WASH")), steps=steps), Proposal()]
    found = {name: metric.value() for name, metric in routing_metrics(asked, proposals).items()}
    assert found["signature top-1"] == 0.0
    assert found["signature top-3"] == 0.5
    assert found["operation F1"] == pytest.approx(2 * 2 / (5 + 2))
    assert found["edit distance"] == pytest.approx((0.2 + 1.0) / 2)
    assert found["precedence accuracy"] == 1.0
    assert found["work centre top-1"] == 0.5
    assert found["in-house accuracy"] == 0.5


def test_time_metrics_of_a_known_miss(plant: Plant) -> None:
    asked = ask(plant, ["A2", "A3"])  # booked 25 and 35
    said = Times(value=np.array([30.0, 35.0]), low=np.array([26.0, 30.0]), high=np.array([40.0, 50.0]))
    found = {n: m.value() for n, m in time_metrics(asked, said, np.ones(2, dtype=np.bool_)).items()}
    assert found["time MdAPE"] == pytest.approx(0.1)
    assert found["interval coverage"] == 0.5
    assert found["interval score"] == pytest.approx((14 + 10 * 1 + 20) / 2)


def test_a_better_one_is_ahead_and_an_equal_one_is_not() -> None:
    generator = np.random.default_rng(0)
    right, one = (generator.random(400) < 0.6).astype(np.float64), np.ones(400)
    better = np.maximum(right, (generator.random(400) < 0.3).astype(np.float64))
    times = resamplings(400, 1)
    opponents = {"peer": Sums(top=right, bottom=one)}
    assert compare("signature top-1", Sums(top=better, bottom=one), opponents, times).verdict == "ahead"
    assert compare("signature top-1", Sums(top=right, bottom=one), opponents, times).verdict == "not different"
    assert compare("edit distance", Sums(top=better, bottom=one), opponents, times).verdict == "worse"


def test_all_right_has_an_interval_still() -> None:
    found = estimate(Sums(top=np.ones(20), bottom=np.ones(20)), resamplings(20, 1))
    assert found.value == found.high == 1.0
    assert 0.8 < found.low < 0.9


@given(st.integers(min_value=1, max_value=5000), st.floats(min_value=1e-4, max_value=0.2))
def test_the_band_holds_its_share_and_narrows(n: int, miss: float) -> None:
    low, high = band(n, miss)
    assert low <= 0.8 + 1 / n
    assert high >= 0.8 - 1 / n
    wide = band(n, miss / 2)
    assert wide[0] <= low
    assert high <= wide[1]


def test_orders_that_go_together_count_less(plant: Plant) -> None:
    group = np.repeat(np.arange(50), 4)
    alike = np.repeat(np.arange(50) % 2, 4).astype(np.float64)
    assert intraclass(alike, group) == pytest.approx(1.0)
    assert intraclass(np.tile([0.0, 1.0], 100), group) == 0.0
    asked = ask(plant, list(_Shop.codes))
    nothing = Times(value=asked.booked, low=asked.booked, high=asked.booked)
    assert judge_families(asked, nothing, np.ones(6, dtype=np.bool_)).families == []


def test_the_largest_share_of_which_95_percent_are_right(plant: Plant) -> None:
    asked = ask(plant, ["A3", "A4", "B1", "B2"])
    right, wrong = ("CUT", "WASH", "WASH"), ("CUT",)
    proposals = [
        Proposal(signatures=(right,), probability=0.9, high=True),
        Proposal(signatures=(wrong,), probability=0.4),
        Proposal(signatures=(("CUT", "TURN"),), probability=0.8, high=True),
        Proposal(),
    ]
    found = judge_confidence(asked, proposals, [Proposal(signatures=(("CUT", "TURN"),))] * 4)
    assert (found.high.hits, found.high_right.value, found.most_at_95) == (2, 1.0, 0.5)
    assert (found.abstained.hits, found.abstained_copy_right.value) == (1, 1.0)
