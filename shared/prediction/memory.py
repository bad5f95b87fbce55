"""What the factory did, as flat arrays: each item's current routing and where to find its operations.

An item's current routing is, among those valid on the day the data was read, the newest; of equally new ones the one
with the fewest outsourced operations, then the greatest number. An operation is known by its code and by its
occurrence (0 for the first time the code appears in the routing): together they are a *task*, so that a routing that
washes twice keeps two times.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.erp.canonical import Attribute

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FOLDS = 5
_FOLDS_OF_MANY = 2
_MANY_ITEMS = 20_000  # with a routing: from here half of them teach as much as four fifths
_OCCURRENCES = 10_000  # more than a routing has steps
PLANNED_TIMES = ("setup_minutes", "run_minutes_per_unit", "wait_minutes", "move_minutes", "queue_minutes")
SETUP, RUN = 0, 1  # of them


@dataclass(frozen=True, kw_only=True)
class Items:
    """Every item that can be asked for, in the order of its code."""

    codes: list[str]  # rising
    frame: pl.DataFrame  # item_code and the attributes, one row an item
    groups: Ints  # items of one drawing share a number
    folds: npt.NDArray[np.int8]  # by group: statistics for an item asked as if unknown are fitted without its fold
    fold_count: int
    group_marks: npt.NDArray[np.uint32]  # group -> checksum of its name
    families: Ints
    family_names: list[str]

    def place_of(self, code: str) -> int:
        """Return the place of a code, -1 where no item has it; a table of all codes would take longer to make."""
        place = bisect_left(self.codes, code)
        return place if place < len(self.codes) and self.codes[place] == code else -1

    @cached_property
    def _by_group(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.groups, kind="stable")
        return order, np.searchsorted(self.groups[order], np.arange(int(self.groups.max(initial=-1)) + 2))

    def sisters(self, place: int) -> Ints:
        """Return the places of an item and of every other item of its drawing, rising."""
        order, bounds = self._by_group
        group = int(self.groups[place])
        return order[bounds[group] : bounds[group + 1]]

    def of_drawing(self, values: Sequence[Any], columns: Sequence[str]) -> Ints:
        """Return the places of the items of one drawing, given the values of the columns that name it; none if none."""
        key = group_key(values)
        order, bounds = self._by_group
        for group in np.flatnonzero(self.group_marks == crc32(key.encode())).tolist() if key else ():
            members = order[bounds[group] : bounds[group + 1]]
            if group_key(self.frame.row(int(members[0]), named=True)[name] for name in columns) == key:
                return members
        return order[:0]

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs beside the frame, as plain values and arrays."""
        return {
            "groups": self.groups.astype(np.int32), "folds": self.folds, "fold_count": self.fold_count,
            "group_marks": self.group_marks,
            "families": self.families.astype(np.int32), "family_names": self.family_names,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], frame: pl.DataFrame) -> Self:
        """Rebuild the items from `state()` and their frame."""
        return cls(codes=frame["item_code"].to_list(), frame=frame, **state)


def folds_for(routed_items: int) -> int:
    """Return into how many folds the items are dealt, given how many have a routing."""
    return FOLDS if routed_items <= _MANY_ITEMS else _FOLDS_OF_MANY


def build_items(frame: pl.DataFrame, attributes: Sequence[Attribute], *, fold_count: int = FOLDS) -> Items:
    """Arrange the items; the first row wins where a code is there twice."""
    names = [a.name for a in attributes]
    frame = frame.select("item_code", *names).filter(pl.col("item_code").is_not_null())
    frame = frame.unique("item_code", keep="first", maintain_order=True).sort("item_code")
    keys = sister_keys(frame, attributes)
    named = [a.name for a in attributes if a.family]
    families = frame.select(
        pl.concat_str([pl.col(name).cast(pl.String).fill_null("?") for name in named], separator=" / ")
        if named
        else pl.repeat("all items", pl.len())
    ).to_series()
    group_names, groups = _numbered(keys)
    marks = np.fromiter((crc32(name.encode()) for name in group_names), np.uint32, len(group_names))
    codes = frame["item_code"].to_list()
    family_names, family = _numbered(families)
    return Items(
        codes=codes, frame=frame.rechunk(), groups=groups, group_marks=marks,
        folds=(marks[groups] % fold_count).astype(np.int8), fold_count=fold_count, families=family,
        family_names=family_names,
    )  # fmt: skip


def places_by_code(codes: Sequence[str]) -> dict[str, int]:
    """Return each code's place."""
    return dict(zip(codes, range(len(codes)), strict=True))


def group_key(values: Iterable[Any]) -> str | None:
    """Return the name under which items of one drawing meet, or None where no drawing is named."""
    known = ["" if value is None else str(value).strip().upper() for value in values]
    return "drawing|" + "|".join(known) if any(known) else None


def sister_keys(frame: pl.DataFrame, attributes: Sequence[Attribute]) -> pl.Series:
    """Return what every item shares with its sisters: its `group_key`, or only itself where it has no drawing."""
    alone = pl.format("item|{}", pl.col("item_code"))
    named = [a.name for a in attributes if a.drawing]
    if not named:
        return frame.select(alone.alias("drawing")).to_series()
    parts = [pl.col(name).cast(pl.String).str.strip_chars().str.to_uppercase().fill_null("") for name in named]
    shared = pl.format("drawing|{}", pl.concat_str(parts, separator="|"))
    known = pl.any_horizontal(part != "" for part in parts)
    return frame.select(pl.when(known).then(shared).otherwise(alone).alias("drawing")).to_series()


