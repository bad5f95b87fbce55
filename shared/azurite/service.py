"""The life of one Azurite: the local storage service in which the functions' queues and blobs live."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shared.azurite.account import LOOPBACK, StorageAccount, reachable_host
from shared.platform import end_process_tree, start_child

PROJECT_DIR = Path(__file__).resolve().parents[2]
AZURITE_SCRIPT = PROJECT_DIR / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
READY_SECONDS = 60.0  # on a busy machine; one that ended is noticed at once


class AzuriteFailed(Exception):
    """Azurite cannot be started, or did not answer in time; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Azurite:
    """A running Azurite; it ends with the process that started it."""

    process: subprocess.Popen[bytes]
    account: StorageAccount
    ports: tuple[int, int, int]
    host: str = LOOPBACK  # by which this machine reaches it

    @property
    def connection_string(self) -> str:
        """The connection string for SDK clients and for AzureWebJobsStorage."""
        return self.account.connection_string(self.ports, self.host)

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
    location: Path,
    account: StorageAccount,
    ports: Sequence[int],
    *,
    bind_address: str = LOOPBACK,
    log: IO[bytes] | None = None,
) -> Azurite:
    """Start Azurite with its data in `location` and return at once; see `wait_until_ready`.

    It knows no other account than `account`, whose keys go to it in its environment: a command line can be read by
    every user of the machine. It listens on loopback unless another IP address is given.

    Raises:
        AzuriteFailed: something it needs is missing, or `bind_address` is no IP address.
    """
    missing = missing_for_azurite()
    if missing is not None:
        raise AzuriteFailed(f"Azurite cannot start: {missing}.")
    try:
        host = reachable_host(bind_address)
    except ValueError as error:
        raise AzuriteFailed(f"Storage cannot listen on {bind_address!r}: it is no IP address.") from error
    location.mkdir(parents=True, exist_ok=True)
    blob, queue, table = ports
    # The account is the first part of a path, under whatever name a client reaches this machine.
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--disableProductStyleUrl"]
    for kind, port in (("blob", blob), ("queue", queue), ("table", table)):
        options += [f"--{kind}Host", bind_address, f"--{kind}Port", str(port)]
    process = start_child(
        ["node", AZURITE_SCRIPT, "--location", str(location), *options],
        env={**os.environ, "AZURITE_ACCOUNTS": account.for_azurite},
        cwd=location,
        stdin=subprocess.DEVNULL,
        stdout=log if log is not None else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if log is not None else subprocess.DEVNULL,
    )
    return Azurite(process=process, account=account, ports=(blob, queue, table), host=host)


def wait_until_ready(azurite: Azurite, *, seconds: float = READY_SECONDS) -> None:
    """Return when all three ports answer. Raises AzuriteFailed, with Azurite ended, when they do not in time."""
    deadline = time.monotonic() + seconds
    waiting = list(azurite.ports)
    while waiting:
        if _answers(azurite.host, waiting[0]):
            waiting.pop(0)
            continue
        if azurite.process.poll() is not None:
            raise AzuriteFailed(f"Azurite ended at its start with exit code {azurite.process.returncode}.")
        if time.monotonic() >= deadline:
            azurite.stop(grace_seconds=0)
            raise AzuriteFailed(f"Azurite did not answer on port {waiting[0]} within {seconds:g} seconds.")
        time.sleep(0.05)


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), port), timeout=1):
        return True
    return False
