"""Ask a sample of items as if they were unknown: what the model is calibrated on and what it is measured by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.prediction.answering import Knowledge
from shared.prediction.cells import SETUP_OFFSET
from shared.prediction.fit_times import Pairs
from shared.prediction.memory import FOLDS, Floats, Ints, Items, Routings
from shared.prediction.neighbourhood import Neighbourhood
from shared.prediction.presence import Forest
from shared.prediction.timing import TimeEstimator
from shared.prediction.voting import VIEWS, WithheldVotes, choose, log_odds
from shared.similarity.index import NeighbourIndex

_ORDERS = 6  # newest orders of one operation of one item that are compared


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """One item asked as if unknown."""

    place: int
    near: Neighbourhood  # neither the item nor a sister of it
    vector: npt.NDArray[np.float32]
    found: Ints  # the neighbours' places in the index


def withhold(
    index: NeighbourIndex, items: Items, routings: Routings, routed: Ints, count: int, sample: int, seed: int
) -> list[Withheld]:
    """Find the neighbours of a seeded sample of items with a routing."""
    index_place = np.full(len(items.codes), -1, dtype=np.int64)
    index_place[routed] = np.arange(len(routed))
    chosen = np.sort(np.random.default_rng(seed).permutation(routed)[:sample])
    cases = []
    for place in chosen.tolist():
        hidden = index_place[items.sisters(place)]
        vector = index.vectors_of(index_place[[place]])[0]
        near = index.search(vector, count, without=hidden[hidden >= 0])
        if len(near.places):
            neighbourhood = Neighbourhood(routings=routings, places=routed[near.places], similarities=near.similarities)
            cases.append(Withheld(place=place, near=neighbourhood, vector=vector, found=near.places))
    return cases


def believed(cases: Sequence[Withheld], items: Items, forests: Sequence[Forest]) -> list[Floats]:
    """Return each withheld item's log odds by task, from the forest grown without its fold."""
    folds = items.folds[[case.place for case in cases]]
    odds: list[Floats] = [np.zeros(0)] * len(cases)
    for fold in range(FOLDS):
        mine = np.flatnonzero(folds == fold)
        if len(mine):
            found = forests[fold].logits(np.stack([cases[place].vector for place in mine.tolist()]))
            for place, row in zip(mine.tolist(), found, strict=True):
                odds[place] = row
    return odds


def vote_cases(cases: Sequence[Withheld], odds: Sequence[Floats], items: Items, routings: Routings) -> WithheldVotes:
    """Arrange the withheld items' neighbours for calibration."""
    width = max(len(case.near.places) for case in cases)
    similarities = np.full((len(cases), width), -np.inf)
    beliefs = np.zeros((len(cases), width))
    signatures = np.full((len(cases), width), -2, dtype=np.int64)
    neighbour_folds = np.full((len(cases), width), -1, dtype=np.int64)
    for row, case in enumerate(cases):
        size = len(case.near.places)
        similarities[row, :size] = case.near.similarities
        beliefs[row, :size] = log_odds(case.near, odds[row])
        signatures[row, :size] = routings.signature[case.near.places]
        neighbour_folds[row, :size] = items.folds[case.near.places]
    places = np.array([case.place for case in cases])
    return WithheldVotes(
        similarities=similarities, odds=beliefs, signatures=signatures, neighbour_folds=neighbour_folds,
        truth=routings.signature[places], folds=items.folds[places].astype(np.int64),
    )  # fmt: skip


def row_pairs(cases: Sequence[Withheld], routings: Routings) -> Pairs:
    """Pair each withheld item's operations with the same ones of its neighbours."""
    mine, theirs, similar = [], [], []
    for case in cases:
        for row in range(routings.offsets[case.place], routings.offsets[case.place + 1]):
            picked = case.near.doing(int(routings.task[row]))
            mine.append(np.full(len(picked), row, dtype=np.int64))
            theirs.append(case.near.rows[picked])
            similar.append(case.near.similarities[case.near.row_neighbour[picked]])
    return Pairs(row=np.concatenate(mine), other=np.concatenate(theirs), similarity=np.concatenate(similar))


@dataclass(frozen=True, kw_only=True)
class Booked:
    """Work orders by routing row, newest first: what an operation of an order really took."""

    start: Ints  # routing row -> first order
    quantity: Floats
    minutes: Floats


