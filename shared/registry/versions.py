"""Which names a model version may have, and how a new one is made.

A version's name is a folder on Windows and on Linux, a part of a blob's path and a part of a URL, so the rule is the
narrowest of them all. A blob trigger's `{version}` also matches `/`; every name is therefore checked again here.
"""

import re
from collections.abc import Collection

from shared.clock import Clock
from shared.errors import InvalidInput

MAX_LABEL_LENGTH = 64

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = frozenset({"active", "rollback"})  # they would shadow routes of the HTTP API
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"com{digit}" for digit in range(10)}
    | {f"lpt{digit}" for digit in range(10)}
)


def is_device_name(segment: str) -> bool:
    """Tell whether Windows would open a device instead of a file of this name, with or without an extension."""
    return segment.split(".", 1)[0].strip().lower() in _DEVICES


def why_not_a_version_name(name: str) -> str | None:
    """Return what is wrong with `name` as a version's name, or None when it is a good one."""
    if not _NAME.fullmatch(name):
        return "it must match [a-z0-9][a-z0-9._-]{0,63}"
    if name in _RESERVED:
        return "the word is reserved by the HTTP API"
    if is_device_name(name):
        return "Windows keeps the name for a device"
    if name.endswith("."):
        return "a folder's name cannot end with a full stop on Windows"
    return None


def check_version_name(name: str) -> str:
    """Return `name` when a version may be called so; otherwise raise InvalidInput saying which rule it breaks."""
    if problem := why_not_a_version_name(name):
        raise InvalidInput(
            f"{name!r:.100} cannot be the name of a model version: {problem}.",
            remedy="Use lower-case letters, digits, '.', '_' and '-', for example version_20260131_081500.",
            errors=[{"field": "version", "message": problem}],
        )
    return name


def new_version_name(clock: Clock, taken: Collection[str], *, label: str | None = None) -> str:
    """Return a free name: the label, else `version_YYYYMMDD_HHMMSS`, with `_2`, `_3`, ... when it is taken.

    `taken` are the names in use; names that differ only in case count as the same.
    """
    base = check_version_name(label) if label else f"version_{clock():%Y%m%d_%H%M%S}"
    used = {name.lower() for name in taken}
    if base not in used:
        return base
    number = 2
    while (name := f"{base[: MAX_LABEL_LENGTH - len(str(number)) - 1]}_{number}") in used:
        number += 1
    return name
