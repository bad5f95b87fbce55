"""Access keys: one file in the state folder, readable by its owner only, made at the first start."""

import hmac
import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from funchost.errors import ConfigurationError

FILE_NAME = "host-keys.json"


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The master key, the keys of all functions, and the keys of single functions."""

    master: str
    host: Mapping[str, str]
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def is_master(self, key: str | None) -> bool:
        """Whether a key opens everything."""
        return is_one_of(key, (self.master.encode(),))

    def good_for(self, function: str, level: str) -> tuple[bytes, ...]:
        """Return the keys that open a function of this level (`function` or `admin`)."""
        good = [self.master]
        if level == "function":
            good += [*self.host.values(), *self.functions.get(function.lower(), {}).values()]
        return tuple(key.encode() for key in good)

    def as_document(self) -> dict[str, Any]:
        """Return the form that a worker receives."""
        return {
            "master": self.master,
            "host": dict(self.host),
            "functions": {name: dict(keys) for name, keys in self.functions.items()},
        }


def is_one_of(shown: str | None, keys: Iterable[bytes]) -> bool:
    """Whether a key that was shown is among the keys; takes as long whichever it is."""
    if shown is None:
        return False
    encoded, found = shown.encode(), False
    for key in keys:
        found |= hmac.compare_digest(encoded, key)
    return found


def load_keys(state_dir: Path, functions: Iterable[str], environment: Mapping[str, str]) -> Keys:
    """Read the key file, or make it, or the keys of new functions; `FUNCHOST_MASTER_KEY` overrides the master key.

    Raises:
        ConfigurationError: the file cannot be read or written, or is damaged.
    """
    path = state_dir / FILE_NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_new(path, {"masterKey": new_key(), "functionKeys": {"default": new_key()}, "functions": {}})
        document = _read(path)
        known = document["functions"]
        missing = [name.lower() for name in functions if name.lower() not in known]
        if missing:
            known.update({name: {"default": new_key()} for name in missing})
            _replace(path, document)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be used: {error}; give a folder that can be written with --state-dir"
        ) from error
    master = environment.get("FUNCHOST_MASTER_KEY") or document["masterKey"]
    return Keys(master=master, host=document["functionKeys"], functions=known)


def new_key() -> str:
    """Return a fresh random key of 256 bits."""
    return secrets.token_urlsafe(32)


def _read(path: Path) -> dict[str, Any]:
    for _ in range(20):  # another host may be writing its first version right now
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            time.sleep(0.05)
            continue
        if isinstance(document, dict) and isinstance(document.get("masterKey"), str):
            document.setdefault("functionKeys", {})
            document.setdefault("functions", {})
            return document
        break
    raise ConfigurationError(f"{path}: holds no keys; remove it to have new ones made")


def _write_new(path: Path, document: dict[str, Any]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)


def _replace(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    _write_new(temporary, document)
    temporary.replace(path)
