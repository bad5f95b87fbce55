"""One value gives one result: typed or as text, alone or among others, with or without blanks around it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.erp import parsing
from shared.erp.profiles.model import DEFAULT_DATE_FORMATS, DEFAULT_NULL_TOKENS, SourceRules
from shared.errors import SourceError

DAY = date(2025, 5, 1)
NOON = datetime.fromisoformat("2025-05-01T12:00:00")
MIDNIGHT = datetime.fromisoformat("2025-05-01T00:00:00")
SEOUL = datetime.fromisoformat("2025-05-01T00:30:00+09:00")
WORDS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "-", "NaN", " Null ", "007", "ring ", "\uff11\uff12", "ß", "İstanbul", "가나다", "#N/A", "\u3000x"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
)
FLOATS = st.one_of(st.none(), st.floats(), st.integers(-(10**6), 10**6).map(float))


def text(cells: pl.Series, case: parsing.Case = "keep") -> list[str | None]:
    return parsing.text(cells, null_tokens=DEFAULT_NULL_TOKENS, case=case).to_list()


def number(cells: pl.Series, *, comma: bool = False, tokens: tuple[str, ...] = DEFAULT_NULL_TOKENS) -> Any:
    read, bad = parsing.number(cells, null_tokens=tokens, decimal_comma=comma)
    return list(zip(read.to_list(), bad.to_list(), strict=True))


def day(cells: pl.Series, tokens: tuple[str, ...] = DEFAULT_NULL_TOKENS) -> Any:
    read, bad = parsing.day(cells, null_tokens=tokens, formats=DEFAULT_DATE_FORMATS)
    return list(zip(read.to_list(), bad.to_list(), strict=True))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (pl.Series([7, 1000000, None]), ["7", "1000000", None]),
        (pl.Series([7.0, 7.25, None, float("nan"), 1e15]), ["7", "7.25", None, None, "1000000000000000"]),
        (pl.Series([7.5, 7.0], dtype=pl.Float32), ["7.5", "7"]),
        (pl.Series([Decimal("1.5000"), Decimal("20.0000"), Decimal("-0.0500"), None]), ["1.5", "20", "-0.05", None]),
        (pl.Series([Decimal(100), Decimal(7)], dtype=pl.Decimal(10, 0)), ["100", "7"]),
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series([DAY, None]), ["2025-05-01", None]),
        (pl.Series([NOON, MIDNIGHT]), ["2025-05-01 12:00:00", "2025-05-01"]),
        (pl.Series([time(8, 30)]), ["08:30:00"]),
        (pl.Series(["007  ", "  ", "- ", "NULL"]), ["007", None, None, None]),
        (pl.Series([None, None]), [None, None]),
        (pl.Series(["a ", None], dtype=pl.Categorical), ["a", None]),
    ],
)
def test_every_type_becomes_the_text_that_a_person_would_write(cells: pl.Series, said: list[str | None]) -> None:
    assert text(cells) == said


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (pl.Series([7, None]), [(7.0, False), (None, False)]),
        (pl.Series([Decimal("1.5000"), Decimal("9999")]), [(1.5, False), (9999.0, False)]),
        (pl.Series([True, False]), [(1.0, False), (0.0, False)]),
        (pl.Series([None]), [(None, False)]),
        (pl.Series([float("nan"), float("inf")]), [(None, False), (None, True)]),
        (pl.Series(["nan", "inf", "-Infinity", "1e400"]), [(None, False), (None, True), (None, True), (None, True)]),
        (pl.Series(["1.5  ", " 1e3", "+2", "1,000", "1,00", "0x1F", "1 000"]),
         [(1.5, False), (1000.0, False), (2.0, False), (1000.0, False), (None, True), (None, True), (None, True)]),
        (pl.Series([DAY]), [(None, True)]),
    ],
)  # fmt: skip
def test_every_type_becomes_a_number_or_is_told_to_be_none(cells: pl.Series, read: list[Any]) -> None:
    assert number(cells) == read


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (pl.Series([DAY, None]), [(DAY, False), (None, False)]),
        (pl.Series([NOON, MIDNIGHT]), [(DAY, False), (DAY, False)]),
        (pl.Series([SEOUL]).dt.convert_time_zone("Asia/Seoul"), [(DAY, False)]),
        (pl.Series([20250501, 20251301]), [(DAY, False), (None, True)]),
        (pl.Series([20250501.0]), [(DAY, False)]),
        (pl.Series(["2025-05-01  ", "2025/05/01 00:00:00.000", "20250501", "-", "soon"]),
         [(DAY, False), (DAY, False), (DAY, False), (None, False), (None, True)]),
        (pl.Series([None]), [(None, False)]),
    ],
)  # fmt: skip
def test_every_type_becomes_a_day_or_is_told_to_be_none(cells: pl.Series, read: list[Any]) -> None:
    assert day(cells) == read


@pytest.mark.parametrize("cells", [pl.Series(["1900-01-01", "2025-05-01"]), pl.Series([date(1900, 1, 1), DAY])])
def test_a_day_can_be_a_null_token_in_every_type(cells: pl.Series) -> None:
    assert day(cells, tokens=("1900-01-01",)) == [(None, False), (DAY, False)]


@pytest.mark.parametrize("cells", [pl.Series(["9999", "9999.0", "1"]), pl.Series([9999.0, 9999.0, 1.0])])
def test_a_number_can_be_a_null_token_in_every_type(cells: pl.Series) -> None:
    assert number(cells, tokens=("", "9999")) == [(None, False), (None, False), (1.0, False)]


@pytest.mark.parametrize(
    ("cells", "flags"),
    [
        (pl.Series([True, False, None]), [True, False, None]),
        (pl.Series([1, 0, 2]), [True, False, None]),
        (pl.Series([1.0, 0.0]), [True, False]),
        (pl.Series([" y ", "N  ", "", "maybe"]), [True, False, None, None]),
        (pl.Series([None]), [None]),
    ],
)
def test_every_type_becomes_a_flag(cells: pl.Series, flags: list[bool | None]) -> None:
    read, bad = parsing.flag(cells, null_tokens=[""], true_values=["Y", "1"], false_values=["N", "0"])
    assert read.to_list() == flags
    assert bad.to_list() == [value in (2, "maybe") for value in cells]


@pytest.mark.parametrize("cells", [pl.Series("photo", [b"\x00"]), pl.Series("photo", [[1, 2]])])
def test_what_is_no_single_value_is_refused_by_the_columns_name(cells: pl.Series) -> None:
    readers = (
        lambda: text(cells),
        lambda: number(cells),
        lambda: day(cells),
        lambda: parsing.flag(cells, null_tokens=[], true_values=["1"], false_values=["0"]),
    )
    for read in readers:
        with pytest.raises(SourceError, match=r"The column photo holds .* cannot be read"):
            read()


@given(cells=st.lists(WORDS, max_size=9), case=st.sampled_from(["keep", "upper", "lower"]))
def test_text_read_twice_is_text_read_once(cells: list[str | None], case: parsing.Case) -> None:
    once = text(pl.Series(cells, dtype=pl.String), case)
    assert text(pl.Series(once, dtype=pl.String), case) == once
    assert all(said is None or (said == said.strip() and said.lower() not in DEFAULT_NULL_TOKENS) for said in once)


@given(cells=st.lists(FLOATS, max_size=9), cut=st.integers(0, 9))
def test_a_float_is_read_alike_whatever_stands_beside_it(cells: list[float | None], cut: int) -> None:
    whole = pl.Series(cells, dtype=pl.Float64)
    assert text(whole[:cut]) + text(whole[cut:]) == text(whole)
    assert number(whole[:cut]) + number(whole[cut:]) == number(whole)


@given(cells=st.lists(WORDS, max_size=9), cut=st.integers(0, 9))
def test_a_text_is_read_alike_whatever_stands_beside_it(cells: list[str | None], cut: int) -> None:
    whole = pl.Series(cells, dtype=pl.String)
    for read in (text, number, day):
        assert read(whole[:cut]) + read(whole[cut:]) == read(whole)


@given(value=st.decimals(-(10**9), 10**9, places=3, allow_nan=False), blanks=st.sampled_from(["", " ", "\t"]))
def test_a_number_is_read_in_every_way_of_writing_it(value: Decimal, blanks: str) -> None:
    english = f"{value:,.3f}"
    german = english.translate(str.maketrans(",.", ".,"))
    plain = f"{value:.3f}"
    written = pl.Series([blanks + english, plain + blanks])
    assert number(written) == [(float(value), False)] * 2
    assert number(pl.Series([german + blanks, plain.replace(".", ",")]), comma=True) == [(float(value), False)] * 2


@given(value=st.decimals(-(10**12), 10**12, places=4, allow_nan=False))
def test_a_decimal_and_its_text_are_one_code_and_one_number(value: Decimal) -> None:
    typed = pl.Series([value], dtype=pl.Decimal(20, 4))
    assert number(typed) == number(pl.Series([str(value)]))
    said = text(typed)[0]
    assert said is not None
    assert Decimal(said) == value
    assert said == "0" or not said.endswith((".", ".0")) or "." not in said


@given(moment=st.datetimes(datetime.fromisoformat("1800-01-01"), datetime.fromisoformat("2999-12-31")))
def test_a_moment_is_its_day_typed_or_written(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    written = [moment.isoformat(), moment.isoformat(sep=" "), moment.strftime("%Y/%m/%d %H:%M")]
    assert day(pl.Series([moment])) == [(moment.date(), False)]
    assert day(pl.Series(written)) == [(moment.date(), False)] * 3
    read = parsing.moment(pl.Series(written[:2]), formats=DEFAULT_DATE_FORMATS).to_list()
    assert read == parsing.moment(pl.Series([moment] * 2), formats=DEFAULT_DATE_FORMATS).to_list() == [moment] * 2
    assert parsing.moment(pl.Series([moment.date()]), formats=()).to_list() == [
        moment - timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    ]


@pytest.mark.parametrize(
    ("form", "written"), [("epoch_seconds", "1559749680"), ("epoch_milliseconds", "1559749680123")]
)
def test_an_instant_is_the_day_on_which_it_fell_in_utc(form: str, written: str) -> None:
    expected = datetime.fromtimestamp(float(written) / parsing.EPOCH_FORMS[form], UTC).date()
    values, bad = parsing.day(
        pl.Series([written, "2019-06-05 10:00:00", "15597"]), null_tokens=(), formats=("%Y-%m-%d", form)
    )
    assert values.to_list() == [expected, date(2019, 6, 5), None]
    assert bad.to_list() == [False, False, True]


@pytest.mark.parametrize("form", ["%s", "%Y", "day.month", "epoch"])
def test_a_form_that_reads_no_day_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="is no form of a day; write it like"):
        SourceRules(date_formats=(form,))
