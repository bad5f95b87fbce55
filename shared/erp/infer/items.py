"""What the columns of the item table are: kinds, units, zeros, family and drawing."""

import re
from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from shared.erp.check.sizes import belonging_unit_column
from shared.erp.infer.columns import Column
from shared.erp.infer.names import looks_like, spelled
from shared.erp.infer.tables import Table
from shared.erp.units import factor

_FEW = 12  # distinct values up to which whole numbers are names rather than sizes
_SOME = 60  # distinct texts up to which they are categories, where each stands for three items or more
_BETTER_THAN_USUAL = 1.1  # a family must tell more than the routing that most items have
_ZEROS = 0.05
_UNIT_IN_NAME = r"(?:^|[\W_])(mm|cm|inch|in|kg|g|lb|ft|um)[\W_]*$"
_NAMELIKE = r"(^|_)(cd|code|no|nr|id|key|type|typ|class|grp|group|gruppe|kind|rev|revision|flag|yn)(_|$|\d)|코드|번호"
_STAMP = r"(?i)modif|updat|chang|insrt|creat|guid|rowversion|geaend|geänd|등록|수정"


@dataclass
class Guess:
    """One attribute as it will be written."""

    name: str
    column: str
    fields: dict[str, object] = field(default_factory=dict)
    why: str = ""


def item_attributes(table: Table, key: str, signatures: dict[str, str]) -> tuple[list[Guess], list[str]]:
    """Return the attributes in the table's order, and the columns that were left out with the reason.

    Args:
        table: the items.
        key: the column of the item's code.
        signatures: the operations of each item in one text, by item code, as far as known.
    """
    units = [name for name, column in table.columns.items() if column.is_unit]
    guesses: list[Guess] = []
    left_out: list[str] = []
    numeric = [name for name, column in table.columns.items() if _is_size(column) and name != key]
    for name, column in table.columns.items():
        if name == key or name in units:
            continue
        if column.distinct < 2 or re.search(_STAMP, name):
            what = "empty" if column.distinct == 0 else "one value only" if column.distinct == 1 else "of the record"
            left_out.append(f"{name} ({what})")
            continue
        guesses.append(_size(column, units, numeric, list(table.columns)) if _is_size(column) else _names(column))
    taken: Counter[str] = Counter()
    for guess in guesses:
        guess.name = _free_name(guess.column, taken)
    _lend_the_only_unit(units, guesses)
    _settle_units(table, guesses)
    _mark_drawing(table, guesses)
    _mark_family(table, key, guesses, signatures)
    return guesses, left_out


def _free_name(column: str, taken: Counter[str]) -> str:
    name = re.sub(r"\W+", "_", column.strip()).strip("_")[:60] or "attribute"
    name = f"a_{name}" if name[0].isdigit() or name.casefold() == "item_code" else name
    taken[name.casefold()] += 1
    return name if taken[name.casefold()] == 1 else f"{name}_{taken[name.casefold()]}"


def _is_size(column: Column) -> bool:
    """Return whether a column is measured: a number that is no code, flag or name."""
    if not column.is_number or column.has_leading_zeros:
        return False
    named = re.search(_NAMELIKE, spelled(column.name)) is not None
    if named or looks_like("size", column.name):
        return not named
    return not (column.is_whole and (column.distinct <= _FEW or column.is_unique))


def _size(column: Column, units: list[str], numeric: list[str], order: list[str]) -> Guess:
    guess = Guess(column.name, column.name, {"kind": "numeric"})
    unit_column = belonging_unit_column(column.name, units, numeric, order)
    in_name = re.search(_UNIT_IN_NAME, column.name.casefold())
    if unit_column is not None:
        guess.fields |= {"unit": "mm", "unit_column": unit_column}
        guess.why = f"its unit stands in {unit_column}; a row without one stays unknown unless source_unit is named"
    elif in_name is not None:
        unit = {"in": "inch"}.get(in_name[1], in_name[1])
        target = "mm" if factor(unit, "mm") is not None else "g"
        guess.fields |= {"unit": target} | ({} if unit == target else {"source_unit": unit})
        guess.why = f"its name says {unit}"
    else:
        guess.why = "a number; give it a unit where it has one"
    if column.zero_share >= _ZEROS:
        guess.fields["zero_is_unknown"] = True
        guess.why += f"; 0 in {column.zero_share:.0%} of the rows, taken for unknown: look twice"
    return guess


