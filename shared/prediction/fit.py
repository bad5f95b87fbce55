"""Make a model from a snapshot of the factory's data."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl
import structlog

from shared.clock import Clock, utc_now
from shared.configuration import Configuration
from shared.erp.canonical import Attribute
from shared.errors import Cancelled, NotEnoughData
from shared.features.distinct import Distinct, distinct_columns
from shared.features.encoder import ItemEncoder
from shared.features.filling import Filling
from shared.features.learned import SAMPLE, LearnedWeights, learn_factors
from shared.features.statistics import feature_statistics
from shared.features.table import FeatureTable
from shared.prediction.candidates.model import CandidateModel, fit_candidates
from shared.prediction.documents import package_documents
from shared.prediction.fitted import Fit
from shared.prediction.history import RoutingHistory
from shared.prediction.knowledge import Knowledge, Memory, Singles
from shared.prediction.memory import Ints, Items, Routings, build_items, build_routings, choose_current, folds_for
from shared.prediction.minutes.fitting import FittedForm, fit_own_form, minutes_of
from shared.prediction.minutes.lessons import Known, Lessons
from shared.prediction.minutes.observations import condense
from shared.prediction.minutes.orders import arrange_orders
from shared.prediction.minutes.profiles import time_profiles
from shared.prediction.model import Origin, RoutingModel
from shared.prediction.withheld import Withheld, measure, withhold
from shared.similarity.index import NeighbourIndex
from shared.similarity.threads import use_one_thread

LEAST_ITEMS = 2
CALIBRATION_ITEMS = 1_500
_STATISTICS_ITEMS = 2_000
log = structlog.get_logger()

Progress = Callable[[float, str], None]
Columns = dict[str, Distinct]


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


def fit_model(
    snapshot: SnapshotLike, configuration: Configuration, *, exclude_items: Collection[str] = (),
    progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, clock: Clock = utc_now,
) -> RoutingModel:  # fmt: skip
    """Fit a model: the same snapshot, configuration and seed always give the same one; see `fit_with_lessons`."""
    return fit_with_lessons(
        snapshot, configuration, exclude_items=exclude_items, progress=progress, cancelled=cancelled, clock=clock
    ).model


def fit_with_lessons(
    snapshot: SnapshotLike, configuration: Configuration, *, exclude_items: Collection[str] = (),
    progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, clock: Clock = utc_now,
) -> Fit:  # fmt: skip
    """Fit a model and keep what it was fitted to.

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
    origin = Origin(
        profile=snapshot.profile_name, data_as_of=snapshot.data_as_of, fingerprint=snapshot.fingerprint,
        excluded_items=tuple(sorted(set(exclude_items))),
    )  # fmt: skip
    with ThreadPoolExecutor(1, "index-build") as beside:
        fitted = _Fitting(snapshot, configuration, origin, steps, beside).fit()
    seconds = round(time.perf_counter() - started, 3)
    model = fitted.model
    model.documents["metrics.json"] |= {"generated_at": clock().isoformat(), "training_duration_sec": seconds}
    steps.reach(100, "fitted")
    log.info("model.fitted", seconds=seconds, backend=model.backend, items=len(model.knowledge.items.codes))
    return replace(fitted, seconds=seconds)


def _of(columns: Columns, places: Ints) -> Columns:
    return {name: column.take(places) for name, column in columns.items()}


