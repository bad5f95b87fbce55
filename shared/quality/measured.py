"""The steps of one cycle up to its figures: sample, read the actuals, predict as if unknown, measure."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from shared.configuration import Configuration
from shared.database.tables import QualityCycle
from shared.erp.snapshot import Snapshot
from shared.prediction.model import RoutingModel
from shared.quality.actuals import ItemActuals, collect_actuals, family_attributes
from shared.quality.completeness import completeness
from shared.quality.error_seeking import ErrorHistory, with_favour
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.metrics import measure
from shared.quality.population import Population, later_than
from shared.quality.sampling import Sample, draw_sample

FRESH_ITEMS = 50  # so many items with orders after the model's data suffice to judge it on those alone


class Served(Protocol):
    """A served model: `shared.registry.serving.ServedModel`."""

    @property
    def version(self) -> str:
        """The version's name."""
        ...

    @property
    def model(self) -> RoutingModel:
        """The model itself."""
        ...


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The sample, and which orders count."""

    sample: Sample
    reported_after: date | None  # only orders reported later than this day count; None: all, the item being withheld

    @property
    def mode(self) -> str:
        """How the items were unknown to the model: by the time of their orders, or by being withheld."""
        return "withheld" if self.reported_after is None else "after the model's data"

    @property
    def weights(self) -> dict[str, float]:
        """Each sampled item's weight."""
        return dict(zip(self.sample.item_codes, self.sample.weights, strict=True))


@dataclass(frozen=True, kw_only=True)
class MeasuredCycle:
    """Everything that one cycle saw and found, before anything is decided about it."""

    row: QualityCycle
    configuration: Configuration
    served: Served
    population: Population  # of the snapshot
    drawn: Drawn
    actuals: dict[str, ItemActuals]
    evaluation: Evaluation
    figures: dict[str, Any]  # `overall`, `by_family`, `by_operation`, `completeness`
    begun: float  # time.perf_counter() at the start

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that the actuals were read from."""
        return self.population.snapshot

    @property
    def seconds(self) -> float:
        """Seconds since the cycle began."""
        return time.perf_counter() - self.begun


class Steps(Protocol):
    """What a run tells its surroundings."""

    def step(self, progress: float, name: str, **facts: Any) -> None:
        """Note that a step begins: `progress` in percent, and what is known by now."""
        ...

    def progress(self, percent: float, name: str) -> None:
        """Note how far a step is."""
        ...

    def lost(self) -> bool:
        """Return whether the work must stop because another worker has it."""
        ...


FindHistory = Callable[[datetime], ErrorHistory]  # of cycles created before a time


def measure_cycle(
    row: QualityCycle,
    configuration: Configuration,
    served: Served,
    find_population: Callable[[], Population],
    find_history: FindHistory,
    steps: Steps,
) -> MeasuredCycle:
    """Do the cycle's work up to its figures."""
    begun = time.perf_counter()
    population = find_population()
    snapshot = population.snapshot
    steps.step(5, "sampling", model_version=served.version, snapshot_id=snapshot.id)
    drawn = _draw(row, configuration, population, served.model, find_history)
    steps.step(15, "reading actuals", sampled=len(drawn.sample.item_codes), mode=drawn.mode)
    actuals = collect_actuals(snapshot, drawn.sample.item_codes, reported_after=drawn.reported_after)
    steps.step(25, "predicting", items=len(actuals))
    evaluation = evaluate(
        served.model,
        actuals,
        drawn.weights,
        progress=lambda share: steps.progress(25 + 50 * share, "predicting"),
        cancelled=steps.lost,
    )
    steps.step(75, "measuring", evaluated=evaluation.evaluated, failed=evaluation.failed_count)
    figures = measure(
        evaluation.orders,
        evaluation.routings,
        trim_share=configuration.quality.trim_share,
        minimum_samples=configuration.quality.minimum_samples,
        seed=row.seed,
    )
    figures["completeness"] = completeness(actuals, drawn.weights, seed=row.seed)
    return MeasuredCycle(
        row=row,
        configuration=configuration,
        served=served,
        population=population,
        drawn=drawn,
        actuals=actuals,
        evaluation=evaluation,
        figures=figures,
        begun=begun,
    )


def _draw(
    row: QualityCycle, configuration: Configuration, population: Population, model: RoutingModel, history: FindHistory
) -> Drawn:
    """Sample among orders that the model cannot have seen where there are enough, otherwise among all."""
    families = family_attributes(population.snapshot)
    strata = tuple(row.strata or ()) if row.strategy == "stratified" else ()
    cut_off = model.data_as_of.date()
    items = population.eligible(strata or families)
    fresh = later_than(items, cut_off)
    enough = fresh.height >= min(row.sample_size, FRESH_ITEMS)
    chosen = fresh if enough else items
    if row.strategy == "error_seeking":
        chosen = with_favour(chosen, population.snapshot, history(row.created_at))
    half_life = configuration.quality.recent_half_life_days
    sample = draw_sample(chosen, strategy=row.strategy, size=row.sample_size, seed=row.seed, half_life_days=half_life)
    return Drawn(sample=sample, reported_after=cut_off if enough else None)
