"""Are sizes in the unit that the profile says? Inches read as millimetres differ by a factor of 25.4."""

import math
from collections.abc import Collection, Iterator, Sequence

import polars as pl

from shared.erp.canonical import AttributeKind
from shared.erp.check.tables import CheckedTable
from shared.erp.findings import Finding, Severity
from shared.erp.infer.names import looks_like, spelled
from shared.erp.profiles.model import AttributeMapping, Profile
from shared.erp.units import factor

_INCH = 25.4
_NEAR = 0.02  # how near to 25.4 the ratio of two sizes of one thing must be
_TYPICALLY_NEAR = 0.15  # and that of two medians
_RECOGNISED = 0.7  # the share of a column's cells that must be spellings of a unit
_CONTRADICTED = 0.01  # the share of rows in another unit from which on a profile is wrong
_LEAST_GROUPS = 3
_LEAST_VALUES = 5


def check_sizes(items: CheckedTable, routings: CheckedTable | None, profile: Profile) -> list[Finding]:
    """Return the attributes whose unit the data contradicts."""
    found: list[Finding] = []
    for name, mapping in profile.items.attributes.items():
        if mapping.kind is AttributeKind.NUMERIC:
            found += _unmapped_unit(items, name, mapping, profile)
            if mapping.unit_column is None:
                found += _within_drawings(items, name, profile)
            else:
                found += _by_unit(items, name, mapping, profile)
            if routings is not None:
                found += _copies(items, routings, name, mapping, profile)
    return found


def _error(name: str, message: str, remedy: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(severity=severity, field=f"items.attributes.{name}", message=message, remedy=remedy)


def unit_columns(table: CheckedTable, profile: Profile) -> dict[str, dict[str, float]]:
    """Return the columns whose cells are spellings of units, each with the shares of its spellings."""
    found = {}
    for column in table.known:
        said = table.text(column, profile).drop_nulls()
        counts = dict(said.value_counts().iter_rows()) if said.n_unique() <= 50 else {}
        known = sum(count for value, count in counts.items() if _is_unit(value))
        if counts and known >= _RECOGNISED * said.len():
            found[column] = {value: count / said.len() for value, count in counts.items()}
    return found


def _is_unit(spelling: str) -> bool:
    return factor(spelling, "mm") is not None or factor(spelling, "g") is not None


def belonging_unit_column(
    column: str, units: Sequence[str], numeric: Collection[str], order: Sequence[str]
) -> str | None:
    """Return the unit column of a numeric column: one named like it, or else the one that follows a row of sizes.

    Args:
        column: the numeric column.
        units: the columns that name units.
        numeric: every numeric column.
        order: every column, in the table's order.
    """
    words = spelled(column)
    named = [unit for unit in units if spelled(unit).startswith(words) or words.startswith(_stem(unit))]
    if named:
        return max(named, key=lambda unit: len(_common(words, spelled(unit))))
    if not looks_like("size", column):
        return None
    behind = list(order)[list(order).index(column) + 1 :]
    following = next((name for name in behind if name not in numeric), None)
    return following if following in units else None


def _stem(unit: str) -> str:
    words = [
        word for word in spelled(unit).split("_") if word not in ("unit", "uom", "einheit", "me", "code", "measure")
    ]
    return "_".join(words) or "\0"


def _common(first: str, second: str) -> str:
    length = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return first[:length]


def _unmapped_unit(items: CheckedTable, name: str, mapping: AttributeMapping, profile: Profile) -> Iterator[Finding]:
    """Yield a unit column that belongs to the attribute and is not named, where it says another unit."""
    if mapping.unit_column is not None:
        return
    column = items.column(mapping.column or (name,))
    numeric = {
        items.column(entry.column or (attribute,))
        for attribute, entry in profile.items.attributes.items()
        if entry.kind is AttributeKind.NUMERIC
    }
    units = unit_columns(items, profile)
    named = belonging_unit_column(column, list(units), numeric, items.known)
    belonging = named or _following_unit_column(column, list(units), items, profile)
    if belonging is None:
        return
    severity = Severity.ERROR if named else Severity.WARNING  # only its place and its values speak for the other
    values, _ = items.numbers(column, profile)
    said = items.text(belonging, profile).filter(((values != 0) & values.is_not_null()).fill_null(value=False))
    if mapping.unit is None:
        distinct = {factor(text, unit) for text in said.drop_nulls().unique() for unit in ("mm", "g")} - {None}
        if len(distinct) > 1 and (named or _follow_the_unit(values, items.text(belonging, profile))):
            message = f"{name} has no unit, and {belonging} names several: {', '.join(sorted(units[belonging])[:6])}."
            remedy = f"Give {name} a unit (such as unit: mm) and unit_column: {belonging}."
            yield _error(name, message, remedy, severity)
        return
    assumed = factor(mapping.source_unit or mapping.unit, mapping.unit)
    stated = {text: factor(text, mapping.unit, mapping.unit_spellings) for text in said.drop_nulls().unique()}
    other = [text for text, value in stated.items() if value is not None and value != assumed]
    share = float(said.is_in(other).mean() or 0.0)  # type: ignore[arg-type] # a share
    if share >= _CONTRADICTED:
        unit = mapping.source_unit or mapping.unit
        said_else = ", ".join(sorted(other)[:4])
        message = f"{name} is read as {unit} throughout, and {belonging} says {said_else} in {share:.1%} of its rows."
        yield _error(name, message, f"Set items.attributes.{name}.unit_column: {belonging}.", severity)


def _following_unit_column(column: str, units: Sequence[str], items: CheckedTable, profile: Profile) -> str | None:
    """Return the column of units behind a row of numbers, whatever their names, if no name gives it to another one."""
    for name in items.known[items.known.index(column) + 1 :]:
        if name in units:
            others = [spelled(other) for other in items.known if other not in (name, column)]
            taken = any(spelled(name).startswith(f"{other}_") or other.startswith(_stem(name)) for other in others)
            return name if name in items.free and not taken else None
        filled = items.text(name, profile).drop_nulls().len()
        if items.numbers(name, profile)[0].drop_nulls().len() * 2 <= filled:
            return None
    return None


def _follow_the_unit(values: pl.Series, stated: pl.Series) -> bool:
    """Return whether values stated in a larger unit are smaller numbers: a count of holes is not."""
    units = {text: factor(text, "mm") or factor(text, "g") for text in stated.drop_nulls().unique()}
    known = {text: value for text, value in units.items() if value}
    sizes = stated.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Float64)
    frame = pl.DataFrame({"value": values, "factor": sizes}).filter(pl.col("value") > 0).drop_nulls()
    medians = frame.group_by("factor").agg(pl.col("value").median(), pl.len().alias("n"))
    medians = medians.filter(pl.col("n") >= _LEAST_VALUES).sort("factor")
    if medians.height < 2:  # there is nothing to compare
        return False
    small, large = medians.row(0), medians.row(-1)
    return bool(small[1] / large[1] > math.sqrt(large[0] / small[0]))


