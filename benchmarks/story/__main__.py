"""Break the demo factory on purpose and watch the loop: it notices, retrains, the new model wins, the error falls.

    python -m benchmarks.story                              new machines, then a new family, then another unit
    python -m benchmarks.story machines --items 2000        one of them
    python -m benchmarks.story --quick                      600 items
    python -m benchmarks.story --output FOLDER              story.json and a chart each

A day is a cycle: the factory finishes orders, the ERP is read, the quality cycle judges the active model by orders it
has not seen; an alarm enqueues a challenger job, which a child process computes; the winner is registered and, since
the story's configuration allows it, activated. Another unit is no reason to learn: the loop refuses jobs until a person
has stated the unit in the profile. Exit code 1 when an alarm came before the change; when after new machines or a new
family no new model won or it was not better on the same orders; when another unit was not suspected, something was
retrained meanwhile, or the alert did not close.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from benchmarks.story.acting import Day, Script, Story
from benchmarks.story.drawing import chart
from benchmarks.story.same_orders import SameOrders, on_same_orders
from benchmarks.story.telling import done, noticed, overview, phases, summary, table
from shared.erp.demo.later import OTHER_UNIT
from shared.quality.unit_alerts import UNIT_SUSPECTED

KINDS = ("machines", "family", "units")
QUICK_ITEMS = 600


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.story", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="default: all")
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--orders-a-day", type=float, default=300.0)
    parser.add_argument("--steady-days", type=int, default=10)
    parser.add_argument("--most-broken-days", type=int, default=30, help="to wait for an alarm")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS} items")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def act(script: Script, folder: Path) -> tuple[list[Day], SameOrders | None]:
    """Act a script in `folder`; return its days, and both models on the same orders where a new one came."""
    story = Story(folder, script, _tell)
    days = []
    try:
        for day in story.act():
            days.append(day)
            _tell(f"{day.day}: {'; '.join([*noticed(day), *done(day)]) or 'nothing'}")
        changed = next((day for day in days if day.activated is not None), None)
        if changed is None or changed.activated is None:
            return days, None
        return days, on_same_orders(story.services, changed.version, changed.activated)
    finally:
        story.close()


def fails(kind: str, found: dict[str, Any]) -> bool:
    """Return whether a story did not end as it should."""
    if found["false_alarms"]:
        return True
    if kind == "units":
        at_rest = found["alerts_closed"] == [UNIT_SUSPECTED] and found["quiet_after"]
        return not (found["person"] and at_rest)
    same = found["same_orders"]
    if found["activated"] is None or same is None:
        return True
    minutes, match = same["trim_mae_change"]["high"], same["process_match_change"]["low"]
    return (minutes is None or minutes >= 0) and (match is None or match <= 0)


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
            most_broken_days=asked.most_broken_days,
            seed=asked.seed,
        )
        with TemporaryDirectory() as scratch:
            days, same = act(script, Path(scratch))
        found = summary(days, same)
        of_interest = [OTHER_UNIT] if kind == "units" else []
        print(f"\n{kind}: {script.items} items, {script.orders_a_day:g} orders a day\n{table(days)}\n")
        print(phases(days, of_interest, same) + "\n", flush=True)
        told[kind] = found
        failed |= fails(kind, found)
        if asked.output is not None:
            asked.output.mkdir(parents=True, exist_ok=True)
            (asked.output / f"story-{kind}.svg").write_text(chart(days, kind), encoding="utf-8")
            (asked.output / "story.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    if len(told) > 1:
        print(overview(told))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
