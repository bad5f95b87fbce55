"""Make a model from a snapshot of the factory's data."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import polars as pl
import structlog

from shared.clock import Clock, utc_now
from shared.configuration import Configuration, PredictionConfiguration
from shared.erp.canonical import Attribute
from shared.errors import Cancelled, NotEnoughData
from shared.features.encoder import ItemEncoder
from shared.features.learned import SAMPLE, LearnedWeights, learn_factors
from shared.features.statistics import feature_importance, feature_recommendations, feature_statistics
from shared.prediction.answering import Knowledge
from shared.prediction.cells import build_cells, condense, squares_of, usable_results
from shared.prediction.fit_times import fit_times, with_between, with_quantiles
from shared.prediction.memory import Ints, Items, Routings, build_items, build_routings, choose_current, folds_for
from shared.prediction.model import MODEL_KIND, RoutingModel
from shared.prediction.presence import grow_forests, task_table
from shared.prediction.timing import observe
from shared.prediction.voting import fit_votes
from shared.prediction.withheld import believed, booked_orders, measure, row_pairs, time_errors, vote_cases, withhold
from shared.similarity.index import NeighbourIndex
from shared.similarity.threads import use_one_thread

LEAST_ITEMS = 2
CALIBRATION_ITEMS = 1_500
_STATISTICS_ITEMS = 2_000
log = structlog.get_logger()

Progress = Callable[[float, str], None]


class SnapshotLike(Protocol):
    """What fitting needs of `shared.erp.snapshot.Snapshot`."""

    @property
    def profile_name(self) -> str: ...  # noqa: D102
    @property
    def attributes(self) -> tuple[Attribute, ...]: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def data_as_of(self) -> datetime: ...  # noqa: D102
    def items(self) -> pl.DataFrame: ...  # noqa: D102
    def routings(self) -> pl.DataFrame: ...  # noqa: D102
    def work_results(self) -> pl.DataFrame: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class _Steps:
    progress: Progress | None
    cancelled: Callable[[], bool] | None

    def reach(self, percent: float, step: str) -> None:
        """Report a step before it begins; stop here if the work was cancelled."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"Fitting was cancelled before the step {step!r}; nothing was kept.")
        if self.progress is not None:
            self.progress(percent, step)


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    encoder: ItemEncoder
    learned: LearnedWeights
    index: NeighbourIndex
    statistics: dict[str, Any]


