"""Plan and actuals: which planned step every reported piece of work belongs to, or why it belongs to none.

Sequences are renumbered and routings revised while old orders are still reported, so a result is tried against its own
step first and against ever looser matches after that (`Match` lists them, best first). Matching depends on the tables'
content alone: the order of their rows changes nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from shared.erp.joins.occurrences import NO_SEQUENCE, choose_steps


class Match(StrEnum):
    """How a work result was joined to the plan, best first, or why it was not."""

    EXACT = "exact"  # the same routing, sequence and operation; no routing named counts as the item's only one
    RENUMBERED = "renumbered"  # the same routing and operation at another sequence
    OTHER_ROUTING = "other routing"  # the same sequence and operation in another routing of the item
    OTHER_ROUTING_RENUMBERED = "other routing, renumbered"  # the same operation in another routing
    BY_OPERATION = "by operation"  # the result names no sequence, or no routing where the item has several
    NO_ROUTING = "the item has no routing"
    REPLACED_STEP = "another operation at this sequence"  # the operation is in none of the item's routings
    ADDED_STEP = "no step at this sequence"  # the same, and nothing is planned at the sequence
    UNPLANNED = "operation not planned"  # the same, and the result names no sequence


class Actuals(StrEnum):
    """Whether a planned step has actuals, or why it has none."""

    REPORTED = "reported"
    NEVER_MADE = "the item was never made"
    OLD_ROUTING = "only in an old routing"  # the item was made by a newer one
    UNUSED_ROUTING = "in a routing not used yet"  # the item was made by an older one, or by none that is known
    OTHER_STEP = "reported on another step"  # the operation was reported, on another step of the same routing
    NEVER_REPORTED = "the operation was never reported"


JOINED = (Match.EXACT, Match.RENUMBERED, Match.OTHER_ROUTING, Match.OTHER_ROUTING_RENUMBERED, Match.BY_OPERATION)
NOT_JOINED = tuple(match for match in Match if match not in JOINED)

_MATCH = pl.Enum([match.value for match in Match])
_ACTUALS = pl.Enum([reason.value for reason in Actuals])
_CODES = ("item", "routing", "operation")
_OPERATION = ("item", "routing", "operation")
_STEP = (*_OPERATION, "sequence")
_CHUNK = 500_000  # results with a date whose candidate steps are compared at a time, so that memory stays bounded


@dataclass(frozen=True, kw_only=True)
class PlanJoin:
    """The outcome, row by row, in the order of the two tables that were joined."""

    results: pl.DataFrame
    """`match` (`Match`), `planned_row` (place of the step in the routings, null where not joined) and `ambiguous`
    (several steps fitted equally well, and the first by rule was taken); one row a work result."""
    steps: pl.DataFrame
    """`actuals` (`Actuals`) and `results` (how many joined); one row a planned step."""


def join_plan(routings: pl.DataFrame, work_results: pl.DataFrame) -> PlanJoin:
    """Join every work result to at most one planned step.

    Where a routing holds an operation several times, a result at an unknown sequence belongs to the occurrence of the
    same place when as many were reported as are planned, else to the one of the nearest sequence. Of several other
    routings one that is valid on the day of the report is preferred, then the newest.

    Args:
        routings: canonical planned steps.
        work_results: canonical work results.
    """
    steps, reports = _numbered(routings, work_results)
    unique_steps = _one_of_each(steps, routings)
    exact, rest = _exact(reports, unique_steps)
    found = [exact]
    for rule in (_in_own_routing, _in_other_routing):
        joined = rule(rest, unique_steps, reports)
        found.append(joined)
        rest = rest.join(joined, on="row", how="anti")
    found.append(_not_joined(rest, unique_steps))
    results = pl.concat(found).sort("row").select("match", "planned_row", "ambiguous")
    return PlanJoin(results=results, steps=_actuals_of(steps, reports, results))


def _numbered(routings: pl.DataFrame, work_results: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both tables with their codes as numbers, which join and sort many times faster than text."""
    planned = _keys(routings, "sequence", "valid_from", "valid_to", "created_at")
    booked = _keys(work_results, pl.col("sequence").fill_null(NO_SEQUENCE), pl.col("reported_at").alias("day"))
    for name in _CODES:
        numbers = pl.concat([planned[name], booked[name]]).rank("dense").cast(pl.UInt32)
        planned = planned.with_columns(numbers.head(planned.height).alias(name))
        booked = booked.with_columns(numbers.tail(booked.height).alias(name))
    recency = pl.col("created_at").max().over("item", "routing").cast(pl.Int32).fill_null(-(2**31)).alias("recency")
    booked = booked.with_columns(work_results["routing_no"].is_not_null().alias("named"))
    planned = planned.with_columns(recency).drop("created_at").with_row_index("planned_row")
    return planned, _in_only_routing(booked, planned).with_row_index("row")


