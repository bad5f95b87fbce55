"""The demo factory's dirt: which values are spoilt, at known rates, and the texts that clerks write.

Every kind draws from a random stream of its own, in the order of the rows. So the size of the parts in which a view is
written changes no byte, and a new kind of dirt leaves the others where they were.
"""

from datetime import date
from zlib import crc32

import numpy as np
import polars as pl

from shared.erp.demo.plan import Flags, Indexes, Numbers
from shared.erp.demo.world import FIRST_DAY

# Shares of the rows that could suffer it; truth/demo.json repeats them beside what was applied.
DIRT: dict[str, float] = {
    "size_unknown_as_zero": 0.22,
    "size_in_inches": 0.04,
    "size_unit_blank": 0.03,
    "size_unit_wrong": 0.001,
    "size_unit_contradicts": 0.002,
    "size_sentinel_9999": 0.001,
    "size_not_a_number": 0.001,
    "seal_size_in_inches": 0.65,
    "seal_type_blank": 0.12,
    "value_blank": 0.04,
    "blank_as_token": 0.15,
    "item_code_trailing_blank": 0.01,
    "item_row_repeated": 0.001,
    "item_row_without_code": 0.0006,
    "planned_step_of_unknown_item": 0.0004,
    "planned_step_repeated": 0.0005,
    "planned_time_in_hours": 0.03,
    "planned_time_missing": 0.03,
    "planned_time_negative": 0.0003,
    "result_item_code_lower_case": 0.004,
    "result_item_code_trailing_blank": 0.004,
    "result_without_item": 0.0003,
    "result_unknown_item": 0.001,
    "result_without_operation": 0.0003,
    "result_without_routing_no": 0.01,
    "result_bad_date": 0.0005,
    "result_date_other_form": 0.01,
    "result_no_quantity": 0.001,
    "result_negative_time": 0.0005,
    "result_zero_time": 0.005,
    "result_absurd_time": 0.0003,
}
NULL_TOKENS = ("-", "nan", "NULL", "None")
_EPOCH_DAYS = (FIRST_DAY - date(1970, 1, 1)).days


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream of this name; its numbers do not depend on how many are drawn at a time."""
    return np.random.default_rng([seed, crc32(name.encode())])


class Dirt:
    """Spoils the values of one view, asked part after part, and counts what it spoilt."""

    def __init__(self, seed: int, view: str) -> None:
        """Start all streams of a view anew."""
        self.done: dict[str, int] = {}
        self._seed = seed
        self._view = view
        self._streams: dict[str, np.random.Generator] = {}

    def shares(self, name: str, count: int) -> Numbers:
        """Return the next `count` numbers between 0 and 1 of this name."""
        return self._stream(name).random(count)

    def numbers(self, name: str, below: int, count: int) -> Indexes:
        """Return the next `count` whole numbers of this name, from 0 to `below` without it."""
        return self._stream(name).integers(0, below, count)

    def where(self, kind: str, count: int, among: Flags | None = None, *, of: str = "") -> Flags:
        """Return which of the next `count` values, of the column `of`, suffer this kind of dirt."""
        hit = self.shares(f"{kind} {of}", count) < DIRT[kind]
        hit = hit if among is None else hit & among
        self.done[kind] = self.done.get(kind, 0) + int(hit.sum())
        return hit

    def spelling(self, spellings: tuple[str, ...], count: int, *, of: str) -> pl.Series:
        """Return one of the spellings each time; the first is the usual one."""
        usual = self.shares(f"usual {of}", count) < 0.7
        other = self.numbers(f"other {of}", len(spellings), count)
        return pick(spellings, np.where(usual, 0, other))

    def blank(self, values: pl.Series, of: str, kind: str = "value_blank") -> pl.Series:
        """Return the values with some left blank, and some of the blanks written as null tokens."""
        gone = self.where(kind, values.len(), of=of)
        token = self.where("blank_as_token", values.len(), gone, of=of)
        tokens = pick(NULL_TOKENS, self.numbers(f"token {of}", len(NULL_TOKENS), values.len()))
        return tokens.zip_with(pl.Series(token), without(values, gone))

    def _stream(self, name: str) -> np.random.Generator:
        if name not in self._streams:
            self._streams[name] = stream(self._seed, f"{self._view} {name}")
        return self._streams[name]


def pick(values: list[str] | tuple[str, ...], index: Indexes) -> pl.Series:
    """Return the text at each index."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(index))


def choose(mask: Flags, yes: pl.Series, no: pl.Series) -> pl.Series:
    """Return `yes` where the mask holds, else `no`."""
    return yes.zip_with(pl.Series(mask), no)


def without(values: pl.Series, gone: Flags) -> pl.Series:
    """Return the values, empty where the mask holds."""
    return values.set(pl.Series(gone), None)


def nothing(count: int) -> pl.Series:
    """Return a column of empty cells."""
    return pl.repeat(None, count, dtype=pl.String, eager=True)


def whole_text(values: Indexes) -> pl.Series:
    """Return whole numbers as text."""
    return pl.Series(values).cast(pl.String)


def number_text(values: Numbers, digits: int) -> pl.Series:
    """Return numbers rounded to so many decimals as text, without a useless `.0`."""
    return pl.Series(np.round(values, digits)).cast(pl.String).str.strip_suffix(".0")


def day_text(days: Indexes, form: str = "%Y-%m-%d") -> pl.Series:
    """Return days after the factory's first one as text."""
    return (pl.Series(days).cast(pl.Int32) + _EPOCH_DAYS).cast(pl.Date).dt.strftime(form)


def moment_text(days: Indexes, minutes: Indexes) -> pl.Series:
    """Return days after the factory's first one, and minutes after midnight, as text."""
    seconds = pl.Series((days + _EPOCH_DAYS) * 86_400 + minutes * 60)
    return pl.from_epoch(seconds, time_unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
