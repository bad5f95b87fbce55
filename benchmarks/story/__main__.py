"""Break the demo factory on purpose and watch the loop: it notices, retrains, the new model wins, the error falls.

    python -m benchmarks.story                              new machines, then a new family, then another unit
    python -m benchmarks.story machines --items 2000        one of them
    python -m benchmarks.story --quick                      600 items
    python -m benchmarks.story --output FOLDER              story.json and a chart each

A day is a cycle: the factory finishes orders, the ERP is read, the quality cycle judges the active model by orders it
has not seen; an alarm enqueues a challenger job, which a child process computes; the winner is registered and, since
the story's configuration allows it, activated. Exit code 1 when an alarm came before the change, or when after new
machines or a new family none came or no new model won.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from benchmarks.story.acting import Day, Script, Story
from benchmarks.story.telling import chart, summary, table

KINDS = ("machines", "family", "units")
HELPED = ("machines", "family")  # changes that a new model can learn
QUICK_ITEMS = 600


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.story", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="default: all")
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--orders-a-day", type=float, default=300.0)
    parser.add_argument("--steady-days", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS} items")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def act(script: Script, folder: Path) -> list[Day]:
    """Act a script in `folder` and return its days."""
    story = Story(folder, script, _tell)
    try:
        return list(story.act())
    finally:
        story.close()


def main() -> int:
    """Act, print, write."""
    asked = _arguments()
    logging.disable(logging.INFO)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    told, failed = {}, False
    for kind in asked.kinds or KINDS:
        script = Script(
            kind=kind,
            items=QUICK_ITEMS if asked.quick else asked.items,
            orders_a_day=asked.orders_a_day,
            steady_days=asked.steady_days,
            seed=asked.seed,
        )
        with TemporaryDirectory() as scratch:
            days = act(script, Path(scratch))
        found = summary(days)
        print(f"\n{kind}: {script.items} items, {script.orders_a_day:g} orders a day\n{table(days)}\n")
        print(json.dumps(found, indent=1), flush=True)
        told[kind] = found
        failed |= bool(found["false_alarms"]) or (kind in HELPED and found["activated"] is None)
        if asked.output is not None:
            asked.output.mkdir(parents=True, exist_ok=True)
            (asked.output / f"story-{kind}.svg").write_text(chart(days, kind), encoding="utf-8")
            (asked.output / "story.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
