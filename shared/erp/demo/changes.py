"""Letting the demo factory go on after its export, and breaking it on purpose.

Three changes: new machines (`machines`), a product family never made before (`family`), and terminals that write
another unit without telling anybody (`units`). `docs/DEMO.md` says what each does. The same calls give the same bytes;
a call that was killed leaves files that the next call cuts back to what was complete.
"""

import io
import json
import re
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from shared.erp.demo.files import write_json
from shared.erp.demo.generate import ITEMS, RESULTS, ROUTINGS
from shared.erp.demo.later import MACHINES, NEW_MACHINE, OTHER_UNIT, UNIT_FACTOR, Changed, LaterDays
from shared.erp.demo.plan import STEPS
from shared.erp.demo.truth import load_truth
from shared.erp.demo.world import DAYS, FIRST_DAY, LAST_DAY
from shared.errors import InvalidInput, SourceError
from shared.platform import write_atomically

KINDS = ("none", "machines", "family", "units")
DOCUMENT = "later.json"
MOST_DAYS = 365
VIEWS = {"items": ITEMS, "routings": ROUTINGS, "results": RESULTS}


def change_demo(
    folder: Path, *, kind: str = "none", start: date | None = None, days: int = 1, orders_a_day: float = 40.0
) -> dict[str, Any]:
    """Let the demo factory in `folder` go on for some days; from `start` on, a change holds for good.

    Args:
        folder: what `generate_demo` wrote; its views grow, `truth/later.json` says how far they are.
        kind: what changes; "none" for days like those before.
        start: the first day of the change, none that is over; the first new day when not given.
        days: how many days are added.
        orders_a_day: orders finished a day, on average; the same at every call for a folder.

    Returns:
        The document that is also written as `truth/later.json`.

    Raises:
        InvalidInput: no such kind, a day that is over, or more days than the factory can go on.
        SourceError: the folder holds no generated factory, or one whose files are not what its truth says.
    """
    truth = load_truth(folder).document
    known = _document(folder, truth, orders_a_day)
    last = date.fromisoformat(known["last_day"])
    begin = start or last + timedelta(days=1)
    _check(kind, begin, last, days, orders_a_day, known)
    if kind != "none":
        known["changes"][kind] = begin.isoformat()
    later = LaterDays(truth["items"], truth["seed"], known["orders_a_day"], _changed(known["changes"]))
    first_day, last_day = (last - FIRST_DAY).days + 1, (last - FIRST_DAY).days + days
    added = list(later.days(first_day, last_day, index=known["reports"], order=known["orders"]))
    for part, view in VIEWS.items():
        frames = [getattr(day, part) for day in added if getattr(day, part).height]
        moved = part == "routings" and "machines" in known["changes"]
        known["bytes"][view] = _append(folder / f"{view}.csv", known["bytes"][view], frames, moved=moved)
    known |= {
        "last_day": (last + timedelta(days=days)).isoformat(),
        "reports": known["reports"] + sum(day.results.height for day in added),
        "orders": known["orders"] + sum(day.orders for day in added),
        "new_items": known["new_items"] + sum(_items(day.items) for day in added),
    }
    write_json(folder / "truth" / DOCUMENT, known)
    return known


def _items(rows: pl.DataFrame) -> int:
    return rows["ITEM_CD"].str.strip_chars().drop_nulls().n_unique() if rows.height else 0


def _document(folder: Path, truth: dict[str, Any], orders_a_day: float) -> dict[str, Any]:
    """Return how far the factory is: what an earlier call wrote, or the state of its export."""
    place = folder / "truth" / DOCUMENT
    if place.is_file():
        try:
            known: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SourceError(f"{place} cannot be read: {error}", remedy="Generate the factory anew.") from error
        return known
    results = truth["rows"][RESULTS]
    return {
        "last_day": LAST_DAY.isoformat(),
        "orders_a_day": orders_a_day,
        "reports": results,
        "orders": results,  # no order of the export has a higher number
        "new_items": 0,
        "changes": {},
        "what": {
            "machines": {code: {"run_times": run, "setup_times": setup} for code, (run, setup) in MACHINES.items()},
            "units": {OTHER_UNIT: UNIT_FACTOR},
        },
        "bytes": {view: truth["files"][f"{view}.csv"]["bytes"] for view in VIEWS.values()},
    }


def _check(kind: str, begin: date, last: date, days: int, orders_a_day: float, known: dict[str, Any]) -> None:
    wrong = None
    if kind not in KINDS:
        wrong = f"There is no change {kind!r}; there are {', '.join(KINDS)}."
    elif kind in known["changes"]:
        wrong = f"The change {kind} holds since {known['changes'][kind]}."
    elif not last < begin <= last + timedelta(days=days):
        wrong = (
            f"The change cannot begin on {begin}: the new days are {last + timedelta(days=1)} and the {days - 1} after."
        )
    elif not 1 <= days <= MOST_DAYS - ((last - FIRST_DAY).days - DAYS):
        wrong = f"The factory can go on for {MOST_DAYS} days after its export, not {days} more."
    elif orders_a_day != known["orders_a_day"]:
        wrong = f"This factory finishes {known['orders_a_day']:g} orders a day, as its first new days did."
    if wrong:
        raise InvalidInput(wrong, remedy="See docs/DEMO.md, Changes.")


def _changed(changes: dict[str, str]) -> Changed:
    return Changed(**{kind: (date.fromisoformat(since) - FIRST_DAY).days for kind, since in changes.items()})


def _append(path: Path, size: int, frames: Iterable[pl.DataFrame], *, moved: bool) -> int:
    """Put rows behind the first `size` bytes of a file, and return its new size; whole or not at all.

    With `moved` every routing names the new machines: as long a text, so that what was written keeps its size.
    """
    old = path.read_bytes()
    if len(old) < size:
        raise SourceError(f"{path} has {len(old)} bytes, and {size} were written.", remedy="Generate the factory anew.")
    text = io.BytesIO()
    text.write(old[:size])
    for frame in frames:
        frame.write_csv(text, include_header=False)
    whole = _on_new_machines(text.getvalue()) if moved else text.getvalue()
    write_atomically(path, whole)
    return len(whole)


def _on_new_machines(routings: bytes) -> bytes:
    """Return the routing view's rows with the replaced work centres under their new numbers."""
    for step in STEPS:
        if step.code in MACHINES:
            head = re.escape(f",{step.code},{step.name},{step.resource}-".encode())
            name = re.escape(f",{step.resource_name} ".encode())
            new = rb"\g<1>%s\g<2>%d" % (NEW_MACHINE.encode(), int(NEW_MACHINE))
            routings = re.sub(rb"(%s)\d\d(%s)\d" % (head, name), new, routings)
    return routings
