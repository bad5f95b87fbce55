"""Which items can be judged: those with a routing *and* a work result."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.errors import InvalidInput
from shared.prediction.minutes.reports import are_sound

UNKNOWN_STRATUM = "(unknown)"


class Population:
    """The items of one snapshot that can be judged; each table is read once, when it is first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Look at `snapshot`."""
        self.snapshot = snapshot
        self._eligible: dict[tuple[str, ...], pl.DataFrame] = {}  # by stratum attributes, those asked for last alone

    @cached_property
    def days(self) -> pl.DataFrame:
        """Return, for every item with reports of any kind, the days of its newest ones, ordered by code.

        `item_code, newest_at` of any report, `made` whether a sound one has pieces, `last_reported_at` of those.
        """
        made = (are_sound() & (pl.col("quantity") > 0)).fill_null(value=False)
        day = pl.col("reported_at")
        return self.snapshot.query(
            "work_results",
            lambda rows: (
                rows.select("item_code", day, made.alias("made"), pl.when(made).then(day).alias("made_at"))
                .group_by("item_code")
                .agg(
                    day.max().alias("newest_at"),
                    pl.col("made").any(),
                    pl.col("made_at").max().alias("last_reported_at"),
                )
            ),
        ).sort("item_code")

    @cached_property
    def reported(self) -> pl.DataFrame:
        """Return `item_code, last_reported_at` of every item with a work result."""
        return self.days.filter("made").select("item_code", "last_reported_at")

    @cached_property
    def _items(self) -> pl.DataFrame:
        """Return those of `reported` that have a routing."""
        runs = pl.col("item_code").rle().struct.field("value")  # of sorted codes few are left
        with_routing = self.snapshot.query("routings", lambda rows: rows.select(runs.alias("item_code")))
        return self.reported.join(with_routing, on="item_code", how="semi")

    def eligible(self, stratum_attributes: Sequence[str] = ()) -> pl.DataFrame:
        """Return the items: `item_code, stratum, last_reported_at`, ordered by code.

        `stratum_attributes` name item attributes whose values together are the stratum.

        Raises:
            InvalidInput: an attribute is not declared by the snapshot.
        """
        names = tuple(stratum_attributes)
        if names not in self._eligible:
            self._eligible = {names: self._stratified(names)}
        return self._eligible[names]

    def _stratified(self, stratum_attributes: Sequence[str]) -> pl.DataFrame:
        declared = [attribute.name for attribute in self.snapshot.attributes]
        unknown = [name for name in stratum_attributes if name not in declared]
        if unknown:
            raise InvalidInput(
                f"The snapshot has no attribute {unknown[0]!r} to stratify by.",
                remedy=f"Choose among {', '.join(declared)}.",
                errors=[{"field": "strata", "message": "unknown attribute"}],
            )
        parts = [pl.col(name).cast(pl.String).fill_null(UNKNOWN_STRATUM) for name in stratum_attributes]
        stratum = pl.concat_str(parts, separator=" / ") if parts else pl.lit("")
        items = self.snapshot.query("items", lambda rows: rows.select("item_code", stratum.alias("stratum")))
        return (
            self._items.join(items, on="item_code", how="inner")
            .select("item_code", "stratum", "last_reported_at")
            .unique("item_code", keep="any")
            .sort("item_code")
        )


def later_than(items: pl.DataFrame, day: date | None) -> pl.DataFrame:
    """Return those of the eligible `items` with a work result later than `day`, or all of them."""
    return items if day is None else items.filter(pl.col("last_reported_at") > day)


def eligible_items(
    snapshot: Snapshot, stratum_attributes: Sequence[str] = (), *, reported_after: date | None = None
) -> pl.DataFrame:
    """Return the items of `snapshot` that can be judged, in the form of `Population.eligible`.

    With `reported_after`, only work results later than that day make an item eligible.
    """
    return later_than(Population(snapshot).eligible(stratum_attributes), reported_after)
