"""Which items can be judged: those with a routing *and* a work result."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.errors import InvalidInput
from shared.prediction.minutes.reports import are_sound

UNKNOWN_STRATUM = "(unknown)"


class Population:
    """The items of one snapshot that can be judged, read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Read which items have a routing, and when each was last reported on."""
        self._snapshot = snapshot
        made = are_sound() & (pl.col("quantity") > 0)
        newest = pl.col("reported_at").max().alias("last_reported_at")
        reported = snapshot.query("work_results", lambda rows: rows.filter(made).group_by("item_code").agg(newest))
        codes = snapshot.query("routings", lambda rows: rows.select("item_code"))["item_code"]
        with_routing = codes.filter((codes != codes.shift(1)).fill_null(value=True)).unique()  # sorted: few are left
        self.reported = reported  # `item_code, last_reported_at` of every item with a work result
        self._items = reported.join(with_routing.to_frame(), on="item_code", how="semi")

    def eligible(self, stratum_attributes: Sequence[str] = ()) -> pl.DataFrame:
        """Return the items: `item_code, stratum, last_reported_at`, ordered by code.

        `stratum_attributes` name item attributes whose values together are the stratum.

        Raises:
            InvalidInput: an attribute is not declared by the snapshot.
        """
        declared = [attribute.name for attribute in self._snapshot.attributes]
        unknown = [name for name in stratum_attributes if name not in declared]
        if unknown:
            raise InvalidInput(
                f"The snapshot has no attribute {unknown[0]!r} to stratify by.",
                remedy=f"Choose among {', '.join(declared)}.",
                errors=[{"field": "strata", "message": "unknown attribute"}],
            )
        parts = [pl.col(name).cast(pl.String).fill_null(UNKNOWN_STRATUM) for name in stratum_attributes]
        stratum = pl.concat_str(parts, separator=" / ") if parts else pl.lit("")
        items = self._snapshot.query("items", lambda rows: rows.select("item_code", stratum.alias("stratum")))
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
