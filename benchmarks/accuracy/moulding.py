"""The injection-moulding plant's own questions: which mould, and which tonnage, an item goes to.

Its shipped profile names as work centre the tonnages that a mould fits. Here the work centre of the one operation is
the mould itself, or the tonnage of the machine that made most of an item's shifts, so that both can be asked for.
"""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import Asked, Proposal, ask
from benchmarks.accuracy.boosted import WorkCentres
from benchmarks.accuracy.confidence import Share
from benchmarks.accuracy.measuring import Router
from benchmarks.accuracy.nearest import NearestCopy
from benchmarks.accuracy.plant import Plant, arrange
from benchmarks.accuracy.product import Product
from benchmarks.accuracy.report import Goal, Report, Table, bounded, share
from benchmarks.accuracy.scoring import Estimated, Sums, estimate, resamplings
from benchmarks.accuracy.simple import FamilyHabit
from benchmarks.accuracy.sources import Source
from benchmarks.accuracy.splitting import OtherSteps, partition
from benchmarks.accuracy.studies import Plan
from benchmarks.accuracy.trees import ItemRows
from shared.prediction.fit import fit_model

MOULD_TO_BEAT, TONNAGE_TO_BEAT = 0.52, 0.75  # the most frequent of the item type, the item left out


class _Centres:
    """A work-centre classifier as one who proposes: the one operation, on the most probable work centre."""

    name = "lightgbm"

    def __init__(self, plant: Plant) -> None:
        self._rows = ItemRows(plant)
        self._centres = WorkCentres(plant, self._rows)

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return the item's own operations with the expected work centres."""
        labels = [tuple(step.label for step in steps) for steps in asked.actual]
        found = self._centres.steps(labels, self._rows.of(asked.items))
        return [Proposal(steps=steps) for steps in found]


def moulding_study(source: Source, plan: Plan) -> Report:
    """Ask for each item's mould and its main machine's tonnage, the item left out."""
    started = time.perf_counter()
    report = Report(
        name="injection_moulding-tools", title="injection_moulding: mould and tonnage", settings={"seed": plan.seed}
    )
    routings = source.snapshot.routings()
    moulds = routings.with_columns(
        pl.col("routing_no").alias("resource_code"), pl.col("routing_no").alias("resource_name")
    )
    allowed = moulds.group_by("item_code").agg(pl.col("resource_code").unique())
    may = {code: set(found) for code, found in allowed.iter_rows()}
    _ask(report, source, plan, "mould", moulds, may, MOULD_TO_BEAT)
    main = main_tonnages(source)
    tonnages = routings.unique("item_code", keep="first", maintain_order=True).drop("resource_code", "resource_name")
    tonnages = tonnages.join(main, on="item_code").select(routings.columns)
    only = {code: {tonnage} for code, tonnage in main.select("item_code", "resource_code").iter_rows()}
    _ask(report, source, plan, "tonnage", tonnages, only, TONNAGE_TO_BEAT)
    report.settings["seconds"] = round(time.perf_counter() - started)
    return report


def main_tonnages(source: Source) -> pl.DataFrame:
    """Return item_code, resource_code (the tonnage of the machine with most of its shifts) and resource_name."""
    machines = pl.read_csv(Path(source.folder) / "machineInfo.csv", infer_schema=False)
    tonnage = dict(machines.select("machineNo", "machineTonnage").iter_rows())
    counted: dict[str, Counter[str]] = {}
    for code, machine in source.snapshot.work_results().select("item_code", "resource_code").drop_nulls().iter_rows():
        counted.setdefault(code, Counter())[tonnage[machine]] += 1
    rows = [(code, max(sorted(found), key=lambda t: found[t])) for code, found in sorted(counted.items())]
    frame = pl.DataFrame(rows, schema={"item_code": pl.String, "resource_code": pl.String}, orient="row")
    return frame.with_columns(pl.col("resource_code").alias("resource_name"))


def _ask(
    report: Report, source: Source, plan: Plan, what: str, steps: pl.DataFrame, right: dict[str, set[str]], beat: float
) -> None:
    snapshot = OtherSteps(whole=source.snapshot, steps=steps)
    plant = arrange(snapshot)
    plan.say(f"{what} of {len(plant.routed)} items")
    everything = ask(plant, plant.routed)
    whole = fit_model(snapshot, plan.configuration)
    hits: dict[str, list[bool]] = {}
    _count(hits, "product, as if unknown", everything, Product(whole, as_if_unknown=True).propose(everything), right)
    for part in partition(plant, len(plant.routed), plan.seed):
        asked = ask(plant, part.asked)
        habit = FamilyHabit(plant.without(part.withheld))
        _count(hits, "item type's habit, left out", asked, habit.propose(asked), right)
    for part in partition(plant, plan.parts, plan.seed):
        known, asked = plant.without(part.withheld), ask(plant, part.asked)
        routers: list[Router] = [
            Product(fit_model(snapshot, plan.configuration, exclude_items=part.withheld)), NearestCopy(known),
            FamilyHabit(known), *([_Centres(known)] if plan.boosted else []),
        ]  # fmt: skip
        for router in routers:
            _count(hits, f"{router.name}, refitted", asked, router.propose(asked), right)
    _report(report, plan, what, hits, beat)


def _report(report: Report, plan: Plan, what: str, hits: dict[str, list[bool]], beat: float) -> None:
    """Add the table and the goals of one question."""
    own = hits["product, refitted"]
    others = {name: found for name, found in hits.items() if name.endswith("refitted") and found is not own}
    best = max(others, key=lambda name: (sum(others[name]), name))
    gain = _gain(own, others[best], plan.seed)
    shares = {name: Share(hits=sum(found), n=len(found)) for name, found in hits.items()}
    report.data[what] = shares
    notes = (
        f"product, refitted, better than {best} by {bounded(gain)}",
        f"refitted: in {plan.parts} parts, each withheld part asked of those fitted on the others",
    )
    rows = [(name, share(found)) for name, found in shares.items()]
    report.tables.append(Table(title=f"The right {what}", columns=("who", "right [95 %]"), rows=rows, notes=notes))
    alone = shares["product, as if unknown"]
    report.goals += [
        Goal(
            name=f"{what}: significantly worse than the best opponent", wanted="no", measured=bounded(gain),
            met=gain.high >= 0,
        ),
        Goal(name=f"{what}, leave-one-item-out", wanted=f"above {beat}", measured=share(alone), met=alone.value > beat),
    ]  # fmt: skip


def _gain(own: list[bool], other: list[bool], seed: int) -> Estimated:
    """Return how much more often one is right than another on the same items, in the same order."""
    apart = np.array(own, dtype=np.float64) - np.array(other, dtype=np.float64)
    return estimate(Sums(top=apart, bottom=np.ones(len(apart))), resamplings(len(apart), seed))


def _count(
    hits: dict[str, list[bool]], name: str, asked: Asked, proposals: list[Proposal], right: dict[str, set[str]]
) -> None:
    for code, proposal in zip(asked.codes, proposals, strict=True):
        said = proposal.steps[0].resource if proposal.steps else None
        hits.setdefault(name, []).append(said in right[code])
