"""Which occurrence of an operation a result at an unknown sequence means, in a routing that has the operation."""

import polars as pl

NO_SEQUENCE = -(2**31)  # stands for a result that names none: no routing counts below zero

_GROUP = ("item", "routing", "operation")  # reported together: these results number their steps the same way
_PAIR = (*_GROUP, "target")  # such a group and the routing in which its steps are looked for
_PLACE = ("item", "target", "operation")


def choose_steps(requests: pl.DataFrame, steps: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """Return the requests with `planned_row`, and `ambiguous` where another occurrence would have fitted as well.

    By place in order where the group reports as many sequences as are planned (those that a step has by chance
    included, or all of them left out); else by the nearest sequence, the lower one of two. A request without a
    sequence means the first occurrence.

    Args:
        requests: distinct `item`, `routing`, `operation`, `sequence` of results and the routing `target`, which holds
            the operation.
        steps: the planned steps with `planned_row`, one for each item, routing, operation and sequence.
        reports: all results, with `item`, `routing`, `operation` and `sequence`.
    """
    planned = _occurrences(requests, steps)
    places = _places(requests, planned, _reported(requests, reports))
    asked = requests.join(places, on=(*_PAIR, "sequence"), how="left").with_columns(
        pl.when(pl.col("sequence") == NO_SEQUENCE).then(1).otherwise("place").cast(pl.UInt32).alias("place")
    )
    in_order = asked.filter(pl.col("place").is_not_null()).join(planned, on=(*_PLACE, "place"))
    nearest = (
        asked.filter(pl.col("place").is_null())
        .drop("place")
        .join(planned, on=_PLACE)
        .with_columns((pl.col("sequence").cast(pl.Int64) - pl.col("planned_sequence")).abs().alias("distance"))
        .sort("distance", "planned_sequence")
        .unique((*_PAIR, "sequence"), keep="first")
    )
    several = pl.col("occurrences") > 1
    nameless = pl.col("sequence") == NO_SEQUENCE
    told = [*_PAIR, "sequence", "planned_row"]
    return pl.concat(
        [
            in_order.select(*told, (several & nameless).alias("ambiguous")),
            nearest.select(*told, several.alias("ambiguous")),
        ]
    )


def _occurrences(requests: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Return the steps that the requests may mean, numbered by sequence within their routing and operation."""
    wanted = requests.select(_PLACE).unique()
    planned = steps.select(
        "item", pl.col("routing").alias("target"), "operation", pl.col("sequence").alias("planned_sequence"),
        "planned_row",
    ).join(wanted, on=_PLACE, how="semi")  # fmt: skip
    return planned.with_columns(
        pl.col("planned_sequence").rank("ordinal").over(_PLACE).cast(pl.UInt32).alias("place"),
        pl.len().over(_PLACE).alias("occurrences"),
    )


def _reported(requests: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """Return every sequence that the groups of the requests report, whether it was asked for or not."""
    keys = (*_GROUP, "sequence")
    told = reports.select(keys).join(requests.select(_GROUP), on=_GROUP, how="semi")
    return told.filter(pl.col("sequence") != NO_SEQUENCE).unique()


def _places(requests: pl.DataFrame, planned: pl.DataFrame, reported: pl.DataFrame) -> pl.DataFrame:
    """Return the place in order of each reported sequence, for the groups that report as many as are planned."""
    counts = planned.select(*_PLACE, "occurrences").unique()
    at_step = planned.select(*_PLACE, pl.col("planned_sequence").alias("sequence"), pl.lit(value=True).alias("known"))
    pairs = requests.select(_PAIR).unique().join(counts, on=_PLACE)
    asked = (
        pairs.join(reported, on=_GROUP)
        .join(at_step, on=(*_PLACE, "sequence"), how="left")
        .with_columns(pl.col("known").fill_null(value=False))
        .sort(*_PAIR, "sequence")
        .with_columns(
            pl.int_range(1, pl.len() + 1).over(_PAIR).alias("of_all"),
            pl.len().over(_PAIR).alias("all"),
            (~pl.col("known")).cum_sum().over(_PAIR).alias("of_unknown"),
            (~pl.col("known")).sum().over(_PAIR).alias("unknown"),
        )
    )
    place = (
        pl.when(pl.col("all") == pl.col("occurrences"))
        .then("of_all")
        .when(pl.col("unknown") == pl.col("occurrences"))
        .then("of_unknown")
    )
    return asked.filter(~pl.col("known")).select(*_PAIR, "sequence", place.cast(pl.UInt32).alias("place"))
