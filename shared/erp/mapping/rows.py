"""The rows of one source table on their way to a canonical one: read by column, judged, counted, kept or left out."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import polars as pl

from shared.erp import parsing
from shared.erp.issues import IssueLog
from shared.erp.mapping.ordering import in_order
from shared.erp.parsing import Case
from shared.erp.profiles.filters import Filter, meets
from shared.erp.profiles.model import SourceRules
from shared.erp.sources.source import find_column
from shared.erp.units import MINUTES_PER, TimeUnit, minutes_factor

# Columns that say which of several rows of one key counts: the one in which they are highest, empty being lowest.
RANK_SCHEMA: dict[str, pl.DataType] = {"\0number": pl.Float64(), "\0letters": pl.UInt32(), "\0text": pl.String()}

LARGEST_SEQUENCE = 2**31 - 1


class TableRows:
    """One source table; rows that are rejected stay in place until `keep` so that every mask fits every column.

    A row is counted under the first reason that rejects it; a cell that cannot be read is counted and becomes null.
    """

    def __init__(
        self,
        frame: pl.DataFrame,
        *,
        known: Sequence[str],
        table: str,
        origin: str,
        source: SourceRules,
        issues: IssueLog,
        first_row: int = 0,
    ) -> None:
        self.frame = frame
        self.known = known  # every column of the source; the frame may hold only those that the profile names
        self.table = table
        self.origin = origin
        self.source = source
        self.issues = issues
        self.first_row = first_row  # how many rows of the table earlier batches held
        self._alive = pl.repeat(True, frame.height, eager=True)
        self._key = pl.repeat(None, frame.height, dtype=pl.String, eager=True)

    def cells(self, field: str, names: Sequence[str]) -> pl.Series:
        """Return a source column by its names; SourceError when the table has none of them."""
        name = find_column(names, known=self.known, table=self.origin, field=f"{self.table}.{field}")
        return self.frame[name]

    def empty(self, dtype: pl.DataType) -> pl.Series:
        """Return a column of nulls, for a canonical column that the profile does not map."""
        return pl.repeat(None, self.frame.height, dtype=dtype, eager=True)

    def item_codes(self, names: Sequence[str]) -> pl.Series:
        """Return the item codes as text and reject rows without one."""
        codes = self.text("item_code", names, case=self.source.item_code_case)
        self.reject(codes.is_null(), "item_code is empty")
        self._key = codes
        return codes

    def text(
        self, field: str, names: Sequence[str] | None, *, case: Case = "keep", tokens: Sequence[str] = ()
    ) -> pl.Series:
        """Return a column as trimmed text, null where empty or a null token; all null when it is not mapped."""
        if names is None:
            return self.empty(pl.String())
        return parsing.text(self.cells(field, names), null_tokens=(*self.source.null_tokens, *tokens), case=case)

    def number(
        self, field: str, names: Sequence[str] | None, *, tokens: Sequence[str] = (), required: bool = False
    ) -> pl.Series:
        """Return a column as finite numbers; what is no number is counted and null, or its row is rejected."""
        if names is None:
            return self.empty(pl.Float64())
        cells = self.cells(field, names)
        values, bad = parsing.number(
            cells, null_tokens=(*self.source.null_tokens, *tokens), decimal_comma=self.source.decimal_comma
        )
        self._judge(field, values, bad, cells, "a number", required=required)
        return values

    def day(
        self, field: str, names: Sequence[str] | None, *, tokens: Sequence[str] = (), required: bool = False
    ) -> pl.Series:
        """Return a column as days; what fits no date format is counted and null, or its row is rejected."""
        if names is None:
            return self.empty(pl.Date())
        cells = self.cells(field, names)
        days, bad = parsing.day(
            cells, null_tokens=(*self.source.null_tokens, *tokens), formats=self.source.date_formats
        )
        self._judge(field, days, bad, cells, "a date", required=required)
        return days

    def _judge(
        self, field: str, values: pl.Series, bad: pl.Series, cells: pl.Series, kind: str, *, required: bool
    ) -> None:
        if required:
            self.reject(bad, f"{field} is not {kind}", cells)
            self.reject(values.is_null(), f"{field} is missing")
        else:
            self.note(bad, f"{field} is not {kind}", cells)

    def rank(self, names: Sequence[str]) -> dict[str, pl.Series]:
        """Return the columns of `RANK_SCHEMA`: numbers and days by size, texts by length and then by alphabet."""
        cells, rules = self.cells("keep.highest", names), self.source
        numbers, _ = parsing.number(cells, null_tokens=rules.null_tokens, decimal_comma=rules.decimal_comma)
        days, _ = parsing.day(cells, null_tokens=rules.null_tokens, formats=rules.date_formats)
        sizes = numbers.zip_with(numbers.is_not_null(), days.to_physical().cast(pl.Float64))
        said = parsing.text(cells, null_tokens=rules.null_tokens, case="upper")
        return dict(zip(RANK_SCHEMA, (sizes, said.str.len_chars(), said), strict=True))

    def flag(self, field: str, names: Sequence[str] | None, *, yes: Sequence[str], no: Sequence[str]) -> pl.Series:
        """Return a column as true or false; what is neither is counted and null."""
        if names is None:
            return self.empty(pl.Boolean())
        cells = self.cells(field, names)
        flags, bad = parsing.flag(cells, null_tokens=self.source.null_tokens, true_values=yes, false_values=no)
        self.note(bad, f"{field} is neither {'/'.join(yes)} nor {'/'.join(no)}", cells)
        return flags

    def sequence(self, names: Sequence[str] | None, *, required: bool = False) -> pl.Series:
        """Return the places of steps; what is no whole number is counted and null, or its row is rejected."""
        values = self.number("sequence", names, required=required)
        odd = ((values != values.round(0)) | (values < 0) | (values > LARGEST_SEQUENCE)).fill_null(value=False)
        (self.reject if required else self.note)(odd, "sequence is not a whole number", values)
        return values.set(odd, None).cast(pl.Int32)

    def minutes_factor(self, unit: TimeUnit, names: Sequence[str] | None) -> pl.Series:
        """Return what each row's times are multiplied with to be minutes; null, and counted, where that is unknown."""
        fixed = pl.repeat(MINUTES_PER[unit], self.frame.height, eager=True)
        if names is None:
            return fixed
        spelled = self.text("time_unit", names)
        stated = factors(spelled, minutes_factor)
        self.note(spelled.is_not_null() & stated.is_null(), "the time unit is unknown, so the times are", spelled)
        return fixed.zip_with(spelled.is_null(), stated)

    def time(self, field: str, names: Sequence[str] | None, factor: pl.Series) -> pl.Series:
        """Return a column of times in minutes; null, and counted, where it is negative or no number."""
        values = in_canonical_unit(self.number(field, names), factor)
        negative = (values < 0).fill_null(value=False)
        self.note(negative, f"{field} is negative", values)
        return values.set(negative, None)

    def note(self, bad: pl.Series, reason: str, values: pl.Series | None = None) -> None:
        """Count the rows still alive where `bad` is true; they stay."""
        self._count(bad, reason, values)

    def reject(self, bad: pl.Series, reason: str, values: pl.Series | None = None) -> None:
        """Count the rows still alive where `bad` is true, and leave them out."""
        hit = self._count(bad, reason, values)
        if hit is not None:
            self._alive = self._alive & ~hit

    def _count(self, bad: pl.Series, reason: str, values: pl.Series | None) -> pl.Series | None:
        if not bad.any():
            return None
        hit = bad.fill_null(value=False) & self._alive
        self.issues.add_rows(self.table, reason, hit, self._key, values, self.first_row)
        return hit

    def filter(self, filters: Sequence[Filter], *, now: datetime) -> None:
        """Reject the rows that do not meet the profile's conditions; each condition is counted by its column."""
        for condition in (part for given in filters for part in given.parts):
            names = condition.column or ()
            cells = self.cells("filters", names)
            said = parsing.text(cells, null_tokens=self.source.null_tokens)
            kept = self._meets(condition, names[0], cells, said, self.source.today(now))
            kept = kept.fill_null(value=False) | (said.is_null() & condition.keep_empty)
            self.reject(~kept, f"left out by the filter on {names[0]}", said)

    def _meets(self, condition: Filter, name: str, cells: pl.Series, said: pl.Series, today: date) -> pl.Series:
        """Return which rows meet a condition; those whose cell it cannot read are rejected here."""
        tokens, comma, formats = self.source.null_tokens, self.source.decimal_comma, self.source.date_formats

        def readable(read: parsing.Read, kind: str) -> pl.Series:
            self.reject(read[1], f"filter column {name} is not {kind}", said)
            return read[0]

        return meets(
            condition,
            said,
            lambda: readable(parsing.number(cells, null_tokens=tokens, decimal_comma=comma), "a number"),
            lambda: readable(parsing.day(cells, null_tokens=tokens, formats=formats), "a date"),
            today,
        )

    def keep(self, columns: dict[str, pl.Series], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """Return the rows still alive as the canonical table."""
        frame = pl.DataFrame({name: columns[name].alias(name).cast(dtype) for name, dtype in schema.items()})
        return frame.filter(self._alive)


def in_canonical_unit(values: pl.Series, factor: pl.Series) -> pl.Series:
    """Return the values converted and rounded, so that 0.1 hours are 6 minutes and not 6.000000000000001."""
    return (values * factor).round(6)


def factors(spelled: pl.Series, factor_of: Callable[[str], float | None]) -> pl.Series:
    """Return the factor of each cell's unit, null where it is unknown; few units stand in many rows."""

    def read(distinct: pl.Series) -> parsing.Read:
        found = pl.Series([factor_of(spelling) for spelling in distinct], dtype=pl.Float64)
        return found, pl.repeat(False, distinct.len(), eager=True)

    return parsing.by_value(spelled, read, pl.Float64())[0]


def are_known(codes: pl.Series, known: pl.Series) -> pl.Series:
    """Return which codes are among the known ones, quickest where these are sorted; an empty code is not."""
    ordered = known if known.flags["SORTED_ASC"] else known.sort()
    distinct = codes.drop_nulls().unique()
    if ordered.is_empty():
        return pl.repeat(False, codes.len(), eager=True)
    places = ordered.search_sorted(distinct).clip(upper_bound=ordered.len() - 1)
    strangers = distinct.filter(ordered.gather(places) != distinct)
    return codes.is_not_null() & ~codes.is_in(strangers.implode()).fill_null(value=False)


def drop_duplicates(
    frame: pl.DataFrame, key: Sequence[str], *, table: str, reason: str, issues: IssueLog
) -> pl.DataFrame:
    """Keep one row a key, the same one whatever the source's order: the most complete, then the first when sorted.

    Where the rows have the columns of `RANK_SCHEMA`, which the result has not, the highest comes before all that.
    Rows that only say the same again are counted apart from those that say something else.
    """
    ranks = [name for name in RANK_SCHEMA if name in frame.columns]
    others = [name for name in frame.columns if name not in (*key, *ranks)]
    ordered = in_order(frame, key)
    del frame  # where nobody else holds it, its memory is free now
    as_before = ordered.select(pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in key))
    repeats = as_before.to_series()
    rows = (repeats | repeats.shift(-1, fill_value=False)).arg_true()
    ranked = (
        ordered[rows]
        .with_columns(rows.alias("\0row"), pl.sum_horizontal(pl.all().is_not_null().cast(pl.Int32)).alias("\0filled"))
        .sort(
            [*key, *ranks, "\0filled", *others],
            descending=[*[False] * len(key), *[True] * len(ranks), True, *[False] * len(others)],
            nulls_last=True,
        )
    )
    again = ranked.select(~pl.struct(key).is_first_distinct()).to_series()
    if not again.any():
        return ordered.drop(ranks)
    equal = ranked.select(~pl.struct([*key, *others]).is_first_distinct()).to_series()
    kept = pl.repeat(True, ordered.height, eager=True)
    for repeated, said in ((again & ~equal, reason), (equal, f"{reason}, rows equal")):
        dropped = pl.repeat(False, ordered.height, eager=True).scatter(ranked["\0row"].filter(repeated), True)
        issues.add_rows(table, said, dropped, ordered[key[0]])
        kept = kept & ~dropped
    return ordered.filter(kept).drop(ranks)
