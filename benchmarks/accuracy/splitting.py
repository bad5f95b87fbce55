"""Which items are withheld: whole drawings together, seeded; or whatever came after a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property

import numpy as np
import polars as pl

from benchmarks.accuracy.plant import Plant
from shared.erp.canonical import Attribute
from shared.prediction.fit import SnapshotLike


@dataclass(frozen=True, kw_only=True)
class Part:
    """Withheld items: those that are asked (they have a routing), and all of their drawings."""

    asked: list[str]
    withheld: list[str]


def partition(plant: Plant, parts: int, seed: int) -> list[Part]:
    """Deal the drawings of routed items into parts of about equal size, the same for the same seed."""
    routed = set(plant.routed)
    drawn = plant.items.select("item_code", "group")
    with_routing = drawn.filter(pl.col("item_code").is_in(list(routed)))
    groups = with_routing["group"].unique().sort().to_list()
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    part_of = {groups[place]: number % parts for number, place in enumerate(shuffled.tolist())}
    found: list[Part] = [Part(asked=[], withheld=[]) for _ in range(parts)]
    for code, group in drawn.iter_rows():
        number = part_of.get(group)
        if number is None:
            continue
        found[number].withheld.append(code)
        if code in routed:
            found[number].asked.append(code)
    return found


@dataclass(frozen=True, kw_only=True)
class View:
    """A snapshot seen through a change; as it stands, the snapshot itself."""

    whole: SnapshotLike

    @property
    def profile_name(self) -> str:
        """Return the profile's name."""
        return self.whole.profile_name

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Return the declared attributes."""
        return self.whole.attributes

    @property
    def fingerprint(self) -> str:
        """Return the snapshot's fingerprint."""
        return self.whole.fingerprint

    @property
    def data_as_of(self) -> datetime:
        """Return the moment that counts as today."""
        return self.whole.data_as_of

    def items(self) -> pl.DataFrame:
        """Return the items."""
        return self.whole.items()

    def routings(self) -> pl.DataFrame:
        """Return the planned steps."""
        return self.whole.routings()

    def work_results(self) -> pl.DataFrame:
        """Return the reports."""
        return self.whole.work_results()


@dataclass(frozen=True, kw_only=True)
class OtherSteps(View):
    """A snapshot with other planned steps."""

    steps: pl.DataFrame

    def routings(self) -> pl.DataFrame:
        """Return the other steps."""
        return self.steps


@dataclass(frozen=True, kw_only=True)
class CutSnapshot(View):
    """A snapshot as it would have been on an earlier day, without what came later."""

    day: date

    @property
    def fingerprint(self) -> str:
        """Return a name of this content."""
        return f"{self.whole.fingerprint}@{self.day.isoformat()}"

    @property
    def data_as_of(self) -> datetime:
        """Return the end of the day."""
        return datetime.combine(self.day, time(23, 59), tzinfo=UTC)

    @cached_property
    def newcomers(self) -> list[str]:
        """Return the items whose first sign, a routing or a report, came after the day."""
        signs = pl.concat(
            [
                self.whole.routings().select("item_code", pl.col("created_at").alias("day")),
                self.whole.work_results().select("item_code", pl.col("reported_at").alias("day")),
            ]
        )
        first = signs.group_by("item_code").agg(pl.col("day").min())
        return first.filter(pl.col("day") > self.day)["item_code"].sort().to_list()

    def items(self) -> pl.DataFrame:
        """Return the items that were there; one that never got a routing or report counts as there."""
        return self.whole.items().filter(~pl.col("item_code").is_in(self.newcomers))

    def routings(self) -> pl.DataFrame:
        """Return the steps written by the day; a routing that was ended later was not ended yet."""
        rows = self.whole.routings()
        return rows.filter(pl.col("created_at").is_null() | (pl.col("created_at") <= self.day))

    def work_results(self) -> pl.DataFrame:
        """Return what was reported by the day."""
        return self.whole.work_results().filter(pl.col("reported_at") <= self.day)


def day_of_share(snapshot: SnapshotLike, share: float) -> date:
    """Return the day after which this share of the routings was written (of the reports, where none is dated)."""
    days = snapshot.routings()["created_at"].drop_nulls()
    if not len(days):
        days = snapshot.work_results()["reported_at"].drop_nulls()
    return _day(days.sort().to_list(), share)


def _day(days: Sequence[date], share: float) -> date:
    return days[min(int(len(days) * (1 - share)), len(days) - 1)]