def fit_model(
    snapshot: SnapshotLike, configuration: Configuration, *, exclude_items: Collection[str] = (),
    progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, clock: Clock = utc_now,
) -> RoutingModel:  # fmt: skip
    """Fit a model: the same snapshot, configuration and seed always give the same one.

    Args:
        snapshot: the factory's tables.
        configuration: `prediction` is kept in the model; `training.seed` seeds every draw.
        exclude_items: items whose routings and work results are left out entirely; they may still be asked for.
        progress: called with a percentage and the name of the step that begins.
        cancelled: asked between steps.
        clock: the time of day, for `metrics.json`.

    Raises:
        Cancelled: `cancelled` answered yes.
        NotEnoughData: fewer than two items have attributes and a routing valid on the day of the data.
    """
    started = time.perf_counter()
    import scipy.linalg  # noqa: F401 -- brings linear algebra of its own, which is to keep to one thread too

    use_one_thread()
    steps = _Steps(progress=progress, cancelled=cancelled)
    settings, seed = configuration.prediction, configuration.training.seed
    day = snapshot.data_as_of.date()
    steps.reach(2, "reading the tables")
    excluded = sorted(set(exclude_items))
    kept = ~pl.col("item_code").is_in(excluded)
    current = choose_current(snapshot.routings().filter(kept), day)
    routed_items = current.filter("chosen")["item_code"].n_unique()
    items = build_items(snapshot.items(), snapshot.attributes, fold_count=folds_for(routed_items))
    results = snapshot.work_results().filter(kept)
    steps.reach(10, "arranging the routings")
    routings = build_routings(current, items)
    routed = np.flatnonzero(routings.signature >= 0)
    _check(items, routed)
    steps.reach(20, "condensing the work results")
    frame = condense(
        results,
        items,
        routings,
        day=day,
        half_life_days=settings.recency_half_life_days,
        trim_share=settings.trim_share,
    )
    cells = build_cells(frame, items, routings)
    encoded = _encode(snapshot.attributes, settings, items, routings, routed, seed, steps)
    index = encoded.index
    place = np.full(len(items.codes), -1, dtype=np.int64)
    place[routed] = np.arange(len(routed))
    steps.reach(60, "learning the times")
    seen = observe(routings, cells)
    times, residuals = fit_times(
        routings, items, seen, squares_of(routings, cells), lambda places: index.vectors_of(place[places])
    )
    steps.reach(65, "learning which operations items call for")
    table = task_table(routings.task, routings.offsets, routed, routings.tasks)
    forests = grow_forests(index.vectors_of(np.arange(len(routed))), table, items.folds[routed], seed)
    steps.reach(75, "asking withheld items for their routings")
    cases = withhold(index, items, routings, routed, settings.neighbours, CALIBRATION_ITEMS, seed)
    odds = believed(cases, items, forests)
    votes = fit_votes(vote_cases(cases, odds, items, routings))
    times = with_between(times, row_pairs(cases, routings), residuals, seen, routings.task)
    knowledge = Knowledge(
        configuration=settings, encoder=encoded.encoder, items=items, routings=routings, cells=cells, seen=seen,
        votes=votes, times=times, forests=forests,
    )  # fmt: skip
    steps.reach(82, "measuring the times of withheld items")
    orders = booked_orders(usable_results(results, items, routings), items, routings)
    errors = time_errors(knowledge, index, cases, orders, apart=True)
    knowledge = replace(knowledge, times=with_quantiles(times, errors.ratio / errors.spread, errors.folds))
    steps.reach(92, "measuring the model")
    metrics = measure(knowledge, cases, odds, time_errors(knowledge, index, cases, orders, apart=False))
    counts = {
        "items": len(items.codes),
        "routed_items": len(routed),
        "work_results": results.height,
        "cells": frame.height,
    }
    log.info("model.fitted", seconds=round(time.perf_counter() - started, 2), backend=index.backend, **counts)
    documents = _documents(snapshot, configuration, encoded, items, routings, counts, metrics, excluded)
    documents["metrics.json"] |= {
        "generated_at": clock().isoformat(), "training_duration_sec": round(time.perf_counter() - started, 3)
    }  # fmt: skip
    steps.reach(100, "fitted")
    return RoutingModel(
        profile=snapshot.profile_name, data_as_of=snapshot.data_as_of, fingerprint=snapshot.fingerprint,
        knowledge=knowledge, index=index, routed=routed, excluded_items=excluded, documents=documents,
        cells_frame=frame,
    )  # fmt: skip


def _check(items: Items, routed: Ints) -> None:
    if len(routed) < LEAST_ITEMS:
        raise NotEnoughData(
            f"{len(routed)} of {len(items.codes)} items have a routing valid on the day of the data; "
            f"at least {LEAST_ITEMS} are needed.",
            remedy="Check that the routings' item codes match the items' and that their validity dates are right.",
        )


