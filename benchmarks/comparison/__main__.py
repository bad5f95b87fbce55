"""How often is a new model promoted rightly, and how often by chance? Many comparisons of models of known truth.

    python -m benchmarks.comparison                    invented errors, and models fitted on the demo factory
    python -m benchmarks.comparison --quick            a small run on invented errors, about a minute
    python -m benchmarks.comparison --output FOLDER    comparison.json and comparison.svg besides

Every comparison takes other models and other items. Exit code 1 when a wanted share is not met on the demo factory or
on the errors invented like it; the third world, of learners that err in ways of their own, shows what is hard.
"""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog
from threadpoolctl import threadpool_limits

from benchmarks.comparison.demo_models import demo_universe
from benchmarks.comparison.invented import ALIKE, UNLIKE, Scatter, invent
from benchmarks.comparison.report import as_data, as_text, chart
from benchmarks.comparison.simulating import CASES, CONTENDERS, Case, Outcome, simulate
from benchmarks.comparison.universe import Universe

TRUE_CHANGES = (-0.15, -0.10, -0.075, -0.05, -0.025, 0.0, 0.025, 0.05, 0.075, 0.10)
UNIVERSES = 2
QUICK = 0.1  # of the comparisons


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--comparisons", type=int, default=1_000, help="of each judged case; others a third of it")
    parser.add_argument("--items", type=int, default=500, help="that a comparison stands on")
    parser.add_argument("--factory-items", type=int, default=8_000, help="of the demo factory")
    parser.add_argument("--deals", type=int, default=3, help="of the demo factory into halves: two models each")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _invented(scatter: Scatter, seed: int) -> list[Universe]:
    return [
        invent(np.random.default_rng([seed, number]), items=6_000, models=CONTENDERS + 2, scatter=scatter)
        for number in range(UNIVERSES)
    ]


def _comparisons(case: Case, judged: int) -> int:
    return judged if case.kind == "challenger" and case.worse_family == 1.0 else max(1, judged // 3)


def _study(title: str, universes: list[Universe], asked: argparse.Namespace, comparisons: int) -> list[Outcome]:
    outcomes = [
        simulate(case, universes, comparisons=_comparisons(case, comparisons), items=asked.items, seed=asked.seed)
        for case in CASES
    ]
    print(as_text(title, outcomes), flush=True)
    return outcomes


def _curves(universes: list[Universe], asked: argparse.Namespace, comparisons: int) -> str:
    sizes = (asked.items, asked.items // 2)
    curves = {}
    for kind in ("challenger", "refit"):
        case = next(case for case in CASES if case.kind == kind and case.change is not None)
        for items in sizes:
            curves[f"{kind}, {items} items"] = [
                (change, simulate(replace(case, change=change), universes, comparisons=comparisons // 5, items=items,
                                  seed=asked.seed).share)
                for change in TRUE_CHANGES
            ]  # fmt: skip
    return chart(curves)


def main() -> int:
    """Simulate, print, write; 1 when a wanted share was missed."""
    asked = _arguments()
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    comparisons = int(asked.comparisons * (QUICK if asked.quick else 1))
    with threadpool_limits(1, user_api="blas"):
        alike = _invented(ALIKE, asked.seed)
        judged = {"errors invented as in the demo factory": _study("invented, alike", alike, asked, comparisons)}
        hard = _study("invented, learners of another kind", _invented(UNLIKE, asked.seed), asked, comparisons)
        drawn = alike
        if not asked.quick:
            drawn = [
                demo_universe(items=asked.factory_items, seed=asked.seed, deals=asked.deals,
                              tell=lambda step: print(step, file=sys.stderr, flush=True))
            ]  # fmt: skip
            judged["the demo factory"] = _study("demo factory, models of disjoint halves", drawn, asked, comparisons)
        if asked.output is not None:
            asked.output.mkdir(parents=True, exist_ok=True)
            found = judged | {"learners of another kind": hard}
            document = {name: [as_data(outcome) for outcome in outcomes] for name, outcomes in found.items()}
            (asked.output / "comparison.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
            (asked.output / "comparison.svg").write_text(_curves(drawn, asked, comparisons), encoding="utf-8")
    missed = [outcome for outcomes in judged.values() for outcome in outcomes if outcome.met is False]
    for outcome in missed:
        print(f"missed: {outcome.case.name}: {outcome.share.value:.1%}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
