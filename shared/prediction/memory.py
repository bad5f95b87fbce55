"""What the factory did, as flat arrays: each item's current routing and where to find its operations.

An item's current routing is, among those valid on the day the data was read, the newest; of equally new ones the one
with the fewest outsourced operations, then the greatest number. An operation is known by its code and by its
occurrence (0 for the first time the code appears in the routing): together they are a *task*, so that a routing that
washes twice keeps two times.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, Attribute

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FOLDS = 5
_OCCURRENCES = 10_000  # more than a routing has steps
PLANNED_TIMES = ("setup_minutes", "run_minutes_per_unit", "wait_minutes", "move_minutes", "queue_minutes")


@dataclass(frozen=True, kw_only=True)
class Items:
    """Every item that can be asked for, in the order of its code."""

    codes: list[str]
    place_of: dict[str, int]
    frame: pl.DataFrame  # item_code and the attributes, one row an item
    groups: Ints  # items of one drawing share a number
    members: dict[int, Ints]  # group -> places, for groups of more than one
    folds: npt.NDArray[np.int8]  # by group: statistics for an item asked as if unknown are fitted without its fold
    families: Ints
    family_names: list[str]

    def sisters(self, place: int) -> Ints:
        """Return the places of an item and of every other item of its drawing."""
        found = self.members.get(int(self.groups[place]))
        return np.array([place], dtype=np.int64) if found is None else found


def build_items(frame: pl.DataFrame, attributes: Sequence[Attribute]) -> Items:
    """Arrange the items; the first row wins where a code is there twice."""
    names = [a.name for a in attributes]
    frame = frame.select("item_code", *names).filter(pl.col("item_code").is_not_null())
    frame = frame.unique("item_code", keep="first", maintain_order=True).sort("item_code")
    codes = frame["item_code"].to_list()
    drawings = [a.name for a in attributes if a.drawing]
    keys = _keys(frame, drawings, codes)
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
    fold_of_key = {key: hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % FOLDS for key in numbers}
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(len(numbers) + 1))
    members = {
        group: np.sort(order[bounds[group] : bounds[group + 1]])
        for group in np.flatnonzero(np.diff(bounds) > 1).tolist()
    }
    named = [a.name for a in attributes if a.family]
    family_keys = _keys(frame, named, []) if named else ["all items"] * len(codes)
    family_names = sorted(set(family_keys))
    family_number = {name: number for number, name in enumerate(family_names)}
    return Items(
        codes=codes, place_of={code: place for place, code in enumerate(codes)}, frame=frame, groups=groups,
        members=members, folds=np.array([fold_of_key[key] for key in keys], dtype=np.int8),
        families=np.array([family_number[key] for key in family_keys], dtype=np.int64), family_names=family_names,
    )  # fmt: skip


def group_key(values: Sequence[Any]) -> str | None:
    """Return the name under which items of one drawing meet, or None where no drawing is named."""
    known = ["" if value is None else str(value).strip().upper() for value in values]
    return "drawing|" + "|".join(known) if any(known) else None


def _keys(frame: pl.DataFrame, columns: Sequence[str], alone: Sequence[str]) -> list[str]:
    if not columns:
        return [f"item|{code}" for code in alone]
    keys = []
    for place, values in enumerate(frame.select(columns).iter_rows()):
        key = group_key(values)
        if not alone:
            keys.append(" / ".join("?" if value is None else str(value) for value in values))
        else:
            keys.append(key if key is not None else f"item|{alone[place]}")
    return keys


@dataclass(frozen=True, kw_only=True)
class Routings:
    """The current routings as flat arrays over their operations; item `i` owns `offsets[i]:offsets[i + 1]`."""

    frame: pl.DataFrame  # every routing row of the items, with `chosen`
    offsets: Ints
    operation: Ints
    occurrence: Ints
    task: Ints
    task_keys: Ints  # task -> operation and occurrence, rising
    sequence: Ints
    resource: Ints  # -1 unknown
    inside: npt.NDArray[np.int8]  # -1 unknown
    operation_name: Ints  # -1 unknown
    times: dict[str, Floats]  # planned minutes by column, nan where the ERP has none
    signature: Ints  # item -> signature, -1 without a routing
    signatures: list[tuple[int, ...]]
    operations: list[str]
    operation_names: list[str]
    resources: list[str]
    resource_names: list[str | None]
    place_of_operation: dict[str, int]

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(self.task_keys)

    def task_of(self, operation_code: str, occurrence: int) -> int:
        """Return the task of an operation, at its last known occurrence where it never came so often; -1 if unknown."""
        operation = self.place_of_operation.get(operation_code)
        if operation is None:
            return -1
        return int(np.searchsorted(self.task_keys, operation * _OCCURRENCES + occurrence, side="right")) - 1

    def text(self, signature: int, separator: str) -> str:
        """Return a signature as text."""
        return separator.join(self.operations[operation] for operation in self.signatures[signature])


def choose_current(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return routing rows in order with `chosen`: whether a row belongs to its item's current routing on that day."""
    frame = frame.with_columns(
        pl.col("routing_no").fill_null(""),
        (
            (pl.col("valid_from").is_null() | (pl.col("valid_from") <= day))
            & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= day))
        ).alias("valid"),
    )
    best = (
        frame.filter("valid")
        .group_by("item_code", "routing_no")
        .agg(
            pl.col("created_at").max().alias("newest"),
            (~pl.col("inside")).fill_null(value=False).sum().alias("outside"),
        )
        .sort("item_code", "newest", "outside", "routing_no", descending=[False, True, False, True], nulls_last=True)
        .unique("item_code", keep="first", maintain_order=True)
        .select("item_code", "routing_no", pl.lit(value=True).alias("current"))
    )
    return (
        frame.join(best, on=["item_code", "routing_no"], how="left")
        .with_columns((pl.col("current").fill_null(value=False) & pl.col("valid")).alias("chosen"))
        .select(*ROUTING_SCHEMA, "chosen")
        .sort("item_code", "routing_no", "sequence", "operation_code", maintain_order=True)
    )


