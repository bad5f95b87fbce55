"""From everybody's answers to the tables and goals of a report."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmarks.accuracy.asking import Floats
from benchmarks.accuracy.confidence import (
    LEAST_OF_A_FAMILY,
    Confidence,
    Coverage,
    Share,
    judge_confidence,
    judge_families,
    judge_quantities,
)
from benchmarks.accuracy.measuring import LAST_TEN, NEAREST, PRODUCT, Answers
from benchmarks.accuracy.plots import reliability, risk_coverage
from benchmarks.accuracy.report import Goal, Report, Table, bounded, figure, share
from benchmarks.accuracy.scoring import (
    HIGHER_IS_BETTER,
    Compared,
    Estimated,
    Flags,
    Metric,
    Sorted,
    by_item,
    compare,
    estimate,
    resamplings,
    routing_metrics,
    time_metrics,
)
from benchmarks.accuracy.yardstick import Yardstick
from shared.quality.intervals import medians

BEST_RATIO = 1.15  # as near to the best possible as is wanted
LAST_TEN_GAIN = 0.25  # as much below the mean of the last ten orders as is wanted
HIGH_RIGHT, HIGH_SHARE = 0.95, 0.5


def compare_all(report: Report, answers: Answers, seed: int, yardstick: Yardstick | None = None) -> None:
    """Add every table and goal that these answers allow."""
    times = resamplings(len(answers.asked.codes), seed)
    if answers.proposals:
        _compare_routings(report, answers, times, yardstick)
    if answers.times:
        rows = common_rows(answers)
        if rows.any():
            _compare_times(report, answers, times, rows)
            if yardstick is not None:
                _compare_with_truth(report, answers, times, rows & yardstick.known, yardstick)
    report.data["seconds"] = {name: round(seconds, 2) for name, seconds in answers.seconds.items()}


def common_rows(answers: Answers) -> Flags:
    """Tell for which asked orders everybody said something."""
    return np.asarray(np.all([np.isfinite(times.value) for times in answers.times.values()], axis=0))


def _compare_routings(report: Report, answers: Answers, times: Floats, yardstick: Yardstick | None) -> None:
    judged = {name: routing_metrics(answers.asked, proposals) for name, proposals in answers.proposals.items()}
    found = add_comparison(report, "Routings of withheld items", judged, times)
    if yardstick is not None:
        best = routing_metrics(answers.asked, yardstick.best_routing)["signature top-1"]
        ratio = _ratio(best, judged[PRODUCT]["signature top-1"], times)
        report.goals.append(
            Goal(
                name="signature top-1, best possible over product", wanted=f"at most {BEST_RATIO}",
                measured=f"{bounded(ratio)}: {figure(best.value())} over {figure(found[0].product.value)}",
                met=ratio.value <= BEST_RATIO,
            )
        )  # fmt: skip
    _judge_confidence(report, answers, yardstick)


def add_comparison(
    report: Report, title: str, judged: Mapping[str, Mapping[str, Metric]], times: Floats, *, of_times: bool = False
) -> list[Compared]:
    """Add a table of metrics, and for each the goal that the product is not worse than the best opponent."""
    opponents = [name for name in judged if name != PRODUCT]
    found = [
        compare(metric, judged[PRODUCT][metric], {name: judged[name][metric] for name in opponents}, times)
        for metric in judged[PRODUCT]
        if metric in HIGHER_IS_BETTER and judged[PRODUCT][metric].n
    ]
    rows = [
        [
            each.metric, bounded(each.product), f"{each.product.n:,}",
            *(figure(each.opponents[name].value) for name in opponents), bounded(each.gain), each.verdict,
        ]
        for each in found
    ]  # fmt: skip
    report.tables.append(
        Table(
            title=title, columns=("metric", "product [95 %]", "n", *opponents, "better than the best by", "verdict"),
            rows=rows,
        )
    )  # fmt: skip
    report.data.setdefault("metrics", []).extend(found)
    worse = [each.metric for each in found if each.verdict == "worse"]
    report.goals.append(
        Goal(
            name=f"{title}: significantly worse than the best opponent", wanted="nowhere",
            measured=", ".join(worse) or "nowhere", met=not worse, of_times=of_times,
        )
    )  # fmt: skip
    return found


def _judge_confidence(report: Report, answers: Answers, yardstick: Yardstick | None) -> None:
    found = judge_confidence(answers.asked, answers.proposals[PRODUCT], answers.proposals[NEAREST])
    report.data["confidence"] = found
    report.plots["risk-coverage.svg"] = risk_coverage(found.curve, HIGH_RIGHT, HIGH_SHARE)
    report.plots["reliability.svg"] = reliability(found.bins)
    table = _confidence_table(found)
    if yardstick is not None:
        table = replace(table, rows=[*table.rows, *_known_of_high(answers, yardstick)])
    report.tables.append(table)
    rows = [(figure(b.stated), share(b.right)) for b in found.bins]
    report.tables.append(
        Table(
            title="Stated probability and how often right", columns=("stated", "right [95 %]"), rows=rows,
            notes=(f"mean distance {figure(found.calibration_error)}, log loss {figure(found.log_loss)}",),
        )
    )  # fmt: skip
    report.goals.append(
        Goal(
            name="graded high: right, at a share of items", wanted=f"at least {HIGH_RIGHT} at {HIGH_SHARE} or more",
            measured=f"{share(found.high_right)} at {figure(found.high.value)}",
            met=found.high_right.value >= HIGH_RIGHT and found.high.value >= HIGH_SHARE,
        )
    )  # fmt: skip


def _known_of_high(answers: Answers, yardstick: Yardstick) -> list[tuple[str, str]]:
    """Return how far any answer could be right where the product grades high: exceptions follow no attribute."""
    high = [
        (proposal.signatures[:1], best.signatures[:1], truth)
        for proposal, best, truth in zip(
            answers.proposals[PRODUCT], yardstick.best_routing, answers.asked.signatures, strict=True
        )
        if proposal.high
    ]
    possible = Share(hits=sum(best == (truth,) for _, best, truth in high), n=len(high))
    agreed = Share(hits=sum(said == best for said, best, _ in high), n=len(high))
    return [
        ("right where graded high, had the best possible been said", share(possible)),
        ("says the best possible where graded high", share(agreed)),
    ]


def _confidence_table(found: Confidence) -> Table:
    rows = [
        ("graded high, of all", share(found.high)),
        ("right where graded high", share(found.high_right)),
        ("largest share of items, most probable first, of which 95 % are right", figure(found.most_at_95)),
        ("abstained, of all", share(found.abstained)),
        ("right there, had the nearest item been copied", share(found.abstained_copy_right)),
    ]
    for part in (0.25, 0.5, 0.75, 1.0):
        best = min(found.curve, key=lambda point: abs(point[0] - part))
        rows.append((f"right among the most probable {part:.0%}", figure(best[1])))
    return Table(title="Confidence: risk and coverage", columns=("what", "share [95 %]"), rows=rows)


def _compare_times(report: Report, answers: Answers, times: Floats, rows: Flags) -> None:
    judged = {name: time_metrics(answers.asked, found, rows) for name, found in answers.times.items()}
    found = add_comparison(report, "Minutes of withheld items' booked orders", judged, times, of_times=True)
    silent = 1 - np.isfinite(answers.times[PRODUCT].value).mean()
    coverage = [f"{name} {bounded(estimate(m['interval coverage'], times))}" for name, m in judged.items()]
    table = report.tables.pop()
    notes = (
        f"inside the 80 % interval: {'; '.join(coverage)}",
        f"{figure(float(silent))} of the booked operations were in none of the product's candidates and are left out",
    )
    report.tables.append(Table(title=table.title, columns=table.columns, rows=table.rows, notes=notes))
    report.data["interval_coverage"] = {n: estimate(m["interval coverage"], times) for n, m in judged.items()}
    score = next(each for each in found if each.metric == "interval score")
    report.goals.append(
        Goal(
            name="interval score below the best opponent's", wanted="ahead", measured=score.verdict,
            met=score.gain.low > 0, of_times=True,
        )
    )  # fmt: skip
    _judge_families(report, judge_families(answers.asked, answers.times[PRODUCT], rows))
    bands = judge_quantities(answers.asked, answers.times[PRODUCT], rows)
    report.data["quantity_bands"] = bands
    report.tables.append(
        Table(
            title="Minutes by quantity", columns=("pieces", "items", "middle of booked / predicted", "inside [95 %]"),
            rows=[(b.name, f"{b.items:,}", figure(b.middle_ratio), share(b.inside)) for b in bands],
            notes=("the interval takes orders as independent",),
        )
    )  # fmt: skip


def _judge_families(report: Report, found: Coverage) -> None:
    report.data["families"] = found
    outside = [each.family for each in found.families if not each.within]
    rows = [
        (
            each.family, f"{each.inside.n:,}", f"{each.items:,}", f"{each.effective:,.0f}", figure(each.inside.value),
            f"{figure(each.low)} to {figure(each.high)}", "yes" if each.within else "NO",
        )
        for each in found.families
    ]  # fmt: skip
    worth = (
        f"two orders of one item are inside together with correlation {figure(found.correlation)}; "
        "`worth` is the number of independent orders that the booked ones are worth"
    )
    report.tables.append(
        Table(
            title=f"Inside the 80 % interval, by family of {LEAST_OF_A_FAMILY} booked operations or more",
            columns=("family", "booked", "items", "worth", "inside", "band", "within"), rows=rows,
            notes=(
                worth,
                f"with every order taken as independent, {found.naive_outside} of {len(found.families)} are outside",
            ),
        )
    )  # fmt: skip
    report.goals.append(
        Goal(
            name="families outside the simultaneous band", wanted="none",
            measured=", ".join(outside) or f"none of {len(found.families)}",
            met=not outside if found.families else None, of_times=True,
        )
    )  # fmt: skip


def _compare_with_truth(report: Report, answers: Answers, times: Floats, rows: Flags, yardstick: Yardstick) -> None:
    """Compare with the true mean minutes, which an order's luck is not in."""
    said = {**answers.times, "best possible": yardstick.times()}
    item, count = answers.asked.order_item[rows], len(answers.asked.codes)
    error = {name: np.abs(found.value - yardstick.true_minutes)[rows] for name, found in said.items()}
    middle = {name: Sorted(values=each, item=item, statistic=medians) for name, each in error.items()}
    mean = {name: by_item(each, item=item, count=count) for name, each in error.items()}
    table = []
    for name, metrics in (("median", middle), ("mean", mean)):
        table.append([f"{name} |minutes - true|", *(bounded(estimate(metrics[who], times), 2) for who in said)])
        product: Metric = metrics[PRODUCT]
        below = _ratio(product, metrics[LAST_TEN], times)
        ratio = _ratio(product, metrics["best possible"], times)
        report.goals.append(
            Goal(
                name=f"{name} time error over the last-10 mean's", wanted=f"at most {1 - LAST_TEN_GAIN}",
                measured=bounded(below), met=below.value <= 1 - LAST_TEN_GAIN,
            )
        )  # fmt: skip
        report.goals.append(
            Goal(
                name=f"{name} time error over the best possible's", wanted=f"at most {BEST_RATIO}",
                measured=bounded(ratio), met=ratio.value <= BEST_RATIO,
            )
        )  # fmt: skip
    report.data["true_minutes"] = {
        name: {"median": estimate(middle[name], times), "mean": estimate(mean[name], times)} for name in said
    }
    report.tables.append(
        Table(
            title=f"Minutes against the true ones ({int(rows.sum()):,} booked operations)",
            columns=("error", *said), rows=table,
        )
    )  # fmt: skip


def _ratio(top: Metric, bottom: Metric, times: Floats) -> Estimated:
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = top.draws(times) / bottom.draws(times)
    low, high = np.quantile(draws[np.isfinite(draws)], (0.025, 0.975))
    value = top.value() / bottom.value() if bottom.value() else float("nan")
    return Estimated(value=value, n=top.n, low=float(low), high=float(high))
