"""What Azurite keeps on disk, looked at before it starts: indexes that a power cut tore, and another account's data.

Azurite writes the account's name into every document of its indexes and shows an account only its own. The contents
of blobs and messages lie apart, under names of their own.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.platform import write_atomically

INDEX_FILES = "__azurite_db_*__.json"
_NAMES = ("accountName", "account")  # the second in the documents of tables


def set_damaged_aside(location: Path, *, now: datetime) -> Path | None:
    """Move storage's data out of the way when a power cut tore one of its indexes; return where it lies now.

    Azurite does not start on such data. Queues hold doorbells only, which are rung again for every row; what packages
    lay there have to be dropped again.
    """
    if not any(_is_torn(index) for index in sorted(location.glob(INDEX_FILES))):
        return None
    aside = location.with_name(f"{location.name}-damaged-{now:%Y%m%d-%H%M%S}")
    location.rename(aside)
    return aside


def carry_over(location: Path, account: str) -> str | None:
    """Give the data of another account to `account`, where it has none of its own; return the other's name.

    So nothing is lost when an installation that ran with the well-known account, or whose key file was lost, gets an
    account of its own. Data of two other accounts is left alone: blobs of both may have the same name. Killed in
    between, it goes on at the next start. Azurite must not run, and its indexes must be whole.
    """
    indexes = {path: json.loads(path.read_bytes() or b"{}") for path in sorted(location.glob(INDEX_FILES))}
    owners = {owner for index in indexes.values() for owner in _owners(index)}
    others = owners - {account}
    if len(others) != 1:
        return None
    (other,) = others
    changed = False
    for path, index in indexes.items():
        own = set(_owners(index))
        if other in own and account not in own:
            _rename(index, other, account)
            write_atomically(path, json.dumps(index, separators=(",", ":")).encode())
            changed = True
    return other if changed else None


def _documents(index: dict[str, Any]) -> list[dict[str, Any]]:
    return [document for collection in index.get("collections", []) for document in collection.get("data", [])]


def _owners(index: dict[str, Any]) -> list[str]:
    return [document[name] for document in _documents(index) for name in _NAMES if name in document]


def _rename(index: dict[str, Any], before: str, after: str) -> None:
    """All documents get the same value instead of the same other one, so the order that Loki keeps of them holds."""
    for document in _documents(index):
        for name in _NAMES:
            if document.get(name) == before:
                document[name] = after


def _is_torn(index: Path) -> bool:
    content = index.read_bytes()
    try:
        return bool(content) and not isinstance(json.loads(content), dict)  # an empty one is taken for a new one
    except ValueError:
        return True