def build_routings(frame: pl.DataFrame, items: Items) -> Routings:
    """Arrange rows made by `choose_current` (items that are not known are left out)."""
    frame = frame.filter(pl.col("item_code").is_in(items.codes), pl.col("operation_code").is_not_null())
    rows = frame.filter("chosen")
    places = np.array([items.place_of[code] for code in rows["item_code"]], dtype=np.int64)
    operations = sorted(set(rows["operation_code"]))
    place_of_operation = {code: place for place, code in enumerate(operations)}
    operation = np.array([place_of_operation[code] for code in rows["operation_code"]], dtype=np.int64)
    offsets = np.searchsorted(places, np.arange(len(items.codes) + 1)).astype(np.int64)
    resources = sorted(set(rows["resource_code"].drop_nulls()))
    resource_number = {code: place for place, code in enumerate(resources)}
    resource_names: dict[str, str | None] = dict(rows.select("resource_code", "resource_name").drop_nulls().iter_rows())
    names = sorted(set(rows["operation_name"].drop_nulls()))
    name_number = {name: place for place, name in enumerate(names)}
    signature, signatures = _signatures(operation, offsets)
    occurrence = _occurrences(places, operation)
    task_keys, task = np.unique(operation * _OCCURRENCES + occurrence, return_inverse=True)
    inside = rows["inside"].cast(pl.Int8).fill_null(-1).to_numpy().astype(np.int8)
    return Routings(
        frame=frame, offsets=offsets, operation=operation, occurrence=occurrence,
        task=task.astype(np.int64), task_keys=task_keys.astype(np.int64),
        sequence=rows["sequence"].fill_null(0).to_numpy().astype(np.int64),
        resource=np.array([resource_number.get(code, -1) for code in rows["resource_code"]], dtype=np.int64),
        inside=inside,
        operation_name=np.array([name_number.get(name, -1) for name in rows["operation_name"]], dtype=np.int64),
        times={name: planned_minutes(rows[name]) for name in PLANNED_TIMES}, signature=signature, signatures=signatures,
        operations=operations, operation_names=names, resources=resources,
        resource_names=[resource_names.get(code) for code in resources], place_of_operation=place_of_operation,
    )  # fmt: skip


def planned_minutes(column: pl.Series) -> Floats:
    """Return planned minutes, nan where the ERP has none or none that can be."""
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.isfinite(numbers) & (numbers >= 0), numbers, np.nan)


def _occurrences(places: Ints, operation: Ints) -> Ints:
    """Count, for each row, how often its operation came before in the same routing."""
    order = np.lexsort((np.arange(len(places)), operation, places))
    same = np.zeros(len(places), dtype=np.int64)
    if len(order) > 1:
        before = (places[order][1:] == places[order][:-1]) & (operation[order][1:] == operation[order][:-1])
        starts = np.concatenate([[True], ~before])
        run = np.arange(len(order)) - np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        same[order] = run
    return same


def _signatures(operation: Ints, offsets: Ints) -> tuple[Ints, list[tuple[int, ...]]]:
    known: dict[tuple[int, ...], int] = {}
    values = operation.tolist()
    numbers = np.full(len(offsets) - 1, -1, dtype=np.int64)
    bounds = offsets.tolist()
    for item in range(len(bounds) - 1):
        if bounds[item + 1] > bounds[item]:
            numbers[item] = known.setdefault(tuple(values[bounds[item] : bounds[item + 1]]), len(known))
    return numbers, list(known)
