"""What the values of a source column say about it: a number, a day, a code, a text, a unit; empty, unique, whole."""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from shared.erp import parsing
from shared.erp.day_forms import DAY_FORMS, NAMED_ONLY, fitting_day_form
from shared.erp.profiles.model import DEFAULT_DATE_FORMATS, DEFAULT_NULL_TOKENS
from shared.erp.units import factor

_MOSTLY = 0.9
_KEPT_BY_HAND = 0.85
_DAYS_TRIED = 2_000
_FEW_ODD = 0.02  # of the days in other forms than most
_LIKE_AN_INSTANT = r"^1\d{9}(\d{3})?$"  # seconds or milliseconds since 1970, from 2001 to 2033
_LIKE_A_DAY = r"^\d{1,4}(\s*[-/.년]\s*)(\d{1,2}|\p{L}{3})(\s*[-/.월]\s*)\d{1,4}|^\d{8}$"
_MAYBE_NUMBERS = 0.6  # a column with so many numbers is numeric; the rest is dirt, or ways to say "unknown"
_WORDS_FOR_NOTHING = (
    "?", "??", "???", ".", "..", "tbd", "unknown", "unk", "unbekannt", "k.a.", "keine", "n.a.", "na", "nil", "#nv",
    "없음", "미정", "해당없음", "x", "xx", "xxx", "***", "(null)", "\\n", "empty", "leer", "blank", "missing",
)  # fmt: skip
_FLAGS: tuple[set[str], ...] = (
    {"0", "1"}, {"y", "n"}, {"yes", "no"}, {"j", "n"}, {"ja", "nein"}, {"s", "n"}, {"t", "n"}, {"o", "n"},
    {"true", "false"}, {"t", "f"},
)  # fmt: skip
_DECIMAL_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"
_DECIMAL_POINT = r"^[+-]?\d+\.\d+$"


@dataclass
class Column:
    """One column of a source table, looked at in its first rows."""

    name: str
    rows: int
    said: pl.Series  # trimmed text, null where empty
    numbers: pl.Series | None = None  # where it is numeric
    day_form: str | None = None  # where it holds days; "" where the source types them
    other_form: str | None = None  # in which the days are written that are not in the usual form
    filled: float = 0.0
    distinct: int = 0
    strangers: tuple[str, ...] = field(default=())  # in a numeric column, texts that seem to mean nothing
    is_padded: bool = False  # blanks stand before or after some values

    def of(self, said: pl.Series) -> "Column":
        """Return the column as it is among some of its values."""
        known = said.drop_nulls()
        numbers = None
        if self.numbers is not None:
            values = {text: value for text, value in zip(self.said, self.numbers, strict=True) if text is not None}
            numbers = pl.Series([values.get(text) for text in said], dtype=pl.Float64)
        filled = known.len() / said.len() if said.len() else 0.0
        return replace(self, rows=said.len(), said=said, numbers=numbers, filled=filled, distinct=known.n_unique())

    @property
    def is_day(self) -> bool:
        """Whether it holds days."""
        return self.day_form is not None

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers, and no codes that happen to be digits."""
        return self.numbers is not None and not self.is_day

    @cached_property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers that are not negative."""
        if self.numbers is None:
            return False
        known = self.numbers.drop_nulls()
        return known.len() > 0 and bool(((known == known.round(0)) & (known >= 0)).all())

    @cached_property
    def longest(self) -> int:
        """How many characters its longest value has."""
        return int(self.said.str.len_chars().max() or 0)  # type: ignore[arg-type] # a count

    @property
    def is_unique(self) -> bool:
        """Whether it could be a key: filled, and hardly ever the same."""
        known = round(self.filled * self.rows)
        return self.filled >= 0.98 and self.distinct >= 0.97 * known

    @property
    def is_mostly_unique(self) -> bool:
        """Whether it could be a key that a person keeps: some rows repeat, or have none."""
        known = round(self.filled * self.rows)
        return self.filled >= _KEPT_BY_HAND and self.distinct >= _KEPT_BY_HAND * known

    @property
    def is_unit(self) -> bool:
        """Whether it names units of length or mass."""
        if self.is_number or not 0 < self.distinct <= 40:
            return False
        counts = dict(self.said.drop_nulls().value_counts().iter_rows())
        known = sum(count for text, count in counts.items() if factor(text, "mm") or factor(text, "g"))
        return bool(known >= 0.7 * sum(counts.values()))

    @property
    def is_flag(self) -> bool:
        """Whether it holds yes and no, in letters or digits."""
        return self.distinct == 2 and set(self.said.drop_nulls().str.to_lowercase().unique()) in _FLAGS

    @property
    def zero_share(self) -> float:
        """How many of its numbers are 0."""
        known = self.numbers.drop_nulls() if self.numbers is not None else pl.Series([], dtype=pl.Float64)
        return float((known == 0).sum()) / known.len() if known.len() else 0.0

    @property
    def has_leading_zeros(self) -> bool:
        """Whether numbers begin with a zero, which only codes do."""
        return bool(self.said.str.contains(r"^0\d").any())


