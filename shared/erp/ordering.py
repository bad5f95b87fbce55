"""The order of canonical tables: the same rows give the same table, whatever order the source tells them in."""

from collections.abc import Sequence

import polars as pl

_ROWS_AT_ONCE = 500_000  # sorted together: what sorting needs beside the table stays small


def in_order(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return the rows sorted by columns, the first of which is never empty; empty cells of the others come last.

    The rows are sorted in parts, each holding a range of the first column.
    """
    values = frame[by[0]].unique().sort()
    parts = min(-(-frame.height // _ROWS_AT_ONCE), values.len())
    if parts < 2:
        return frame.sort(by, nulls_last=True)
    bounds = values.gather([values.len() * part // parts for part in range(1, parts)])
    part_of = bounds.search_sorted(frame[by[0]], side="right")
    return pl.concat([frame.filter(part_of == part).sort(by, nulls_last=True) for part in range(parts)])