def _lend_the_only_unit(units: list[str], guesses: list[Guess]) -> None:
    """Give sizes without a unit the unit column that no other size claims, where there is exactly one."""
    claimed = {guess.fields.get("unit_column") for guess in guesses}
    left = [unit for unit in units if unit not in claimed]
    for guess in guesses:
        bare = guess.fields["kind"] == "numeric" and "unit" not in guess.fields
        if len(left) == 1 and bare and looks_like("size", guess.column):
            guess.fields = {"kind": "numeric", "unit": "mm", "unit_column": left[0]} | guess.fields
            guess.why = f"its unit may stand in {left[0]}, the only unit column that no other size claims; look twice"


def _settle_units(table: Table, guesses: list[Guess]) -> None:
    """Say for each size with a unit column whether it is a length or a mass."""
    for guess in guesses:
        unit_column = guess.fields.get("unit_column")
        if isinstance(unit_column, str):
            said = table.columns[unit_column].said.drop_nulls()
            masses = sum(factor(text, "g") is not None for text in said.to_list()[:1000])
            if masses * 2 > min(said.len(), 1000):
                guess.fields["unit"] = "g"


def _names(column: Column) -> Guess:
    """Return an attribute of names, codes, text or a day."""
    if column.is_day:
        return Guess(column.name, column.name, {"kind": "date", "weight": 0}, "a day: kept, and not compared")
    known = column.said.drop_nulls()
    kind, why, weight = _kind(column, known)
    guess = Guess(column.name, column.name, {"kind": kind}, why)
    if weight != 1.0:
        guess.fields["weight"] = weight
    folded = known.str.to_lowercase().n_unique()
    if kind == "categorical" and folded < column.distinct:
        guess.fields["case"] = "upper"
        guess.why += "; spelled in several cases"
    return guess


def _kind(column: Column, known: pl.Series) -> tuple[str, str, float]:
    blanks = float(known.str.contains(r"\s").mean() or 0)  # type: ignore[arg-type] # a share
    digits = float(known.str.contains(r"\d").mean() or 0)  # type: ignore[arg-type] # likewise
    few = column.distinct <= max(_FEW, 0.05 * known.len()) or (
        column.distinct <= _SOME and column.distinct * 3 <= known.len()
    )
    if few and column.distinct <= 1_000 and not looks_like("text", column.name):
        return "categorical", f"{column.distinct} values", 1.0
    if blanks < 0.2 and digits > 0.5:
        unique = column.distinct > 0.9 * known.len()
        return "code", f"{column.distinct:,} codes, compared by their beginning", 0.2 if unique else 1.0
    if few and column.distinct <= 1_000:
        return "categorical", f"{column.distinct} values", 1.0
    return "text", f"{column.distinct:,} texts, compared by their words", 1.0


def _mark_drawing(table: Table, guesses: list[Guess]) -> None:
    drawings = [guess for guess in guesses if looks_like("drawing", guess.column) and guess.fields["kind"] != "numeric"]
    drawings = [guess for guess in drawings if not re.search(r"rev|sheet|blatt|index", spelled(guess.column))]
    if drawings:
        best = max(drawings, key=lambda guess: table.columns[guess.column].distinct)
        best.fields |= {"kind": "code", "weight": 0.1, "drawing": True}
        best.why = "the drawing, by its name: items that share it are tested together; look twice"


def _mark_family(table: Table, key: str, guesses: list[Guess], signatures: dict[str, str]) -> None:
    """Mark as family the attribute of not too many values that tells most about the routing."""
    candidates = [guess for guess in guesses if guess.fields["kind"] == "categorical"]
    candidates = candidates or [
        guess for guess in guesses if guess.fields["kind"] == "code" and "drawing" not in guess.fields
    ]
    scores = {guess.column: _telling(table, key, guess.column, signatures) for guess in candidates}
    named = {guess.column: looks_like("family", guess.column) for guess in candidates}
    best = max(
        scores,
        key=lambda column: (round(scores[column], 2), named[column], -table.columns[column].distinct),
        default=None,
    )
    if best is None or (scores[best] == 0 and not named[best]):
        return
    guess = next(guess for guess in candidates if guess.column == best)
    guess.fields |= {"weight": 3.0, "family": True}
    share = f"it alone tells the routing of {scores[best]:.0%} of the items" if scores[best] else "by its name"
    guess.why += f"; the family, because {share}: look twice"


def _telling(table: Table, key: str, column: str, signatures: dict[str, str]) -> float:
    """Return the share of items whose operations are those of most other items with the same value."""
    groups: dict[str, Counter[str]] = {}
    total = 0
    for code, value in zip(table.columns[key].said, table.columns[column].said, strict=True):
        signature = signatures.get(code or "")
        if signature is not None:
            groups.setdefault(value or "", Counter())[signature] += 1
            total += 1
    right = sum(max(counts.values()) - 1 for counts in groups.values())
    usual = max(sum(groups.values(), Counter()).values(), default=0)
    return right / total if total and right > usual * _BETTER_THAN_USUAL else 0.0
