"""One measurement: fit the product and its opponents on the same rows, ask the withheld items, compare."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import Asked, Proposal, Times
from benchmarks.accuracy.boosted import BoostedClasses, BoostedSets, BoostedTimes, WorkCentres
from benchmarks.accuracy.nearest import NearestCopy
from benchmarks.accuracy.plant import Plant
from benchmarks.accuracy.product import Product
from benchmarks.accuracy.simple import FamilyHabit, LastOrders
from benchmarks.accuracy.trees import ItemRows
from shared.configuration import Configuration
from shared.prediction.fit import SnapshotLike, fit_model
from shared.prediction.model import RoutingModel

PRODUCT, NEAREST, LAST_TEN = Product.name, NearestCopy.name, LastOrders.name
Say = Callable[[str], None]


class Router(Protocol):
    """Who proposes routings."""

    name: str

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return a proposal for each item."""
        ...


class Timer(Protocol):
    """Who says minutes."""

    name: str

    def minutes(self, asked: Asked) -> Times:
        """Return the minutes of each asked order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What everybody said of the same withheld items."""

    asked: Asked
    proposals: dict[str, list[Proposal]]
    times: dict[str, Times]
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The product's model and how long it took."""

    model: RoutingModel
    seconds: float


def fit(snapshot: SnapshotLike, withheld: Sequence[str], configuration: Configuration, say: Say) -> Fitted:
    """Fit the product without the routings and results of the withheld items."""
    say(f"fitting the product without {len(withheld):,} items")
    started = time.perf_counter()
    model = fit_model(snapshot, configuration, exclude_items=withheld)
    return Fitted(model=model, seconds=time.perf_counter() - started)


def answer(fitted: Fitted, known: Plant, asked: Asked, say: Say, *, boosted: bool = True) -> Answers:
    """Fit the opponents, and ask everybody.

    Args:
        fitted: the product, fitted on the same rows as `known`.
        known: the plant without the withheld items.
        asked: the questions.
        say: told what begins.
        boosted: whether LightGBM is among the opponents.
    """
    seconds: dict[str, float] = {"product fit": fitted.seconds}
    proposals: dict[str, list[Proposal]] = {}
    times: dict[str, Times] = {}
    routers, timers = _everybody(Product(fitted.model), known, boosted=boosted)
    for make in routers:
        started = time.perf_counter()
        router = make()
        say(f"routings by {router.name}")
        proposals[router.name] = router.propose(asked)
        seconds[f"{router.name} routings"] = time.perf_counter() - started
    for build in timers if len(asked.booked) else ():
        started = time.perf_counter()
        timer = build()
        say(f"minutes by {timer.name}")
        times[timer.name] = timer.minutes(asked)
        seconds[f"{timer.name} minutes"] = time.perf_counter() - started
    return Answers(asked=asked, proposals=proposals, times=times, seconds=seconds)


def _everybody(
    product: Product, known: Plant, *, boosted: bool
) -> tuple[list[Callable[[], Router]], list[Callable[[], Timer]]]:
    """Return who proposes routings and who says minutes, each fitted when it is called for."""

    @cache
    def shared_rows() -> tuple[ItemRows, WorkCentres]:
        rows = ItemRows(known)
        return rows, WorkCentres(known, rows)

    routers: list[Callable[[], Router]] = [
        lambda: product, lambda: NearestCopy(known), lambda: FamilyHabit(known),
    ]  # fmt: skip
    timers: list[Callable[[], Timer]] = [
        lambda: product, lambda: NearestCopy(known), lambda: FamilyHabit(known), lambda: LastOrders(known),
    ]  # fmt: skip
    if boosted:
        routers += [lambda: BoostedClasses(known, *shared_rows()), lambda: BoostedSets(known, *shared_rows())]
        timers.append(lambda: BoostedTimes(known, *shared_rows()))
    return routers, timers


def joined(parts: Sequence[Answers]) -> Answers:
    """Put the answers of several folds together, as if they were one."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.asked.codes) for part in parts)]).tolist()
    first = parts[0].asked
    asked = replace(
        first, codes=[code for part in parts for code in part.asked.codes],
        families=[family for part in parts for family in part.asked.families],
        items=pl.concat([part.asked.items for part in parts]),
        actual=[steps for part in parts for steps in part.asked.actual],
        order_item=np.concatenate([part.asked.order_item + s for part, s in zip(parts, starts[:-1], strict=True)]),
        order_label=[label for part in parts for label in part.asked.order_label],
        order_centre=[centre for part in parts for centre in part.asked.order_centre],
        order_key=[key for part in parts for key in part.asked.order_key],
        quantity=np.concatenate([part.asked.quantity for part in parts]),
        booked=np.concatenate([part.asked.booked for part in parts]),
    )  # fmt: skip
    return Answers(
        asked=asked,
        proposals={name: [one for part in parts for one in part.proposals[name]] for name in parts[0].proposals},
        times={
            name: Times(
                value=np.concatenate([part.times[name].value for part in parts]),
                low=np.concatenate([part.times[name].low for part in parts]),
                high=np.concatenate([part.times[name].high for part in parts]),
            )
            for name in parts[0].times
        },
        seconds={name: sum(part.seconds.get(name, 0.0) for part in parts) for name in parts[0].seconds},
    )  # fmt: skip