def has_decimal_comma(frames: list[pl.DataFrame]) -> bool:
    """Return whether the source writes 1,5 and not 1.5, by which of the two stands in more cells.

    `1,500` may be either and does not count; `0,500` has a decimal comma.
    """
    comma = point = 0
    for frame in frames:
        for series in frame.iter_columns():
            if series.dtype == pl.String:
                text = series.str.strip_chars()
                comma += int((text.str.contains(_DECIMAL_COMMA) & ~text.str.contains(_THOUSANDS)).sum())
                point += int(text.str.contains(_DECIMAL_POINT).sum())
    return comma > point


def look_at(name: str, cells: pl.Series, *, decimal_comma: bool) -> Column:
    """Return what a column's values say."""
    said = parsing.text(cells, null_tokens=DEFAULT_NULL_TOKENS)
    known = said.drop_nulls()
    column = Column(name, said.len(), said)
    column.filled = known.len() / said.len() if said.len() else 0.0
    column.distinct = known.n_unique()
    column.is_padded = cells.dtype == pl.String and bool((cells.str.strip_chars() != cells).any())
    if known.is_empty():
        return column
    if cells.dtype.is_temporal():
        column.day_form = ""
    else:
        column.day_form, column.other_form = _day_forms(known, name)
    if column.day_form is None:
        values, bad = parsing.number(cells, null_tokens=DEFAULT_NULL_TOKENS, decimal_comma=decimal_comma)
        readable = values.drop_nulls().len() / known.len()
        odd = said.filter(bad).value_counts(sort=True)
        nothings = [text for text in odd[name].to_list() if text.casefold() in _WORDS_FOR_NOTHING] if odd.height else []
        if readable >= _MOSTLY or (readable >= _MAYBE_NUMBERS and len(nothings) == odd.height):
            column.numbers = values
            column.strangers = tuple(nothings)
    return column


def _day_forms(known: pl.Series, name: str) -> tuple[str | None, str | None]:
    """Return the form of most days and that of the others; digits alone are a day only in a column named so."""
    named = re.search(r"(?i)date|dat|day|_dt|_at|일", name)
    forms = [form for form in DAY_FORMS if named or form not in NAMED_ONLY]
    tried = known.gather_every(max(1, known.len() // _DAYS_TRIED))
    like = tried.str.contains(_LIKE_A_DAY)
    if named:
        like = like | tried.str.contains(_LIKE_AN_INSTANT)
    if like.sum() * 2 < tried.len():
        return None, None
    form = fitting_day_form(tried, least_share=0.5, forms=forms)
    if form is None:
        return None, None
    days, _ = parsing.day(tried, null_tokens=(), formats=(form, *DEFAULT_DATE_FORMATS))  # a few are written otherwise
    others = tried.filter(days.is_null())
    other = fitting_day_form(others, least_share=0.5, forms=forms) if others.len() > _FEW_ODD * tried.len() else None
    unread = others.len() - (0 if other is None else _read_as(others, other))
    return (form, other) if unread <= (1 - _MOSTLY) * tried.len() else (None, None)


def _read_as(values: pl.Series, form: str) -> int:
    """Return how many of the values are days in a form."""
    days, _ = parsing.day(values, null_tokens=(), formats=(form,))
    return values.len() - days.null_count()


def null_words(columns: list[Column]) -> tuple[str, ...]:
    """Return the words that stand for nothing in these columns, beyond those that every profile knows."""
    found = {text.casefold() for column in columns for text in column.strangers}
    for column in columns:
        if not column.is_number and not column.is_day and column.distinct > 2:
            folded = column.said.str.to_lowercase()
            # Letters alone may be values; in text only what can hardly be one counts.
            sure = [word for word in _WORDS_FOR_NOTHING if word.strip("x") and word not in ("na", "keine")]
            found |= set(folded.filter(folded.is_in(sure)).drop_nulls().unique())
    return tuple(sorted(found))
