"""The studies: withheld drawings, items that came after a day, and each item of a small factory on its own."""

import time
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import Asked, ask
from benchmarks.accuracy.comparing import add_comparison, compare_all
from benchmarks.accuracy.measuring import Answers, Fitted, Say, answer, fit, joined
from benchmarks.accuracy.plant import Plant, arrange
from benchmarks.accuracy.product import Product
from benchmarks.accuracy.report import Goal, Report, Table, bounded
from benchmarks.accuracy.scoring import estimate, resamplings, routing_metrics, time_metrics
from benchmarks.accuracy.simple import LastOrders
from benchmarks.accuracy.sources import Source
from benchmarks.accuracy.splitting import CutSnapshot, Part, day_of_share, partition
from benchmarks.accuracy.yardstick import measure_against
from shared.configuration import Configuration
from shared.erp.demo.truth import Truth
from shared.prediction.fit import SnapshotLike, fit_model

LATEST_SHARE = 0.2  # of the routings: those written after the cut-off


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a study is done."""

    parts: int  # drawings are dealt into so many parts; each withheld part is asked of a model fitted on the others
    repeats: int  # how many of the parts are withheld, one after the other; as many as parts for all items
    seed: int
    configuration: Configuration
    say: Say
    boosted: bool = True  # whether gradient boosting is among the opponents


def withheld_study(source: Source, plan: Plan) -> Report:
    """Withhold whole drawings from everything, fit again, ask them."""
    started = time.perf_counter()
    plant = arrange(source.snapshot)
    chosen = partition(plant, plan.parts, plan.seed)[: plan.repeats]
    answers = joined([_answer_part(source.snapshot, plant, part, plan) for part in chosen])
    report = Report(
        name=source.name, title=f"{source.name}: withheld drawings",
        settings=_settings(plant, plan, answers.asked) | {"parts withheld": f"{len(chosen)} of {plan.parts}"},
    )  # fmt: skip
    _finish(report, answers, plan, source.truth, plant, started)
    if not source.times_vary:
        report.goals = [goal for goal in report.goals if not goal.of_times]
    return report


def _answer_part(snapshot: SnapshotLike, plant: Plant, part: Part, plan: Plan) -> Answers:
    known, asked = plant.without(part.withheld), ask(plant, part.asked)
    fitted = fit(snapshot, part.withheld, plan.configuration, plan.say)
    return answer(fitted, known, asked, plan.say, boosted=plan.boosted)


def _settings(plant: Plant, plan: Plan, asked: Asked) -> dict[str, Any]:
    return {
        "items": f"{plant.items.height:,}", "with a routing": f"{len(plant.routed):,}",
        "asked": f"{len(asked.codes):,}", "booked operations asked": f"{len(asked.booked):,}", "seed": plan.seed,
    }  # fmt: skip


def _finish(report: Report, answers: Answers, plan: Plan, truth: Truth | None, plant: Plant, started: float) -> None:
    yardstick = measure_against(truth, plant, answers.asked) if truth is not None else None
    compare_all(report, answers, plan.seed, yardstick)
    if not plan.boosted:
        report.settings["opponents"] = "WITHOUT gradient boosting"
    report.settings["seconds"] = round(time.perf_counter() - started)


def later_study(source: Source, plan: Plan) -> Report:
    """Cut the data at a day; ask for what came after it: new items by attributes, and further orders of known ones."""
    started = time.perf_counter()
    cut = CutSnapshot(whole=source.snapshot, day=day_of_share(source.snapshot, LATEST_SHARE))
    whole, known = arrange(source.snapshot), arrange(cut)
    newcomers = sorted(set(cut.newcomers) & set(whole.routed))
    asked = ask(whole, newcomers, by_attributes=True)
    fitted = fit(cut, (), plan.configuration, plan.say)
    answers = answer(fitted, known, asked, plan.say, boosted=plan.boosted)
    report = Report(
        name=f"{source.name}-later", title=f"{source.name}: items that came after {cut.day.isoformat()}",
        settings=_settings(whole, plan, asked) | {"cut-off": cut.day.isoformat()},
    )  # fmt: skip
    _finish(report, answers, plan, source.truth, whole, started)
    _later_orders(report, fitted, cut.day, whole, known, plan)
    return report


def _later_orders(report: Report, fitted: Fitted, day: date, whole: Plant, known: Plant, plan: Plan) -> None:
    """Add how well the minutes of known items' later orders are foretold, beside the mean of their last ten."""
    later = whole.orders.filter(pl.col("reported_at") > day)
    plant = Plant(attributes=whole.attributes, items=whole.items, steps=known.steps, orders=later)
    codes = sorted(set(later["item_code"]) & set(known.routed))
    if not codes:
        return
    asked = ask(plant, codes)
    said = {
        "product": Product(fitted.model, own=True).minutes(asked),
        "last 10 orders of the item": LastOrders(known, of_item=True).minutes(asked),
        "last 10 orders of the family": LastOrders(known).minutes(asked),
    }
    rows = np.all([np.isfinite(found.value) for found in said.values()], axis=0)
    times = resamplings(len(asked.codes), plan.seed)
    judged = {name: time_metrics(asked, found, rows) for name, found in said.items()}
    add_comparison(report, "Minutes of known items' later orders", judged, times)


def alone_study(source: Source, plan: Plan, top_1: float, top_3: float) -> Report:
    """Ask one model for every item as if it were unknown: leave-one-item-out without fitting once an item."""
    started = time.perf_counter()
    plant = arrange(source.snapshot)
    asked = ask(plant, plant.routed)
    plan.say(f"fitting the product on all of {source.name}")
    model = fit_model(source.snapshot, plan.configuration)
    judged = routing_metrics(asked, Product(model, as_if_unknown=True).propose(asked))
    report = Report(
        name=f"{source.name}-alone", title=f"{source.name}: each item as if unknown, one model",
        settings=_settings(plant, plan, asked),
    )  # fmt: skip
    times = resamplings(len(asked.codes), plan.seed)
    found = {name: estimate(metric, times) for name, metric in judged.items() if metric.n}
    rows = [(name, bounded(each), f"{each.n:,}") for name, each in found.items()]
    report.tables.append(Table(title="Routings", columns=("metric", "product [95 %]", "n"), rows=rows))
    for name, wanted in (("signature top-1", top_1), ("signature top-3", top_3)):
        each = found[name]
        report.goals.append(
            Goal(name=name, wanted=f"at least {wanted}", measured=bounded(each), met=each.value >= wanted)
        )
    report.data["metrics_alone"] = found
    report.settings["seconds"] = round(time.perf_counter() - started)
    return report
