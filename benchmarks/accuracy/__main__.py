"""Measure how accurate the product is, beside honest opponents on the same withheld items.

    python -m benchmarks.accuracy                       the demo factory (5,000 items) and the public data sets
    python -m benchmarks.accuracy --quick               a small run of the same, about two minutes
    python -m benchmarks.accuracy demo --repeats 3      three disjoint hold-outs of the demo factory
    python -m benchmarks.accuracy own --profile P --source FOLDER

Needs `pip install -r requirements-benchmarks.txt`. docs/ACCURACY.md says how to read the figures.
"""

import argparse
import logging
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from benchmarks.accuracy.moulding import moulding_study
from benchmarks.accuracy.report import Report, as_text, write
from benchmarks.accuracy.sources import demo_factory, folder_factory, is_there, public_folder
from benchmarks.accuracy.studies import Plan, alone_study, later_study, withheld_study
from shared.configuration import default_configuration

DATA_SETS = ("demo", "demo-later", "adventureworks", "injection_moulding")
PARTS = 5
SMALL_FACTORY_PARTS = 10
QUICK_ITEMS = 1_500
TOP_1, TOP_3 = 0.97, 0.99  # wanted of AdventureWorks


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_sets", nargs="*", choices=[*DATA_SETS, "own"], help="default: all but `own`")
    parser.add_argument("--items", type=int, default=5_000, help="of the demo factory")
    parser.add_argument("--factory", type=Path, help="a demo factory already generated, instead of a new one")
    parser.add_argument("--data", type=Path, default=public_folder(), help="the folder of the public data sets")
    parser.add_argument("--profile", help="of `own`: a profile's name or file")
    parser.add_argument("--source", type=Path, help="of `own`: the folder it reads")
    parser.add_argument("--parts", type=int, default=PARTS, help="into which the drawings are dealt")
    parser.add_argument("--repeats", type=int, default=1, help="of the parts, withheld one after the other")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="folder for accuracy.md, .txt, .json and the drawings")
    parser.add_argument("--without-boosting", action="store_true", help="leave LightGBM out, where it is not installed")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS:,} items of the demo factory, fewer parts")
    return parser.parse_args()


def _studies(asked: argparse.Namespace, plan: Plan) -> Iterator[Report]:
    wanted = asked.data_sets or DATA_SETS
    items = QUICK_ITEMS if asked.quick else asked.items
    if {"demo", "demo-later"} & set(wanted):
        with demo_factory(items, asked.seed, asked.factory) as source:
            if "demo" in wanted:
                yield withheld_study(source, plan)
            if "demo-later" in wanted:
                yield later_study(source, plan)
    parts = plan.parts if asked.quick else SMALL_FACTORY_PARTS
    small = replace(plan, parts=parts, repeats=parts)
    if _present("adventureworks", wanted, asked.data):
        with folder_factory("adventureworks", asked.data / "adventureworks") as source:
            yield alone_study(source, small, TOP_1, TOP_3)
            yield withheld_study(source, small)
    if _present("injection_moulding", wanted, asked.data):
        with folder_factory("injection_moulding", asked.data / "injection_moulding") as source:
            yield moulding_study(source, small)
            yield withheld_study(source, small)
    if "own" in wanted:
        with folder_factory(asked.profile, asked.source) as source:
            yield withheld_study(source, plan)
            yield later_study(source, plan)


def _present(name: str, wanted: Collection[str], data: Path) -> bool:
    if name not in wanted:
        return False
    if is_there(name, data):
        return True
    print(f"{name} is NOT measured: it does not lie in {data / name} (--data names the folder above)", file=sys.stderr)
    return False


def main() -> None:
    asked = _arguments()
    if "own" in asked.data_sets and not (asked.profile and asked.source):
        sys.exit("own needs --profile and --source")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s  {what}", file=sys.stderr, flush=True)

    plan = Plan(
        parts=asked.parts, repeats=min(asked.repeats, asked.parts), seed=asked.seed,
        configuration=default_configuration(), say=say, boosted=not asked.without_boosting,
    )  # fmt: skip
    reports = []
    for report in _studies(asked, plan):
        print(as_text(report), flush=True)
        reports.append(report)
        if asked.output:
            write(reports, asked.output)
    if not reports:
        sys.exit("nothing was measured")


if __name__ == "__main__":
    main()