def booked_orders(results: pl.DataFrame, items: Items, routings: Routings) -> Booked:
    """Arrange usable results (with `occurrence`, as `cells.usable_results` returns them) by routing row."""
    owner = np.repeat(np.arange(len(items.codes)), np.diff(routings.offsets)).tolist()
    keys = zip(owner, routings.operation.tolist(), routings.occurrence.tolist(), strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    ordered = results.sort("reported_at", "order_no", "quantity", "run_minutes", descending=True, nulls_last=True)
    rows = [
        row_of.get((items.place_of[code], routings.place_of_operation.get(operation, -1), occurrence), -1)
        for code, operation, occurrence in ordered.select("item_code", "operation_code", "occurrence").iter_rows()
    ]
    row = np.array(rows, dtype=np.int64)
    order = np.argsort(row, kind="stable")
    order = order[row[order] >= 0]
    minutes = ordered["run_minutes"].to_numpy() + ordered["setup_minutes"].fill_null(0.0).to_numpy()
    return Booked(
        start=np.searchsorted(row[order], np.arange(len(routings.operation) + 1)),
        quantity=ordered["quantity"].to_numpy()[order], minutes=minutes[order],
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TimeErrors:
    """Withheld orders: logarithm of booked over estimated minutes, and its expected spread."""

    ratio: Floats
    spread: Floats
    booked: Floats
    folds: Ints


def time_errors(
    knowledge: Knowledge, index: NeighbourIndex, cases: Sequence[Withheld], orders: Booked, *, apart: bool
) -> TimeErrors:
    """Estimate the withheld items' own operations and compare with what was booked.

    With `apart`, each item is estimated by figures made without its fold and without the fold before it, and without
    neighbours of that one: so quantiles of these errors may serve the fold before it.
    """
    routings, seen, folds = knowledge.routings, knowledge.seen, knowledge.items.folds
    found: list[tuple[float, float, float, int]] = []
    for case in cases:
        fold = int(folds[case.place])
        before = (fold - 1) % FOLDS
        near, view, vectors = case.near, fold, index.vectors_of(case.found)
        if apart:
            kept = folds[near.places] != before
            near = Neighbourhood(routings=routings, places=near.places[kept], similarities=near.similarities[kept])
            view, vectors = VIEWS + before, vectors[kept]
        estimator = TimeEstimator(
            model=knowledge.times, seen=seen, near=near, view=view, vector=case.vector, vectors=vectors
        )
        for row in range(routings.offsets[case.place], routings.offsets[case.place + 1]):
            actual = _actual(knowledge, orders, row, view)
            if not actual:
                continue
            estimate = estimator.estimate(int(routings.task[row]), int(routings.resource[row]))
            setup, run = estimate.minutes(0), estimate.minutes(1)
            for quantity, minutes in actual:
                expected = setup + run * quantity
                ratio = math.log((minutes + SETUP_OFFSET) / (expected + SETUP_OFFSET))
                found.append((ratio, estimate.order_spread(quantity), minutes, fold))
    table = np.array(found, dtype=np.float64).reshape(-1, 4)
    return TimeErrors(ratio=table[:, 0], spread=table[:, 1], booked=table[:, 2], folds=table[:, 3].astype(np.int64))


def _actual(knowledge: Knowledge, orders: Booked, row: int, view: int) -> list[tuple[float, float]]:
    """Return (quantity, minutes) of a row's newest orders; one planned piece where times are learned from plans."""
    if knowledge.times.by_results[view, knowledge.routings.task[row]]:
        start, end = int(orders.start[row]), int(orders.start[row + 1])
        end = min(end, start + _ORDERS)
        return list(zip(orders.quantity[start:end].tolist(), orders.minutes[start:end].tolist(), strict=True))
    planned = np.exp(knowledge.seen.planned[row]).sum() - SETUP_OFFSET
    return [] if np.isnan(planned) else [(1.0, max(float(planned), 0.0))]


def measure(
    knowledge: Knowledge, cases: Sequence[Withheld], odds: Sequence[Floats], errors: TimeErrors
) -> dict[str, Any]:
    """Return how well the withheld items were answered; every figure has its n."""
    ranks, abstained, truths, firsts = [], 0, [], []
    for case, believed_odds in zip(cases, odds, strict=True):
        truth = int(knowledge.routings.signature[case.place])
        if case.near.similarities[0] < knowledge.configuration.minimum_similarity:
            abstained += 1
            continue
        choices = choose(case.near, believed_odds, knowledge.votes, int(knowledge.items.folds[case.place]))
        ranks.append(next((rank for rank, choice in enumerate(choices) if choice.signature == truth), -1))
        truths.append(truth)
        firsts.append(choices[0].signature)
    answered = max(len(ranks), 1)
    precision, recall, f1 = _weighted_scores(truths, firsts)
    metrics: dict[str, Any] = {
        "withheld_items": len(cases), "abstained": abstained, "answered": len(ranks),
        "accuracy": sum(rank == 0 for rank in ranks) / answered,
        "top_3_accuracy": sum(0 <= rank < 3 for rank in ranks) / answered,
        "precision_weighted": precision, "recall_weighted": recall, "f1_weighted": f1,
        "withheld_orders": len(errors.ratio),
    }  # fmt: skip
    if len(errors.ratio):
        quantiles = knowledge.times.quantiles[errors.folds]
        scaled = errors.ratio / errors.spread
        relative = np.abs(np.expm1(-errors.ratio))
        metrics |= {
            "time_median_absolute_percentage_error": float(np.median(relative)),
            "time_interval_coverage": float(((scaled >= quantiles[:, 0]) & (scaled <= quantiles[:, 1])).mean()),
            "time_mean_log_ratio": float(errors.ratio.mean()),
        }
    return metrics


def _weighted_scores(truths: Sequence[int], answers: Sequence[int]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of the first answers, each signature weighted by how often it is true."""
    if not truths:
        return 0.0, 0.0, 0.0
    true, given = np.array(truths), np.array(answers)
    sums = np.zeros(3)
    for signature in np.unique(true).tolist():
        right = float(((true == signature) & (given == signature)).sum())
        precision = right / max(float((given == signature).sum()), 1.0)
        recall = right / float((true == signature).sum())
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        sums += np.array([precision, recall, f1]) * float((true == signature).mean())
    return float(sums[0]), float(sums[1]), float(sums[2])
