"""Columns of a batch file to attribute values: numbers, days and text as the mapping of an ERP reads them."""

import re
from collections.abc import Sequence

import polars as pl

from shared.erp import parsing
from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.profiles.model import DEFAULT_DATE_FORMATS, DEFAULT_NULL_TOKENS
from shared.erp.units import factor, known_units

Value = str | float | None
Read = tuple[list[Value], dict[int, str]]  # the values, and by row what is wrong

_MEASURE = re.compile(r"\s*([+-]?\d[\d.,]*)\s*([^\d\s].*)", re.DOTALL)  # such as 2.5 inch or 50mm
_SHOWN = 60  # characters of a wrong cell


def read_attribute(attribute: Attribute, cells: pl.Series, units: pl.Series | None = None) -> Read:
    """Return an attribute's values, None where a cell is empty.

    Args:
        attribute: a size may stand in another unit than its own where the cell, or its unit's column, names it.
        cells: text.
        units: the column that names each row's unit.
    """
    match attribute.kind:
        case AttributeKind.NUMERIC:
            return _sizes(attribute, cells, units)
        case AttributeKind.DATE:
            days, bad = parsing.day(cells, null_tokens=DEFAULT_NULL_TOKENS, formats=DEFAULT_DATE_FORMATS)
            return [None if each is None else each.isoformat() for each in days], _named(
                cells, bad, "is no day such as 2026-03-31"
            )
    return parsing.text(cells, null_tokens=DEFAULT_NULL_TOKENS).to_list(), {}


def read_numbers(cells: pl.Series) -> Read:
    """Return plain numbers, None where a cell is empty."""
    values, bad = parsing.number(cells, null_tokens=DEFAULT_NULL_TOKENS, decimal_comma=False)
    return values.to_list(), _named(cells, bad, "is no number")


def _sizes(attribute: Attribute, cells: pl.Series, units: pl.Series | None) -> Read:
    values, bad = parsing.number(cells, null_tokens=DEFAULT_NULL_TOKENS, decimal_comma=False)
    sizes: list[Value] = values.to_list()
    problems = {}
    named: Sequence[str | None] = [None] * len(sizes)
    if units is not None:
        named = parsing.text(units, null_tokens=DEFAULT_NULL_TOKENS).to_list()
    for row in bad.arg_true().to_list():
        sizes[row], problem = _measure(attribute, cells[row])
        if problem is not None:
            problems[row] = problem
    for row, unit in enumerate(named):
        size = values[row]
        if unit is not None and size is not None:
            sizes[row], problem = _converted(attribute, size, unit)
            if problem is not None:
                problems[row] = problem
    return sizes, problems


def _measure(attribute: Attribute, cell: str) -> tuple[float | None, str | None]:
    """Read a cell that holds a number and its unit."""
    found = _MEASURE.fullmatch(cell)
    if found is not None:
        values, bad = parsing.number(pl.Series([found[1]]), null_tokens=(), decimal_comma=False)
        if not bad[0]:
            return _converted(attribute, values[0], found[2])
    return None, f"{cell[:_SHOWN]!r} is no number{_in_its_unit(attribute)}"


def _converted(attribute: Attribute, size: float, unit: str) -> tuple[float | None, str | None]:
    if attribute.unit is None:
        return None, f"{unit[:_SHOWN]!r} stands for a unit, and this attribute has none"
    times = factor(unit, attribute.unit)
    if times is None:
        return (
            None,
            f"no unit that can be read as {attribute.unit} is spelled {unit[:_SHOWN]!r}; known are "
            + ", ".join(known_units()),
        )
    return size * times, None


def _in_its_unit(attribute: Attribute) -> str:
    return f" (in {attribute.unit}, or with its unit behind it)" if attribute.unit else ""


def _named(cells: pl.Series, bad: pl.Series, problem: str) -> dict[int, str]:
    return {row: f"{cells[row][:_SHOWN]!r} {problem}" for row in bad.arg_true().to_list()}
