"""What is asked of the product and of its opponents, and the form in which all of them answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.accuracy.plant import Label, Plant

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ORDERS_AN_OPERATION = 20  # the newest of an item's operation; older ones say little about today's shop floor


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation of a routing."""

    label: Label
    resource: str | None
    inside: bool | None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What one of the asked says of an item: at most three routings, the first with its work centres."""

    signatures: tuple[tuple[str, ...], ...] = ()
    steps: tuple[Step, ...] = ()
    probability: float = 0.0
    high: bool = False

    @property
    def abstained(self) -> bool:
        """Tell whether no routing was proposed."""
        return not self.signatures


@dataclass(frozen=True, kw_only=True)
class Times:
    """Minutes of orders, one entry an asked row; nan where nothing is said."""

    value: Floats
    low: Floats
    high: Floats


def labelled(codes: Sequence[str]) -> list[Label]:
    """Return each code with how often it came before."""
    seen: dict[str, int] = {}
    labels = []
    for code in codes:
        labels.append((code, seen.get(code, 0)))
        seen[code] = seen.get(code, 0) + 1
    return labels


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Withheld items and their booked orders, which nobody who answers has seen."""

    codes: list[str]
    families: list[str]
    items: pl.DataFrame  # the attributes, in the order of `codes`
    actual: list[tuple[Step, ...]]
    order_item: Ints  # asked row -> place in `codes`
    order_label: list[Label]
    order_centre: list[str | None]  # the routing's, which only an opponent is told
    order_key: list[str]
    quantity: Floats
    booked: Floats
    by_attributes: bool = field(default=False)  # the items came after the data that the model was made of

    @property
    def signatures(self) -> list[tuple[str, ...]]:
        """Return each item's operation codes in order."""
        return [tuple(step.label[0] for step in steps) for steps in self.actual]


def ask(plant: Plant, codes: Sequence[str], *, by_attributes: bool = False) -> Asked:
    """Return the questions that these items of a plant make."""
    chosen = plant.only(codes)
    items = chosen.items.sort("item_code")
    place = {code: number for number, code in enumerate(items["item_code"])}
    steps: list[list[Step]] = [[] for _ in place]
    columns = ("item_code", "operation_code", "occurrence", "resource_code", "inside")
    for code, operation, occurrence, resource, inside in chosen.steps.select(columns).iter_rows():
        steps[place[code]].append(Step(label=(operation, occurrence), resource=resource, inside=inside))
    orders = (
        chosen.orders.group_by("item_code", "operation_code", "occurrence", maintain_order=True)
        .tail(ORDERS_AN_OPERATION)
        .join(
            chosen.steps.select("item_code", "operation_code", "occurrence", "resource_code"),
            on=["item_code", "operation_code", "occurrence"], how="left", maintain_order="left",
        )
    )  # fmt: skip
    return Asked(
        codes=list(place), families=items["family"].to_list(), items=items, actual=[tuple(found) for found in steps],
        order_item=np.array([place[code] for code in orders["item_code"]], dtype=np.int64),
        order_label=list(orders.select("operation_code", "occurrence").iter_rows()),
        order_centre=orders["resource_code"].to_list(), order_key=orders["order_key"].to_list(),
        quantity=orders["quantity"].to_numpy().astype(np.float64),
        booked=orders["minutes"].to_numpy().astype(np.float64), by_attributes=by_attributes,
    )  # fmt: skip