class _Fitting:
    """One fit under way. The index is built in a thread beside it, nearly all outside the interpreter's lock."""

    def __init__(
        self, snapshot: SnapshotLike, configuration: Configuration, origin: Origin, steps: _Steps,
        beside: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self._snapshot, self._origin, self._steps, self._beside = snapshot, origin, steps, beside
        self._configuration = configuration
        self._settings, self._seed = configuration.prediction, configuration.training.seed
        self._excluded = list(origin.excluded_items)

    def fit(self) -> Fit:
        self._arrange()
        attributes, frame = self._snapshot.attributes, self._items.frame
        columns = distinct_columns(attributes, {a.name: frame[a.name].to_list() for a in attributes})
        filling = Filling.fit(attributes, columns)
        encoder, learned, statistics = self._encode(columns, filling)
        self._steps.reach(25, "building the index")
        routed_columns = _of(columns, self._routed)
        vectors = encoder.transform(routed_columns)
        codes = [self._items.codes[place] for place in self._routed]
        self._encoder = encoder
        self._index: Future[NeighbourIndex] = self._beside.submit(NeighbourIndex.build, codes, vectors, seed=self._seed)
        self._steps.reach(30, "reading the attributes for trees")
        self._table = FeatureTable.fit(attributes, columns, filling)
        rows = self._table.rows(routed_columns)
        candidates, withheld = self._learn_candidates(rows)
        lessons, own = self._learn_minutes(vectors, rows, withheld)
        minutes = minutes_of(lessons, own)
        self._steps.reach(92, "measuring the model")
        knowledge = Knowledge.of(self._memory, candidates, minutes)
        metrics = measure(knowledge, withheld, self._orders, self._settings.minimum_similarity)
        history = RoutingHistory.of(self._frame)
        documents = package_documents(
            self._origin, self._configuration, knowledge, learned, statistics, self._counts(history), metrics
        )
        documents["time_profiles.json"] = time_profiles(
            self._orders, self._routings, self._settings.time_profile, self._origin.data_as_of
        )
        model = RoutingModel(
            origin=self._origin, settings=self._settings, knowledge=knowledge, history=history, documents=documents
        )
        return Fit(model=model, own=own, lessons=lessons, withheld=withheld, orders=self._orders, seconds=0.0)

    def _arrange(self) -> None:
        """Arrange items, routings and work orders."""
        self._steps.reach(2, "reading the tables")
        snapshot, settings, day = self._snapshot, self._settings, self._snapshot.data_as_of.date()
        kept = ~pl.col("item_code").is_in(self._excluded)
        frame = choose_current(snapshot.routings().filter(kept), day)
        routed_items = frame.filter("chosen")["item_code"].n_unique()
        self._items: Items = build_items(snapshot.items(), snapshot.attributes, fold_count=folds_for(routed_items))
        self._steps.reach(6, "arranging the routings")
        self._routings: Routings = build_routings(frame, self._items)
        self._frame = frame.filter(pl.col("item_code").is_in(self._items.codes))
        self._routed: Ints = np.flatnonzero(self._routings.signature >= 0)
        self._check()
        self._steps.reach(9, "condensing the work results")
        results = snapshot.work_results().filter(kept)
        self._results = results.height
        self._orders = arrange_orders(
            results, self._items, self._routings, day=day, half_life_days=settings.recency_half_life_days,
            trim_share=settings.trim_share,
        )  # fmt: skip
        self._seen = condense(self._orders, self._routings)

    def _check(self) -> None:
        if len(self._routed) < LEAST_ITEMS:
            raise NotEnoughData(
                f"{len(self._routed)} of {len(self._items.codes)} items have a routing valid on the day of the data; "
                f"at least {LEAST_ITEMS} are needed.",
                remedy="Check that the routings' item codes match the items' and that their validity dates are right.",
            )

    def _encode(self, columns: Columns, filling: Filling) -> tuple[ItemEncoder, LearnedWeights, dict[str, Any]]:
        self._steps.reach(13, "learning the attributes")
        attributes, items = self._snapshot.attributes, self._items
        encoder = ItemEncoder(attributes, seed=self._seed).fit(columns, filling)
        self._steps.reach(20, "learning the weights")
        chosen = np.sort(np.random.default_rng(self._seed).permutation(self._routed)[:SAMPLE])
        blocks = encoder.blocks_of(_of(columns, chosen))
        given = self._given_weights(encoder, columns)
        signatures, groups = self._routings.signature[chosen], items.groups[chosen]
        learned = learn_factors(blocks, np.array(list(given.values())), signatures, groups)
        factors = learned.factors.tolist()
        encoder.set_weights({name: given[name] * factor for name, factor in zip(given, factors, strict=True)})
        spread = np.sort(np.random.default_rng(self._seed).permutation(len(items.codes))[:_STATISTICS_ITEMS])
        sample = encoder.blocks_of(_of(columns, spread))
        return encoder, learned, feature_statistics(encoder, columns, sample)

    def _given_weights(self, encoder: ItemEncoder, columns: Columns) -> dict[str, float]:
        """Return the weights people set: the configuration's, else the profile's; 0 where all items are alike."""
        wanted = self._settings.feature_weights
        weights = {a.name: wanted.get(a.name, a.weight) if columns[a.name].varies else 0.0 for a in encoder.attributes}
        if sum(weights.values()) <= 0:
            raise NotEnoughData(
                "No attribute with a weight above zero differs between the items, so none can be told from another.",
                remedy="Declare more attributes in the mapping profile, or raise their weights.",
            )
        return weights

    @cached_property
    def _memory(self) -> Memory:
        """Return the memory; waits for the index."""
        return Memory(
            encoder=self._encoder, table=self._table, items=self._items, routings=self._routings, seen=self._seen,
            index=self._index.result(), routed=self._routed,
        )  # fmt: skip

    def _learn_candidates(self, rows: Singles) -> tuple[CandidateModel, Withheld]:
        """Learn which routings items call for, calibrated on withheld items."""
        items, routings, table = self._items, self._routings, self._table
        withheld = withhold(
            lambda: self._memory, items, self._routed, rows, neighbours=self._settings.neighbours,
            sample=CALIBRATION_ITEMS, seed=self._seed,
        )  # fmt: skip
        self._steps.reach(35, "learning which operations items call for")
        return fit_candidates(rows, table.categorical, routings, items, self._routed, withheld, self._seed), withheld

    def _learn_minutes(self, vectors: Singles, rows: Singles, withheld: Withheld) -> tuple[Lessons, FittedForm]:
        """Learn the minutes in the product's own form."""
        self._steps.reach(65, "learning the minutes")
        place = self._memory.index_place
        known = Known(
            orders=self._orders, seen=self._seen, routings=self._routings, items=self._items,
            categorical=self._table.categorical, vectors_of=lambda places: vectors[place[places]],
            rows_of=lambda places: rows[place[places]],
        )  # fmt: skip
        lessons = Lessons.of(known, withheld.near, withheld.places, self._seed)
        return lessons, fit_own_form(lessons)

    def _counts(self, history: RoutingHistory) -> dict[str, int]:
        routings = self._snapshot.routings()
        return {
            "items": len(self._items.codes), "routed_items": len(self._routed), "routing_rows": history.rows,
            "work_results": self._results, "missing_item_code": int(routings["item_code"].null_count()),
            "missing_process_code": int(routings["operation_code"].null_count()),
        }  # fmt: skip
