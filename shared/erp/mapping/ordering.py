"""The order of canonical tables: the same rows give the same table, whatever order the source tells them in."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

_ROWS_AT_ONCE = 30_000  # sorted together: few enough to stay in the processor's cache


def in_order(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return the rows sorted by columns, the first of which is never empty; empty cells of the others come last.

    The first column, which is an item's code, orders the rows roughly and at little cost; then each range of items is
    sorted by all the columns. That takes half the time of one sort, and little memory beside the two tables.
    """
    if frame.height <= _ROWS_AT_ONCE:
        return frame.sort(by, nulls_last=True)
    values = frame[by[0]].unique().sort()
    places = pl.int_range(values.len(), dtype=pl.UInt32, eager=True)
    place = frame[by[0]].replace_strict(values, places, return_dtype=pl.UInt32)
    order = place.arg_sort()
    parts = -(-frame.height // _ROWS_AT_ONCE)
    starts = pl.Series([values.len() * part // parts for part in range(parts)], dtype=pl.UInt32)
    cuts = [*place.gather(order).search_sorted(starts).to_list(), frame.height]
    return pl.concat([frame[order[start:end]].sort(by, nulls_last=True) for start, end in pairwise(cuts)])
