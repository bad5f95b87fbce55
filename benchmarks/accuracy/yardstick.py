"""The demo factory's truth as a yardstick: the best possible routing, and minutes without an order's luck."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import Asked, Floats, Proposal, Step, Times
from benchmarks.accuracy.plant import Plant
from benchmarks.accuracy.scoring import Flags
from shared.erp.demo.truth import Truth


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Of the asked items and orders: what the rules say, the true mean minutes, and the best guess without history."""

    best_routing: list[Proposal]
    true_minutes: Floats  # an asked order's mean, with the drawing's own speed and the learning of earlier orders
    best_minutes: Floats  # from attributes alone, and with the middle effect of learning
    known: Flags  # whether an asked order's operation is one of the item's true ones

    def times(self) -> Times:
        """Return the best possible minutes in the form of an answer without an interval."""
        nothing = np.full(len(self.best_minutes), np.nan)
        return Times(value=self.best_minutes, low=nothing, high=nothing)


def measure_against(truth: Truth, plant: Plant, asked: Asked) -> Yardstick:
    """Arrange the truth for the asked items; `plant` is the whole one, for counting earlier orders."""
    rules = truth.best_possible_signatures()
    proposals = []
    for code in asked.codes:
        signature = rules[code]
        steps = tuple(Step(label=(operation, 0), resource=None, inside=None) for operation in signature)
        proposals.append(Proposal(signatures=(signature,), steps=steps))
    rows = _asked_rows(plant, asked).join(
        truth.steps.select(
            "item_code", "operation_code", "setup_minutes", "run_minutes_per_unit", "run_minutes_from_attributes"
        ).unique(["item_code", "operation_code"], keep="first", maintain_order=True),
        on=["item_code", "operation_code"], how="left", maintain_order="left",
    )  # fmt: skip
    faster = (rows["before"].to_numpy() + 1.0) ** float(truth.document["learning_power"])
    setup, quantity = rows["setup_minutes"].to_numpy(), asked.quantity
    known = ~np.isnan(setup)
    usual = float(np.median(faster[known])) if known.any() else 1.0
    return Yardstick(
        best_routing=proposals, known=known,
        true_minutes=setup + rows["run_minutes_per_unit"].to_numpy() * quantity * faster,
        best_minutes=setup + rows["run_minutes_from_attributes"].to_numpy() * quantity * usual,
    )  # fmt: skip


def _asked_rows(plant: Plant, asked: Asked) -> pl.DataFrame:
    """Return item, operation and the number of the item's earlier orders of every asked order."""
    rows = pl.DataFrame(
        {
            "item_code": [asked.codes[item] for item in asked.order_item.tolist()],
            "operation_code": [code for code, _ in asked.order_label], "order_key": asked.order_key,
        }
    )  # fmt: skip
    begun = plant.orders.group_by("item_code", "order_key").agg(pl.col("reported_at").min().alias("begun"))
    numbered = begun.sort("item_code", "begun", "order_key").with_columns(
        pl.int_range(pl.len()).over("item_code").alias("before")
    )
    return rows.join(
        numbered.select("item_code", "order_key", "before"), on=["item_code", "order_key"], how="left",
        maintain_order="left",
    )  # fmt: skip
