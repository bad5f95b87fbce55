"""A factory's data arranged for measuring: items, the steps of their routing in force, and their booked orders."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from shared.erp.canonical import Attribute
from shared.prediction.fit import SnapshotLike
from shared.prediction.memory import choose_current
from shared.prediction.minutes.reports import sound_reports

Label = tuple[str, int]  # an operation's code, and how often the code came before in the same routing
UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What the factory did, by item; `steps` and `orders` hold items of `items` only."""

    attributes: tuple[Attribute, ...]
    items: pl.DataFrame  # item_code, attributes, `family`, `group` (one drawing, any revision), sorted by item_code
    steps: pl.DataFrame  # item_code, place, operation_code, occurrence, sequence, resource_code, inside, planned times
    orders: pl.DataFrame  # item_code, order_key, operation_code, occurrence, quantity, setup, run, minutes, reported_at

    @cached_property
    def routed(self) -> list[str]:
        """Return the codes of the items with a routing in force."""
        return self.steps["item_code"].unique().sort().to_list()

    def without(self, codes: Collection[str]) -> "Plant":
        """Return the plant as it is known when nothing was ever made of these items."""
        gone = pl.col("item_code").is_in(list(codes))
        return Plant(
            attributes=self.attributes, items=self.items.filter(~gone), steps=self.steps.filter(~gone),
            orders=self.orders.filter(~gone),
        )  # fmt: skip

    def only(self, codes: Collection[str]) -> "Plant":
        """Return these items alone."""
        kept = pl.col("item_code").is_in(list(codes))
        return Plant(
            attributes=self.attributes, items=self.items.filter(kept), steps=self.steps.filter(kept),
            orders=self.orders.filter(kept),
        )  # fmt: skip

    def routings(self) -> dict[str, list[Label]]:
        """Return each item's operations in order."""
        found: dict[str, list[Label]] = {}
        for code, operation, occurrence in self.steps.select("item_code", "operation_code", "occurrence").iter_rows():
            found.setdefault(code, []).append((operation, occurrence))
        return found


def arrange(snapshot: SnapshotLike) -> Plant:
    """Arrange a snapshot."""
    attributes = snapshot.attributes
    items = _items(snapshot.items(), attributes)
    known = items.select("item_code")
    current = choose_current(snapshot.routings(), snapshot.data_as_of.date()).filter(
        "chosen", pl.col("operation_code").is_not_null()
    )
    steps = (
        current.join(known, on="item_code", how="semi")
        .sort("item_code", "sequence", maintain_order=True)
        .with_columns(
            pl.int_range(pl.len()).over("item_code").alias("place"),
            pl.int_range(pl.len()).over("item_code", "operation_code").alias("occurrence"),
        )
        .select(
            "item_code", "place", "operation_code", "occurrence", "sequence", "resource_code", "inside",
            "setup_minutes", "run_minutes_per_unit",
        )
    )  # fmt: skip
    return Plant(
        attributes=attributes, items=items, steps=steps,
        orders=_orders(snapshot.work_results().join(known, on="item_code", how="semi"), steps),
    )  # fmt: skip


def _items(frame: pl.DataFrame, attributes: tuple[Attribute, ...]) -> pl.DataFrame:
    names = [attribute.name for attribute in attributes]
    frame = frame.select("item_code", *names).filter(pl.col("item_code").is_not_null())
    frame = frame.unique("item_code", keep="first", maintain_order=True).sort("item_code")
    drawings = [attribute.name for attribute in attributes if attribute.drawing]
    codes = frame["item_code"].to_list()
    sheets = frame.select(drawings).rows() if drawings else [()] * len(codes)
    groups = [_drawing(sheet) or f"item|{code}" for code, sheet in zip(codes, sheets, strict=True)]
    named = [pl.col(a.name).cast(pl.String).fill_null(UNKNOWN) for a in attributes if a.family]
    family = pl.concat_str(named, separator=" / ") if named else pl.lit("(all)")
    return frame.with_columns(family.alias("family"), pl.Series("group", groups, dtype=pl.String))


def _drawing(values: Sequence[Any]) -> str | None:
    """Return the name under which items of one drawing meet, None where no drawing is named."""
    known = ["" if value is None else str(value).strip().upper() for value in values]
    return "drawing|" + "|".join(known) if any(known) else None


def _orders(results: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Sum the reports of one order and operation; a report without order number is an order of its own."""
    alone = pl.concat_str(pl.lit("row "), pl.int_range(pl.len()).cast(pl.String))
    numbered = steps.select("item_code", "operation_code", "sequence", "occurrence").unique(
        ["item_code", "operation_code", "sequence"], keep="first", maintain_order=True
    )
    return (
        sound_reports(results)
        .with_columns(pl.coalesce("order_no", alone).alias("order_key"))
        .join(numbered, on=["item_code", "operation_code", "sequence"], how="left")
        .group_by("item_code", "order_key", "operation_code", pl.col("occurrence").fill_null(0))
        .agg(
            pl.col("quantity").sum(),
            pl.col("setup_minutes").fill_null(0.0).sum().alias("setup"),
            pl.col("run_minutes").sum().alias("run"),
            pl.col("reported_at").max(),
        )
        .filter(pl.col("quantity") > 0)
        .with_columns((pl.col("setup") + pl.col("run")).alias("minutes"))
        .sort("item_code", "operation_code", "occurrence", "reported_at", "order_key", nulls_last=True)
    )