def _encode(
    attributes: tuple[Attribute, ...], settings: PredictionConfiguration, items: Items, routings: Routings,
    routed: Ints, seed: int, steps: _Steps,
) -> _Encoded:  # fmt: skip
    steps.reach(30, "learning the attributes")
    encoder = ItemEncoder(attributes, seed=seed)
    columns = {a.name: items.frame[a.name].to_list() for a in attributes}
    encoder.fit(columns)
    steps.reach(40, "learning the weights")
    chosen = np.sort(np.random.default_rng(seed).permutation(routed)[:SAMPLE])
    blocks = encoder.blocks_of({name: [values[place] for place in chosen] for name, values in columns.items()})
    given = _given_weights(encoder, settings, columns)
    learned = learn_factors(blocks, np.array(list(given.values())), routings.signature[chosen], items.groups[chosen])
    encoder.set_weights(
        {name: weight * factor for (name, weight), factor in zip(given.items(), learned.factors.tolist(), strict=True)}
    )
    spread = np.sort(np.random.default_rng(seed).permutation(len(items.codes))[:_STATISTICS_ITEMS])
    sample = encoder.blocks_of({name: [values[place] for place in spread] for name, values in columns.items()})
    statistics = feature_statistics(encoder, columns, sample)
    steps.reach(48, "building the index")
    vectors = encoder.transform({name: [values[place] for place in routed] for name, values in columns.items()})
    index = NeighbourIndex.build([items.codes[place] for place in routed], vectors, seed=seed)
    return _Encoded(encoder=encoder, learned=learned, index=index, statistics=statistics)


def _given_weights(
    encoder: ItemEncoder, settings: PredictionConfiguration, columns: dict[str, list[Any]]
) -> dict[str, float]:
    """Return the weights people set: the configuration's, else the profile's; 0 where all items are alike."""
    weights = {
        a.name: settings.feature_weights.get(a.name, a.weight) if len(set(columns[a.name])) > 1 else 0.0
        for a in encoder.attributes
    }
    if sum(weights.values()) <= 0:
        raise NotEnoughData(
            "No attribute with a weight above zero differs between the items, so none can be told from another.",
            remedy="Declare more attributes in the mapping profile, or raise their weights.",
        )
    return weights


def _documents(
    snapshot: SnapshotLike, configuration: Configuration, encoded: _Encoded, items: Items, routings: Routings,
    counts: dict[str, int], metrics: dict[str, Any], excluded: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Return the package's JSON documents by file name."""
    encoder, weights = encoded.encoder, encoded.encoder.weights
    importance = feature_importance(weights, encoded.statistics)
    factors = dict(zip(weights, encoded.learned.factors.tolist(), strict=True))
    active = {name: weight > 0 for name, weight in weights.items()}
    moment = snapshot.data_as_of.isoformat()
    return {
        "feature_weights.json": {
            "version": "3.0", "data_as_of": moment, "weights": weights, "active_features": active,
            "set_by_people": {name: weights[name] / factors[name] for name in weights}, "learned_factors": factors,
            "learned_from_items": encoded.learned.items,
            "log_chance_before": encoded.learned.before, "log_chance_after": encoded.learned.after,
        },
        "active_features.json": active,
        "feature_importance.json": importance,
        "feature_recommendations.json": feature_recommendations(importance, weights),
        "feature_statistics.json": encoded.statistics,
        "training_metadata.json": {
            "model_kind": MODEL_KIND, "profile": snapshot.profile_name, "fingerprint": snapshot.fingerprint,
            "data_as_of": moment, "total_items": counts["items"], "indexed_items": counts["routed_items"],
            "total_features": sum(active.values()), "original_features": len(encoder.attributes),
            "vector_dimension": encoder.size, "seed": configuration.training.seed,
            "configuration": configuration.prediction.model_dump(mode="json"),
            "similarity": dict(encoded.index.parameters), "excluded_items": excluded, "fold_count": items.fold_count,
            "families": len(items.family_names), "signatures": len(routings.signatures),
        },
        "metrics.json": {
            "training_samples": counts["routed_items"],
            "dataset_stats": {
                "total_samples": routings.frame.height, "unique_items": counts["routed_items"],
                "unique_processes": len(routings.operations), "work_results": counts["work_results"],
                "missing_item_code": int(snapshot.routings()["item_code"].null_count()),
                "missing_process_code": int(snapshot.routings()["operation_code"].null_count()),
            },
            "similarity_recall_at_10": encoded.index.recall, **metrics,
        },
    }  # fmt: skip