def _within_drawings(items: CheckedTable, name: str, profile: Profile) -> Iterator[Finding]:
    """Yield where sizes of one drawing differ by the factor of inches and millimetres, and hardly otherwise."""
    drawing = next((attribute.name for attribute in profile.attributes if attribute.drawing), None)
    if drawing is None:
        return
    sizes = items.frame.filter(pl.col(name) > 0).drop_nulls(drawing).group_by(drawing)
    spread = sizes.agg((pl.col(name).max() / pl.col(name).min()).alias("spread"), pl.len().alias("n")).filter(
        pl.col("n") > 1
    )
    wide = spread.filter(pl.col("spread").is_between(8, 80))
    inches = wide.filter((pl.col("spread") / _INCH - 1).abs() <= _NEAR).height
    if inches >= _LEAST_GROUPS and inches * 2 > wide.height:
        message = (
            f"{name} of items of one drawing differs by a factor of 25.4 in {inches} drawing(s): inches are mixed in."
        )
        yield _error(name, message, f"Name the column that says the unit in items.attributes.{name}.unit_column.")


def _by_unit(items: CheckedTable, name: str, mapping: AttributeMapping, profile: Profile) -> Iterator[Finding]:
    """Yield where values stated in different units become alike only without the conversion: the unit column errs."""
    family = [attribute.name for attribute in profile.attributes if attribute.family]
    read = items.facts.columns_read
    group = [read[f"attributes.{entry}"] for entry in family]
    values, _ = items.numbers(items.column(mapping.column or (name,)), profile)
    stated = items.text(items.column(mapping.unit_column or ()), profile)
    factors = {text: factor(text, mapping.unit or "", mapping.unit_spellings) for text in stated.drop_nulls().unique()}
    known = {text: value for text, value in factors.items() if value is not None}
    converted = stated.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Float64)
    frame = items.sample.with_columns(values.alias("__value"), converted.alias("__factor"))
    medians = (
        frame.filter(pl.col("__value") > 0, pl.col("__factor").is_not_null())
        .group_by([*group, "__factor"])
        .agg(pl.col("__value").median().alias("median"), pl.len().alias("n"))
        .filter(pl.col("n") >= _LEAST_VALUES)
    )
    pairs = medians.join(medians, on=group, nulls_equal=True) if group else medians.join(medians, how="cross")
    pairs = pairs.filter(pl.col("__factor") * 20 < pl.col("__factor_right"))
    if pairs.height < _LEAST_GROUPS:
        return
    ratio = pairs.select((pl.col("median") / pl.col("median_right")).log().median()).item()
    if abs(ratio) < math.log(1 + _TYPICALLY_NEAR):
        message = f"{name}: numbers stated in different units are of the same size, as if all were in one unit."
        remedy = f"Look at a few rows: if the unit column is not kept, use source_unit instead of {name}.unit_column."
        yield _error(name, message, remedy, Severity.WARNING)


def _copies(
    items: CheckedTable, routings: CheckedTable, name: str, mapping: AttributeMapping, profile: Profile
) -> Iterator[Finding]:
    """Yield where the routings hold a copy of the size that differs by the factor of inches and millimetres."""
    column = items.column(mapping.column or (name,))
    if column not in routings.known:
        return
    copied, _ = routings.numbers(column, profile)
    key = routings.text(routings.column(profile.routings.columns.item_code), profile)
    if profile.source.item_code_case != "keep":
        key = key.str.to_uppercase() if profile.source.item_code_case == "upper" else key.str.to_lowercase()
    frame = pl.DataFrame({"item_code": key, "copy": copied}).filter(pl.col("copy") > 0).unique("item_code")
    frame = frame.join(items.frame.select("item_code", name).filter(pl.col(name) > 0), on="item_code")
    ratio = frame["copy"] / frame[name]
    off = int((((ratio / _INCH - 1).abs() <= _NEAR) | ((ratio * _INCH - 1).abs() <= _NEAR)).sum())
    same = int((ratio - 1).abs().le(_NEAR).sum())
    if off >= _LEAST_VALUES and off > same and mapping.unit_column is None:
        message = f"{name} differs from its copy in the routings by a factor of 25.4 in {off} of {frame.height} items."
        yield _error(name, message, f"Correct items.attributes.{name}.source_unit, or name its unit_column.")