def _keys(table: pl.DataFrame, *others: str | pl.Expr) -> pl.DataFrame:
    return table.select(
        pl.col("item_code").alias("item"),
        pl.col("routing_no").fill_null("").alias("routing"),
        pl.col("operation_code").alias("operation"),
        *others,
    )


def _in_only_routing(reports: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Let results that name no routing name their item's, where it has just one."""
    only = steps.group_by("item").agg(
        pl.col("routing").first().alias("only"), (pl.col("routing").min() == pl.col("routing").max()).alias("single")
    )
    known = reports.join(only.filter("single").select("item", "only"), on="item", how="left", maintain_order="left")
    takes = ~pl.col("named") & pl.col("only").is_not_null()
    return known.with_columns(
        pl.when(takes).then("only").otherwise("routing").alias("routing"), (pl.col("named") | takes).alias("named")
    ).drop("only")


def _one_of_each(steps: pl.DataFrame, routings: pl.DataFrame) -> pl.DataFrame:
    """Return one step for each item, routing, operation and sequence: the first of equal ones by their whole rows."""
    if steps.select(_STEP).is_unique().all():
        return steps
    order = routings.with_row_index("planned_row").sort(routings.columns, nulls_last=True)["planned_row"]
    return steps[order].unique(_STEP, keep="first", maintain_order=True)


def _exact(reports: pl.DataFrame, steps: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the exact matches, and the reports without one."""
    tried = reports.join(steps.select(*_STEP, "planned_row"), on=_STEP, how="left")
    hit = pl.col("planned_row").is_not_null()
    matched = tried.filter(hit).with_columns(pl.lit(value=False).alias("ambiguous"))
    return _found(matched, _label(Match.EXACT)), tried.filter(~hit).drop("planned_row")


def _in_own_routing(rest: pl.DataFrame, steps: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """Join to another occurrence of the operation in the routing that the result names."""
    own = rest.join(steps.select(_OPERATION), on=_OPERATION, how="semi")
    requests = own.select(_STEP).unique().with_columns(pl.col("routing").alias("target"))
    chosen = choose_steps(requests, steps, reports)
    nameless = pl.col("sequence") == NO_SEQUENCE
    label = pl.when(nameless).then(_label(Match.BY_OPERATION)).otherwise(_label(Match.RENUMBERED))
    return _found(own.join(chosen, on=_STEP), label)


def _in_other_routing(rest: pl.DataFrame, steps: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """Join to the same step, else to the same operation, of the item's routing that fits the day of the report best."""
    others = steps.join(rest.select("item", "operation").unique(), on=("item", "operation"), how="semi")
    asked = rest.select(*_STEP, "day").unique().sort(*_STEP, "day")
    parts = [_chosen_routing(part, others) for part in asked.iter_slices(_CHUNK)]
    chosen = pl.concat(parts) if parts else _chosen_routing(asked, others)
    known = chosen.filter(pl.col("planned_row").is_not_null())
    looked_for = chosen.filter(pl.col("planned_row").is_null()).drop("planned_row")
    requests = looked_for.select(*_STEP, "target").unique()
    by_order = looked_for.join(
        choose_steps(requests, steps, reports), on=(*_STEP, "target"), suffix="_occurrence"
    ).with_columns(pl.col("ambiguous") | pl.col("ambiguous_occurrence"))
    told = (*_STEP, "day", "planned_row", "ambiguous", "same_sequence")
    both = pl.concat([known.select(told), by_order.select(told)])
    by_operation = ~pl.col("named") | (pl.col("sequence") == NO_SEQUENCE)
    label = (
        pl.when(by_operation)
        .then(_label(Match.BY_OPERATION))
        .when("same_sequence")
        .then(_label(Match.OTHER_ROUTING))
        .otherwise(_label(Match.OTHER_ROUTING_RENUMBERED))
    )
    return _found(rest.join(both, on=(*_STEP, "day"), nulls_equal=True), label)


def _chosen_routing(asked: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return for each distinct result the best routing as `target`, and its step where it has the same sequence."""
    candidates = asked.join(
        others.rename({"routing": "target", "sequence": "planned_sequence"}), on=("item", "operation")
    ).with_columns(
        (pl.col("sequence") == pl.col("planned_sequence")).alias("same_sequence"),
        (pl.col("day").ge(pl.col("valid_from")).fill_null(value=True)
         & pl.col("day").le(pl.col("valid_to")).fill_null(value=True)).alias("valid"),
    )  # fmt: skip
    rank = ("same_sequence", "valid", "recency")
    best = candidates.sort(*rank, "target", "planned_sequence", descending=[True, True, True, True, False])
    result = (*_STEP, "day")
    first = best.unique(result, keep="first", maintain_order=True)
    equal = (
        first.join(candidates, on=(*result, *rank), nulls_equal=True, suffix="_equal")
        .group_by(result)
        .agg((pl.col("target_equal").n_unique() > 1).alias("ambiguous"))
    )
    same = pl.when("same_sequence").then("planned_row").alias("planned_row")
    return first.join(equal, on=result, nulls_equal=True).select(*result, "target", "same_sequence", same, "ambiguous")


def _not_joined(rest: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Say why: by what stands at the result's sequence, in the routing that it names or else in any of the item's."""
    steps = steps.join(rest.select("item"), on="item", how="semi")
    items = steps.select("item", pl.lit(value=True).alias("routed")).unique()
    routings = steps.select("item", "routing", pl.lit(value=True).alias("own")).unique()
    in_own = steps.select("item", "routing", "sequence", pl.lit(value=True).alias("in_own")).unique()
    in_any = steps.select("item", "sequence", pl.lit(value=True).alias("in_any")).unique()
    seen = (
        rest.join(items, on="item", how="left")
        .join(routings, on=("item", "routing"), how="left")
        .join(in_own, on=("item", "routing", "sequence"), how="left")
        .join(in_any, on=("item", "sequence"), how="left")
    )
    taken = pl.when("own").then("in_own").otherwise("in_any").fill_null(value=False)
    label = (
        pl.when(pl.col("routed").is_null())
        .then(_label(Match.NO_ROUTING))
        .when(pl.col("sequence") == NO_SEQUENCE)
        .then(_label(Match.UNPLANNED))
        .when(taken)
        .then(_label(Match.REPLACED_STEP))
        .otherwise(_label(Match.ADDED_STEP))
    )
    nothing = (pl.lit(None, pl.UInt32).alias("planned_row"), pl.lit(value=False).alias("ambiguous"))
    return _found(seen.with_columns(nothing), label)


def _label(value: StrEnum) -> pl.Expr:
    return pl.lit(value.value, _MATCH if isinstance(value, Match) else _ACTUALS)


def _found(joined: pl.DataFrame, label: pl.Expr) -> pl.DataFrame:
    return joined.select("row", label.alias("match"), pl.col("planned_row").cast(pl.UInt32), "ambiguous")


def _actuals_of(steps: pl.DataFrame, reports: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Say of each planned step how many results joined it, and why none did."""
    counts = results["planned_row"].drop_nulls().value_counts(name="results")
    age = pl.struct("recency", "routing").rank("dense")
    steps = steps.join(counts, on="planned_row", how="left", maintain_order="left").with_columns(
        pl.col("results").fill_null(0), age.cast(pl.Int64).alias("age")
    )
    used = pl.col("results") > 0
    made = steps.select(pl.col("item").is_in(reports["item"].unique().implode()).alias("made"))["made"]
    operations = reports.select("item", "operation", pl.lit(value=True).alias("told")).unique()
    steps = steps.with_columns(
        made,
        used.any().over("item", "routing").alias("routing_used"),
        pl.col("age").filter(used).max().over("item").alias("newest_used"),
    ).join(operations, on=("item", "operation"), how="left", maintain_order="left")
    label = (
        pl.when(used)
        .then(_label(Actuals.REPORTED))
        .when(~pl.col("made"))
        .then(_label(Actuals.NEVER_MADE))
        .when(~pl.col("routing_used") & (pl.col("age") < pl.col("newest_used")).fill_null(value=False))
        .then(_label(Actuals.OLD_ROUTING))
        .when(~pl.col("routing_used"))
        .then(_label(Actuals.UNUSED_ROUTING))
        .when("told")
        .then(_label(Actuals.OTHER_STEP))
        .otherwise(_label(Actuals.NEVER_REPORTED))
    )
    return steps.select(label.alias("actuals"), pl.col("results").cast(pl.UInt32))
