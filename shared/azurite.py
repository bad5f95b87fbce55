"""The life of one Azurite: the local storage service in which the functions' queues and blobs live."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from shared.platform import end_process_tree, start_child, write_secret

PROJECT_DIR = Path(__file__).resolve().parent.parent
AZURITE_SCRIPT = PROJECT_DIR / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
LOOPBACK = "127.0.0.1"
INDEX_FILES = "__azurite_db_*__.json"
READY_SECONDS = 15.0


class AzuriteFailed(Exception):
    """Azurite cannot be started, or did not answer in time; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class StorageAccount:
    """Name and key of a storage account of this installation's own; never the emulator's well-known one."""

    name: str
    key: str

    @classmethod
    def random(cls) -> "StorageAccount":
        """Make a new account that nobody else knows."""
        return cls(name=f"routing{secrets.token_hex(4)}", key=base64.b64encode(secrets.token_bytes(64)).decode())

    @classmethod
    def kept_in(cls, path: Path) -> "StorageAccount":
        """Return the account kept in the file, made there (0600) the first time. ValueError when it is damaged."""
        if not path.exists():
            account = cls.random()
            write_secret(path, json.dumps({"account": account.name, "key": account.key}).encode() + b"\n")
        try:
            kept = json.loads(path.read_bytes())
            return cls(name=str(kept["account"]), key=str(kept["key"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} does not hold a storage account.") from error

    def connection_string(self, ports: Sequence[int]) -> str:
        """Return what any Azure SDK client needs to reach blobs, queues and tables on these three ports."""
        endpoints = zip(("Blob", "Queue", "Table"), ports, strict=True)
        parts = [f"{kind}Endpoint=http://{LOOPBACK}:{port}/{self.name}" for kind, port in endpoints]
        return ";".join(["DefaultEndpointsProtocol=http", f"AccountName={self.name}", f"AccountKey={self.key}", *parts])


@dataclass(frozen=True, kw_only=True)
class Azurite:
    """A running Azurite; it ends with the process that started it."""

    process: subprocess.Popen[bytes]
    account: StorageAccount
    ports: tuple[int, int, int]

    @property
    def connection_string(self) -> str:
        """The connection string for SDK clients and for AzureWebJobsStorage."""
        return self.account.connection_string(self.ports)

    @property
    def blob_port(self) -> int:
        """The port of blob storage."""
        return self.ports[0]

    @property
    def queue_port(self) -> int:
        """The port of queue storage."""
        return self.ports[1]

    def stop(self, *, grace_seconds: float = 5.0) -> None:
        """End Azurite, letting it write down what it holds in memory first."""
        end_process_tree(self.process, grace_seconds=grace_seconds)


def missing_for_azurite() -> str | None:
    """Return what Azurite lacks to run on this machine, None when it can be started."""
    if shutil.which("node") is None:
        return "Node.js is not on PATH"
    if not AZURITE_SCRIPT.is_file():
        return "node_modules holds no Azurite (npm ci installs it)"
    return None


def start_azurite(
    location: Path, account: StorageAccount, ports: Sequence[int], *, log: IO[bytes] | None = None
) -> Azurite:
    """Start Azurite on loopback with its data in `location` and return at once; see `wait_until_ready`."""
    missing = missing_for_azurite()
    if missing is not None:
        raise AzuriteFailed(f"Azurite cannot start: {missing}.")
    location.mkdir(parents=True, exist_ok=True)
    blob, queue, table = ports
    options = ["--location", str(location), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for kind, port in (("blob", blob), ("queue", queue), ("table", table)):
        options += [f"--{kind}Host", LOOPBACK, f"--{kind}Port", str(port)]
    process = start_child(
        ["node", AZURITE_SCRIPT, *options],
        env={**os.environ, "AZURITE_ACCOUNTS": f"{account.name}:{account.key}"},
        cwd=location,
        stdin=subprocess.DEVNULL,
        stdout=log if log is not None else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if log is not None else subprocess.DEVNULL,
    )
    return Azurite(process=process, account=account, ports=(blob, queue, table))


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


def _is_torn(index: Path) -> bool:
    content = index.read_bytes()
    try:
        return bool(content) and not isinstance(json.loads(content), dict)  # an empty one is taken for a new one
    except ValueError:
        return True


def wait_until_ready(azurite: Azurite, *, seconds: float = READY_SECONDS) -> None:
    """Return when all three ports answer. Raises AzuriteFailed, with Azurite ended, when they do not in time."""
    deadline = time.monotonic() + seconds
    waiting = list(azurite.ports)
    while waiting:
        if _answers(waiting[0]):
            waiting.pop(0)
            continue
        if azurite.process.poll() is not None:
            raise AzuriteFailed(f"Azurite ended at its start with exit code {azurite.process.returncode}.")
        if time.monotonic() >= deadline:
            azurite.stop(grace_seconds=0)
            raise AzuriteFailed(f"Azurite did not answer on port {waiting[0]} within {seconds:g} seconds.")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
