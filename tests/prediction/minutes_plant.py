"""Small plants with known minutes, and a minutes model fitted to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.encoder import ItemEncoder
from shared.features.table import FeatureTable
from shared.prediction.memory import Floats, Ints, Items, Routings, build_items, build_routings, choose_current
from shared.prediction.minutes.estimates import Estimates
from shared.prediction.minutes.fitting import fit_minutes
from shared.prediction.minutes.lessons import Known
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import Observations, condense
from shared.prediction.minutes.orders import Orders, arrange_orders
from shared.prediction.nearby import Nearby
from tests.prediction.prediction_factories import Factory, assemble, result_row, routing_row

DAY = date(2026, 7, 1)
ATTRIBUTES = (
    Attribute(name="PART", kind=AttributeKind.CATEGORICAL, weight=2.0, family=True),
    Attribute(name="SIZE", kind=AttributeKind.NUMERIC, unit="mm"),
    Attribute(name="DRAWING", kind=AttributeKind.CODE, weight=0.1, drawing=True),
)
SETUP = {"TURN": 45.0, "WASH": 8.0}  # true minutes
_NEAR = 12

Change = Callable[[dict[str, Any], np.random.Generator], dict[str, Any]]


def piece_minutes(size: float, operation: str) -> float:
    """Return the true run minutes of a piece."""
    return size / 10 if operation == "TURN" else 0.5 + size / 100


def make_plant(
    items: int = 240, orders: int = 3, *, scatter: dict[str, float] | None = None, change: Change | None = None
) -> Factory:
    """Return a plant of two operations whose orders scatter by part; `change` may alter each work result."""
    rng = np.random.default_rng(7)
    scatters = scatter or {"ring": 0.2, "disc": 0.2}
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]] = ([], [], [])
    for number in range(items):
        code, part, size = f"I{number:04d}", list(scatters)[number % len(scatters)], 20.0 + 3 * (number * 7 % 60)
        drawing = number - 1 if number % 6 == 5 else number
        rows[0].append({"item_code": code, "PART": part, "SIZE": size, "DRAWING": f"D-{drawing:05d}"})
        for place, (operation, setup) in enumerate(SETUP.items()):
            sequence = 10 * (place + 1)
            run = piece_minutes(size, operation)
            rows[1].append(routing_row(code, sequence, operation, setup_minutes=setup, run_minutes_per_unit=run))
            for order in range(orders):
                quantity = float(rng.choice([1, 4, 20, 100, 500]))
                noise = np.exp(rng.normal(0, scatters[part], 2))
                row = result_row(
                    code, sequence, operation, order_no=f"W{number}-{order}", quantity=quantity,
                    setup_minutes=setup * noise[0], run_minutes=run * quantity * noise[1],
                    reported_at=DAY - timedelta(days=10 * order + 1),
                )  # fmt: skip
                rows[2].append(row if change is None else change(row, rng))
    return assemble(*rows, attributes=ATTRIBUTES)


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A plant arranged, encoded and fitted."""

    items: Items
    routings: Routings
    orders: Orders
    seen: Observations
    known: Known
    vectors: Any
    rows: Any
    model: MinutesModel

    def near(self, places: Ints, own: Ints | None = None) -> Nearby:
        """Return the items near some: without them and their sisters, unless their own results may be used."""
        found: list[Ints] = []
        similar: list[Floats] = []
        for number, place in enumerate(places.tolist()):
            scores = np.round((self.vectors @ self.vectors[place]).astype(np.float64), 6)
            if own is None or own[number] < 0:
                scores[self.items.groups == self.items.groups[place]] = -np.inf
            order = np.argsort(-scores, kind="stable")[:_NEAR]
            found.append(order[np.isfinite(scores[order])])
            similar.append(scores[found[-1]])
        bounds = np.cumsum([0, *(len(one) for one in found)])
        return Nearby(
            routings=self.routings, bounds=bounds, places=np.concatenate(found), similarities=np.concatenate(similar),
            own=np.full(len(places), -1) if own is None else own,
        )  # fmt: skip

    def ask(self, places: Ints, task: int, *, known: bool = False, plan: Floats | None = None) -> Estimates:
        """Estimate a task of some items, each once: as if unknown, or with its own results."""
        count = len(places)
        own = places if known else np.full(count, -1)
        views = np.full(count, self.items.fold_count) if known else self.items.folds[places].astype(np.int64)
        rows = self.routings.offsets[places] + task
        return self.model.estimate(
            self.seen, self.near(places, own), views, self.vectors[places], self.rows[places], np.arange(count),
            np.full(count, task), np.full(count, self.routings.resource[rows[0]]),
            np.full((count, 2), np.nan) if plan is None else plan, rows if known else np.full(count, -1),
        )  # fmt: skip

    def order_minutes(self, task: int, places: Ints, quantity: float) -> Floats:
        """Return the true minutes of an order of each item."""
        operation = list(SETUP)[task]
        sizes = self.items.frame["SIZE"].to_numpy()[places]
        return np.array([SETUP[operation] + quantity * piece_minutes(size, operation) for size in sizes.tolist()])


def fit_plant(factory: Factory, *, fold_count: int = 5, seed: int = 42) -> Plant:
    """Arrange and fit a plant."""
    current = choose_current(factory.routings(), DAY)
    items = build_items(factory.items(), factory.attributes, fold_count=fold_count)
    routings = build_routings(current, items)
    orders = arrange_orders(
        factory.work_results(), items, routings, day=DAY, half_life_days=365.0, trim_share=0.05
    )  # fmt: skip
    seen = condense(orders, routings)
    columns = {a.name: items.frame[a.name].to_list() for a in factory.attributes}
    vectors = ItemEncoder(factory.attributes, seed=seed).fit(columns).transform(columns)
    table = FeatureTable.fit(factory.attributes, columns)
    rows = table.rows(columns)
    known = Known(
        orders=orders, seen=seen, routings=routings, items=items, vectors_of=lambda places: vectors[places],
        rows_of=lambda places: rows[places], categorical=table.categorical,
    )  # fmt: skip
    draft = Plant(
        items=items, routings=routings, orders=orders, seen=seen, known=known, vectors=vectors, rows=rows,
        model=None,  # type: ignore[arg-type]
    )  # fmt: skip
    places = np.arange(len(items.codes))
    model = fit_minutes(known, draft.near(places), places, seed)
    return Plant(**{**vars(draft), "model": model})
