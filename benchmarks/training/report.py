"""The figures as a text for a person."""

from collections.abc import Mapping
from typing import Any


def as_text(found: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, float]) -> str:
    """Return what was measured; `wanted` are budgets in seconds, by task."""
    lines: list[str] = []
    peer = found.get("peer")
    for task, figures in found.items():
        if task == "peer":
            what = f"plain random forest, {figures['trees']} trees on {figures['rows']:,} rows"
            lines.append(f"peer: {what}: {figures['seconds']:.1f} s (processor {figures['cpu_seconds']:.1f} s)")
            continue
        beside = "" if peer is None else f", {figures['cpu_seconds'] / peer['cpu_seconds']:.1f} times the peer's"
        budget = f", wanted {wanted[task]:.0f} s" if task in wanted else ""
        taken = f"{task} of {figures['items']:,} items: {figures['seconds']:.1f} s{budget}"
        lines.append(
            f"{taken} (processor {figures['cpu_seconds']:.1f} s{beside}), peak memory {figures['peak_mib']:,.0f} MiB"
        )
        lines += [f"  {seconds:7.2f} s  {step}" for step, seconds in figures["steps"].items() if seconds >= 0.05]
        lines += _contenders(figures.get("tried", ()))
        if "reason" in figures:
            lines.append(f"  promoted: {'yes' if figures['promoted'] else 'no'}: {figures['reason']}")
    return "\n".join(lines)


def _contenders(tried: Any) -> list[str]:
    """Return a line a contender: as if unknown, on the half that it was chosen by."""
    lines = []
    for one in tried:
        metrics = one["metrics"]
        mae, middle, cover = metrics["trim_mae"], metrics["mdape"], metrics["interval_coverage"]
        folds = " ".join("-" if score is None else f"{score:.2f}" for score in one["cv_scores"])
        lines.append(
            f"  {one['name']:13} trimmed MAE {_with_interval(mae, 2)} min, MdAPE {_with_interval(middle, 3)}, "
            f"coverage {_with_interval(cover, 3)}, n {mae['n']:,}; folds {folds}; "
            f"answer {one['inference_latency_ms']['p50']:.2f} ms ({one['slowdown']:.2f} times), "
            f"fitted in {one['training_seconds']:.1f} s{' (chosen)' if one['is_selected'] else ''}"
        )
    return lines


def _with_interval(figure: Mapping[str, Any], digits: int) -> str:
    if figure["value"] is None:
        return "unknown"
    low, high = figure.get("low"), figure.get("high")
    between = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{figure['value']:.{digits}f}{between}"
