"""What is true of a demo factory, for scoring predictions: the routing, the mean times, and the best anybody could say.

A model must never read this. Scores have two yardsticks: the truth itself, and the best possible prediction, since
some of the truth cannot be known beforehand: exceptions of planners, a drawing's own speed, an order's luck.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shared.errors import SourceError

ITEM_SCHEMA: dict[str, type[pl.DataType]] = {
    "item_code": pl.String,
    "part_type": pl.String,  # the family whose scatter of times is common
    "created_day": pl.Int64,  # after the factory's first day
    "has_routing": pl.Boolean,  # the ERP has one
    "revised": pl.Boolean,  # the ERP has an older one, too, with other numbers
    "has_alternate": pl.Boolean,  # the ERP has a second valid one, with the same operations made elsewhere
    "true_signature": pl.String,  # the operations really done, joined by `>`
    "rule_signature": pl.String,  # what the factory's rules say of the attributes: the best possible prediction
    "outer_mm": pl.Float64,
}
STEP_SCHEMA: dict[str, type[pl.DataType]] = {
    "item_code": pl.String,
    "sequence": pl.Int64,  # in the current routing
    "operation_code": pl.String,
    "setup_minutes": pl.Float64,  # the mean of an order
    "run_minutes_per_unit": pl.Float64,  # the mean of a piece: the best prediction for an item with history
    "run_minutes_from_attributes": pl.Float64,  # the best prediction for an item that was never made
    "noise_cv": pl.Float64,  # scatter of an order's run time about its mean that nobody can predict
}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A demo factory as it really is."""

    document: dict[str, Any]  # truth/demo.json: counts, rates, hashes
    items: pl.DataFrame  # ITEM_SCHEMA, one row an item
    steps: pl.DataFrame  # STEP_SCHEMA, one row a step of an item's true routing, in order of making

    def true_signatures(self) -> dict[str, tuple[str, ...]]:
        """Return each item's operations as they are really done."""
        return self._signatures("true_signature")

    def best_possible_signatures(self) -> dict[str, tuple[str, ...]]:
        """Return each item's operations as one would predict who knew every rule but no exception."""
        return self._signatures("rule_signature")

    def best_possible_top1(self) -> float:
        """Return the share of items whose operations the rules give: nobody does better on items never seen."""
        right = self.items.filter(pl.col("rule_signature") == pl.col("true_signature"))
        return right.height / self.items.height

    def expected_order_minutes(self, quantity: int, *, orders_before: int = 0) -> pl.DataFrame:
        """Return item, operation and the true mean minutes of an order: `known` with history, `unseen` without.

        Args:
            quantity: pieces of the order, 1 or more.
            orders_before: how many orders of the item came before; each makes the next a little faster.

        Returns:
            `item_code`, `sequence`, `operation_code`, `known`, `unseen`: minutes of setup and run together, and
            `run_cv`: the scatter of the run time that stays. Stoppages and typing errors are not in it.
        """
        learned = quantity * (orders_before + 1.0) ** float(self.document["learning_power"])
        return self.steps.select(
            "item_code",
            "sequence",
            "operation_code",
            (pl.col("setup_minutes") + pl.col("run_minutes_per_unit") * learned).alias("known"),
            (pl.col("setup_minutes") + pl.col("run_minutes_from_attributes") * learned).alias("unseen"),
            pl.col("noise_cv").alias("run_cv"),
        )

    def _signatures(self, column: str) -> dict[str, tuple[str, ...]]:
        return {code: tuple(text.split(">")) for code, text in self.items.select("item_code", column).iter_rows()}


def load_truth(folder: Path) -> Truth:
    """Return the truth of the demo factory in `folder`, where `truth/` lies beside the views.

    Raises:
        SourceError: there is no truth, or it is not as the generator writes it.
    """
    place = folder / "truth"
    try:
        document = json.loads((place / "demo.json").read_text(encoding="utf-8"))
        items = pl.read_csv(place / "items.csv", schema=ITEM_SCHEMA)
        steps = pl.read_csv(place / "routings.csv", schema=STEP_SCHEMA)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"{folder} holds no demo factory's truth: {error}",
            remedy="Name a folder that `manage.py demo generate` wrote.",
        ) from error
    return Truth(document=document, items=items, steps=steps)
