"""Another unit in the booked minutes is told with its day, columns and places, judges no model, and is settled."""

import dataclasses
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from shared.quality import suspected_units, unit_changes
from shared.quality.options import CycleOptions
from shared.quality.suspected_units import Compared, find_suspected
from tests.quality.quality_factory import factory_of, report

DAY = date(2026, 4, 1)  # since when the terminals write another unit
NOTHING = factory_of([], [report("OTHER", 1.0)])


def booked(ratios: list[float], day: date = DAY, items: int = 12) -> list[Compared]:
    return [Compared(day + timedelta(days=n // 6), float(np.log(r)), f"item-{n % items}") for n, r in enumerate(ratios)]


def scatter(seed: int, count: int, factor: float = 1.0) -> list[float]:
    return [factor * float(ratio) for ratio in np.random.default_rng(seed).lognormal(0, 0.4, count)]


@pytest.mark.parametrize("factor", [60.0, 1 / 60, 3_600.0, 0.01])
def test_an_operation_booked_in_another_unit_is_named_with_its_factor_and_its_day(factor: float) -> None:
    years = booked(scatter(1, 2_000), DAY - timedelta(days=334))
    compared = {"AS90": [*years, *booked(scatter(2, 30, factor))], "MC10": booked(scatter(3, 90))}
    [found] = find_suspected(compared, NOTHING)

    assert found.operation_code == "AS90"
    assert found.since == DAY
    assert found.factor == pytest.approx(factor)
    assert found.share == pytest.approx(0.86, abs=0.14)
    assert found.items == 12
    assert f"Since {DAY}" in found.message
    assert "AS90" in found.message


def test_some_of_an_operation_s_terminals_suffice() -> None:
    mixed = [ratio for pair in zip(scatter(6, 60), scatter(7, 60, 60.0), strict=True) for ratio in pair]
    [found] = find_suspected({"AS90": [*booked(scatter(8, 600), DAY - timedelta(days=100)), *booked(mixed)]}, NOTHING)

    assert found.since == DAY
    assert found.share == pytest.approx(0.5, abs=0.1)


def test_slips_stoppages_and_few_items_are_no_other_unit() -> None:
    slips = scatter(4, 200)
    slips[::33] = [60.0] * len(slips[::33])
    slow = scatter(5, 40, 8.0)

    assert (
        find_suspected({"AS90": booked(slips), "MC10": booked(slow), "LP40": booked([60.0] * 30, items=3)}, NOTHING)
        == []
    )
    assert find_suspected({}, NOTHING) == []


def test_the_reports_show_which_column_and_which_work_centres_it_is() -> None:
    def reports(since: date, days: int, run: float, centre: str, setup: float) -> list[dict[str, Any]]:
        return [
            report(
                "AS90", run * (1 + n % 5), item_code=f"item-{n % 5}", reported_at=since + timedelta(days=n % days),
                resource_code=centre, setup_minutes=setup,
            )
            for n in range(40)
        ]  # fmt: skip

    before = DAY - timedelta(days=50)
    rows = [*reports(before, 40, 10.0, "A1", 30.0), *reports(before, 40, 12.0, "A2", 30.0)]
    rows += [*reports(DAY, 10, 600.0, "A1", 30.0), *reports(DAY, 10, 12.0, "A2", 30.0)]
    mixed = [ratio for pair in zip(scatter(6, 60), scatter(7, 60, 60.0), strict=True) for ratio in pair]
    [found] = find_suspected({"AS90": [*booked(scatter(9, 300), before), *booked(mixed)]}, factory_of([], rows))

    assert found.traces.work_centres == ("A1",)
    assert found.traces.of_work_centres == 2
    assert found.traces.columns == {"run_minutes": pytest.approx(55, rel=0.1)}
    assert "at 1 of 2 work centres (A1); run_minutes" in found.message


# ------------------------------------------------------------------------------------------------------ whole cycles


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """A snapshot whose terminals wrote other times, read by another profile."""

    snapshot: Any
    rewrite: Callable[[pl.DataFrame], pl.DataFrame]
    unit_changes: tuple[dict[str, Any], ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.snapshot, name)

    @property
    def profile_document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.snapshot.profile_document
        return document | {"work_results": document["work_results"] | {"unit_changes": list(self.unit_changes)}}

    def query(self, table: str, of: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        rows = (
            self.rewrite(self.snapshot.work_results()) if table == "work_results" else getattr(self.snapshot, table)()
        )
        return of(rows.lazy()).collect()


@pytest.fixture
def terminals(unseen: Any) -> tuple[Any, str, date]:
    """A factory of which the most booked operation's terminals write minutes for hours in the last 200 days."""
    results = unseen.snapshot.work_results()
    since = results["reported_at"].max() - timedelta(days=200)
    code = str(results.filter(pl.col("reported_at") >= since)["operation_code"].mode()[0])
    there = (pl.col("operation_code") == code) & (pl.col("reported_at") >= since)

    def rewrite(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(
            pl.when(there).then(pl.col(name) * 60).otherwise(pl.col(name)).alias(name)
            for name in ("run_minutes", "setup_minutes")
        )

    unseen.right = unseen.snapshot
    unseen.snapshot = Rewritten(unseen.snapshot, rewrite)
    return unseen, code, since


def cycle(ward: Any) -> dict[str, Any]:
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=150, seed=3))
    assert row.state == "succeeded", row.error
    metrics: dict[str, Any] = row.metrics
    return metrics


def test_a_suspected_unit_is_the_alarm_and_nothing_else_is(terminals: tuple[Any, str, date]) -> None:
    ward, code, since = terminals
    metrics = cycle(ward)
    [alert] = ward.alerts.list()[0]
    evident = [finding for finding in metrics["quality"]["alerts"] if finding["evident"]]

    assert (alert.kind, alert.subject) == ("unit-suspected", code)
    assert [finding["issue"] for finding in evident] == ["UNIT_SUSPECTED"]
    assert metrics["units"][0]["factor"] == pytest.approx(60)
    assert abs(date.fromisoformat(alert.details["since"]) - since) < timedelta(days=15)  # few orders of a few items
    assert alert.details["traces"]["columns"]["run_minutes"] == pytest.approx(60, rel=0.5)
    answer = metrics["quality"]["metadata"]["retraining"]
    assert answer["refused"].startswith(f"No job: a change of unit is suspected in {code} (since ")
    assert alert.details["retraining"]["refused"] == answer["refused"]
    assert ward.asked_for == []


def test_orders_in_a_suspected_unit_enter_the_test_once_they_are_right(terminals: tuple[Any, str, date]) -> None:
    ward, _, _ = terminals
    held = cycle(ward)["evidence"]
    ward.snapshot = ward.right
    repaired = cycle(ward)["evidence"]

    assert held["new_actuals"] > 0
    assert repaired["tested_before"] == held["new_actuals"]
    assert repaired["new_actuals"] > 0
    assert not any(stream["evident"] for stream in repaired["streams"])


def test_while_an_alert_stands_its_orders_stay_out_though_this_cycle_sees_too_few(
    terminals: tuple[Any, str, date], monkeypatch: pytest.MonkeyPatch
) -> None:
    ward, code, _ = terminals
    cycle(ward)
    monkeypatch.setattr(suspected_units, "LEAST_ITEMS", 10_000)
    monkeypatch.setattr(unit_changes, "LEAST_ITEMS", 10_000)
    metrics = cycle(ward)

    assert metrics["units"] == []
    assert metrics["evidence"]["new_actuals"] == 0
    assert ward.alerts.all_standing("unit-suspected")[0].subject == code


def test_the_alert_closes_when_the_orders_are_as_predicted_again(terminals: tuple[Any, str, date]) -> None:
    ward, code, _ = terminals
    cycle(ward)
    cycle(ward)
    [alert] = ward.alerts.list(kind="unit-suspected")[0]
    assert (alert.state, alert.count) == ("open", 2)
    ward.snapshot = ward.right
    metrics = cycle(ward)
    [alert] = ward.alerts.list(kind="unit-suspected")[0]

    assert metrics["units"] == []
    assert alert.state == "closed"
    assert f"orders of {code} since" in alert.closed_note
    assert metrics["quality"]["metadata"]["retraining"] is None


def test_a_unit_that_the_profile_confirms_is_no_suspicion_and_judges_the_model(
    terminals: tuple[Any, str, date],
) -> None:
    ward, code, since = terminals
    cycle(ward)
    unit = ward.right.profile_document["work_results"]["time_unit"]
    stated = {"since": (since - timedelta(days=30)).isoformat(), "time_unit": unit, "operations": [code]}
    ward.snapshot = dataclasses.replace(ward.snapshot, unit_changes=(stated,))
    metrics = cycle(ward)
    [alert] = ward.alerts.list(kind="unit-suspected")[0]

    assert alert.state == "closed"
    assert "confirms" in alert.closed_note
    assert metrics["evidence"]["new_actuals"] > 0
    [rise] = [one for one in metrics["evidence"]["streams"] if (one["test"], one["family"]) == ("rise.mae", "")]
    assert rise["estimate"] > 2, "work that really takes sixty times as long counts as an error now"
    assert rise["needed"] < 50, "and will soon be a reason to learn"