def _numbered(texts: pl.Series) -> tuple[list[str], Ints]:
    """Return the distinct texts in order, and the number of each text among them, -1 for null."""
    distinct = texts.drop_nulls().unique().sort()
    numbers = texts.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).fill_null(-1)
    return distinct.to_list(), numbers.to_numpy().astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Routings:
    """The current routings as flat arrays over their operations; item `i` owns `offsets[i]:offsets[i + 1]`."""

    offsets: Ints
    operation: Ints
    occurrence: Ints
    task: Ints
    task_keys: Ints  # task -> operation and occurrence, rising
    sequence: Ints
    resource: Ints  # -1 unknown
    inside: npt.NDArray[np.int8]  # -1 unknown
    operation_name: Ints  # -1 unknown
    name_of_task: Ints  # task -> its most frequent name, -1 unknown
    times: Floats  # (operations, 5) planned minutes by PLANNED_TIMES, nan where the ERP has none
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

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays, small enough numbers in half the room."""
        by_row = ("operation", "occurrence", "task", "sequence", "resource", "operation_name")
        kept = (
            "offsets", "task_keys", "inside", "times", "signature", "operations", "operation_names", "resources",
            "resource_names", "name_of_task",
        )  # fmt: skip
        lengths = np.array([len(signature) for signature in self.signatures], dtype=np.int64)
        return {
            **{name: getattr(self, name).astype(np.int32) for name in by_row},
            **{name: getattr(self, name) for name in kept},
            "signature_lengths": lengths,
            "signature_operations": np.array([step for s in self.signatures for step in s], dtype=np.int32),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the routings from `state()`."""
        values = dict(state)
        ends = np.cumsum(values.pop("signature_lengths")).tolist()
        steps = values.pop("signature_operations").tolist()
        signatures = [tuple(steps[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        place_of_operation = places_by_code(values["operations"])
        return cls(signatures=signatures, place_of_operation=place_of_operation, **values)

    def operation_of_task(self, task: int) -> int:
        """Return which operation a task is."""
        return int(self.task_keys[task]) // _OCCURRENCES

    def codes_of(self, signature: int) -> list[str]:
        """Return the operation codes of a signature."""
        return [self.operations[operation] for operation in self.signatures[signature]]

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
        .select(*frame.columns, "chosen")
        .sort("item_code", "routing_no", "sequence", "operation_code", maintain_order=True)
    )


def build_routings(frame: pl.DataFrame, items: Items) -> Routings:
    """Arrange rows made by `choose_current` (items that are not known are left out)."""
    known = items.frame.select("item_code", pl.int_range(pl.len(), dtype=pl.Int64).alias("place"))
    rows = frame.filter("chosen", pl.col("operation_code").is_not_null())
    rows = rows.join(known, on="item_code", how="inner", maintain_order="left")
    places = rows["place"].to_numpy().astype(np.int64)
    operations, operation = _numbered(rows["operation_code"])
    resources, resource = _numbered(rows["resource_code"])
    names, name = _numbered(rows["operation_name"])
    resource_names = dict(
        rows.select("resource_code", "resource_name").drop_nulls().unique("resource_code", keep="last").iter_rows()
    )
    offsets = np.searchsorted(places, np.arange(len(items.codes) + 1)).astype(np.int64)
    signature, signatures = _signatures(operation, offsets)
    occurrence = _occurrences(places, operation)
    task_keys, task = np.unique(operation * _OCCURRENCES + occurrence, return_inverse=True)
    return Routings(
        offsets=offsets, operation=operation, occurrence=occurrence,
        task=task.astype(np.int64), task_keys=task_keys.astype(np.int64),
        sequence=rows["sequence"].fill_null(0).to_numpy().astype(np.int64), resource=resource,
        inside=rows["inside"].cast(pl.Int8).fill_null(-1).to_numpy().astype(np.int8), operation_name=name,
        name_of_task=_most_frequent(task.astype(np.int64), name, len(task_keys)),
        times=np.stack([planned_minutes(rows[name]) for name in PLANNED_TIMES], axis=1), signature=signature,
        signatures=signatures,
        operations=operations, operation_names=names, resources=resources,
        resource_names=[resource_names.get(code) for code in resources],
        place_of_operation=places_by_code(operations),
    )  # fmt: skip


def _most_frequent(task: Ints, name: Ints, tasks: int) -> Ints:
    """Return each task's most frequent name, the first of equally frequent ones; -1 where none is known."""
    found = np.full(tasks, -1, dtype=np.int64)
    known = np.flatnonzero(name >= 0)
    pairs, number = np.unique(np.stack([task[known], name[known]], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], number))
    found[pairs[order, 0]] = pairs[order, 1]
    return found


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
    """Number the distinct sequences of operations, in the order of their first item; -1 without a routing."""
    sizes = np.diff(offsets)
    has = np.flatnonzero(sizes > 0)
    step = np.arange(len(operation)) - np.repeat(offsets[:-1], sizes)
    keys = np.zeros(len(has), dtype=[("first", np.uint64), ("second", np.uint64)])
    for name, seed in (("first", 0x9E3779B97F4A7C15), ("second", 0xD1B54A32D192ED03)):
        keys[name] = np.add.reduceat(_mixed(operation, step, seed), offsets[has]) if len(has) else 0
    _, first, belongs = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    numbers = np.full(len(sizes), -1, dtype=np.int64)
    numbers[has] = rank[belongs.ravel()]
    shown = has[first[order]]
    return numbers, [tuple(operation[offsets[item] : offsets[item + 1]].tolist()) for item in shown.tolist()]


def _mixed(operation: Ints, step: Ints, seed: int) -> npt.NDArray[np.uint64]:
    """Return 64 evenly spread bits for each operation at its step (splitmix64, Steele et al. 2014).

    Their sum over a routing, once with each of two seeds, is 128 bits that tell sequences apart.
    """
    mixed = (operation * _OCCURRENCES + step).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
