"""Kills its own process at a named point of the product, in whichever process comes there first; sets its clock.

Python imports this module at its start where `PYTHONPATH` names its folder. `CRASH_POINTS` is a JSON file of points:
{name: {"target": "module:Class.function", "when": "before|after", "table": "", "nth": 1}}. A point is armed while a
file of its name lies in the folder `CRASH_FOLDER`; the process that removes the file dies at once, so a point kills
one process. A file `clock` there holds the seconds by which the product's clock differs from the machine's. The
product itself knows nothing of this.
"""

import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

Points = dict[str, dict[str, Any]]
SWEEP, CLOCK = "shared.operations.sweep", "shared.clock"


def _is_of(table: str, arguments: Sequence[Any]) -> bool:
    """Tell whether a call is about a work table: its class, a claim of it, or a row of it."""
    for argument in arguments:
        found = getattr(argument, "table", argument)
        if getattr(found, "__tablename__", None) == table:
            return True
    return False


def _die_if_armed(name: str, folder: Path) -> None:
    file = folder / name
    try:
        left = int(file.read_text() or 1)
        if left > 1:
            file.write_text(str(left - 1))
            return
        file.unlink()
    except (FileNotFoundError, ValueError):
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(function: Callable[..., Any], name: str, point: dict[str, Any], folder: Path) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **words: Any) -> Any:
        concerned = not point["table"] or _is_of(point["table"], (*arguments, *words.values()))
        if concerned and point["when"] == "before":
            _die_if_armed(name, folder)
        result = function(*arguments, **words)
        if concerned and point["when"] == "after":
            _die_if_armed(name, folder)
        return result

    return call


def _shifted(now: Callable[[], datetime], file: Path) -> Callable[[], datetime]:
    def shifted() -> datetime:
        try:
            return now() + timedelta(seconds=float(file.read_text()))
        except (FileNotFoundError, ValueError):
            return now()

    return shifted


class _Loader(importlib.abc.Loader):
    def __init__(self, real: Any, points: Points, folder: Path) -> None:
        self._real, self._points, self._folder = real, points, folder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._real.create_module(spec)
        return made

    def exec_module(self, module: Any) -> None:
        self._real.exec_module(module)
        for name, point in self._points.items():
            owner = module
            *path, last = point["target"].partition(":")[2].split(".")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, last, _deadly(getattr(owner, last), name, point, self._folder))
        if module.__name__ == SWEEP and os.environ.get("CRASH_RING_AFTER"):
            module.RING_AFTER_SECONDS = float(os.environ["CRASH_RING_AFTER"])
        if module.__name__ == CLOCK:
            module.utc_now = _shifted(module.utc_now, self._folder / "clock")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, points: Points, folder: Path) -> None:
        self._folder = folder
        self._points: dict[str, Points] = {SWEEP: {}, CLOCK: {}}
        for name, point in points.items():
            self._points.setdefault(point["target"].partition(":")[0], {})[name] = point

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._points:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, self._points[fullname], self._folder)
                return spec
        return None


if os.environ.get("CRASH_POINTS"):
    sys.meta_path.insert(
        0, _Finder(json.loads(Path(os.environ["CRASH_POINTS"]).read_text()), Path(os.environ["CRASH_FOLDER"]))
    )
