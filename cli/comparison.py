"""A comparison of two models as a table: what was asked of the new one, what was found, and what is allowed."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.output import show_table

_PLAIN = {"enough items": "{:.0f}", "no family worse": "{:.0f}", "speed of an answer": "{:.2f} times"}
_SHARE = "{:+.1%}"


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """Print a job's stored comparison (`TrainingJob.result["comparison"]`)."""
    show_table(
        f"{comparison['kind']}: {comparison['decision']} "
        f"({comparison['items']} items, {comparison['orders']} booked orders)",
        ("condition", "", "found", "95 % interval", "limit"),
        [_row(check) for check in comparison["checks"]],
    )
    old, new = comparison["old"], comparison["new"]
    show_table(
        "on the same items, as if unknown",
        ("figure", "active model", "new model", "n"),
        [(name, _number(old[name]["value"]), _number(new[name]["value"]), new[name]["n"]) for name in new],
    )


def show_contenders(tried: Sequence[Mapping[str, Any]]) -> None:
    """Print what a challenger job tried (`TrainingJob.result["tried"]`): figures of the half that it chose by."""
    show_table(
        "tried, as if unknown",
        ("contender", "chosen", "trimmed MAE", "95 % interval", "MdAPE", "coverage", "slowdown", "fitted in"),
        [_contender(one) for one in tried],
    )


def _contender(one: Mapping[str, Any]) -> tuple[str, ...]:
    metrics = one["metrics"]
    error = metrics["trim_mae"]
    low, high = _number(error.get("low")), _number(error.get("high"))
    return (
        one["name"],
        "yes" if one["is_selected"] else "",
        _number(error["value"]),
        f"{low} to {high}" if low else "",
        _number(metrics["mdape"]["value"]),
        _number(metrics["interval_coverage"]["value"]),
        f"{one['slowdown']:.2f} times",
        f"{one['training_seconds']:.1f} s",
    )


def _row(check: Mapping[str, Any]) -> tuple[str, ...]:
    form = _PLAIN.get(check["name"], _SHARE)
    low, high = _text(form, check["low"]), _text(form, check["high"])
    found, limit = _text(form, check["value"]), _text(form, check["limit"])
    return check["name"], "ok" if check["passed"] else "NO", found, f"{low} to {high}" if low else "", limit


def _text(form: str, value: float | None) -> str:
    return "" if value is None else form.format(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
