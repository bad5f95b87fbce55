"""The environment that every process of an instance is started with."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from launcher.places import DEFAULT_DATA_DIR, DEFAULT_STORAGE_PORT, PROJECT_DIR, Place
from shared.azurite import StorageAccount

# One thread each: a prediction is too small to share out, and training must leave the other core to serving.
THREAD_LIMITS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# For functions: one that waits for the database holds a thread, and the next shall find another.
FUNCTION_THREADS = {"PYTHON_THREADPOOL_THREAD_COUNT": "32"}


def instance_environment(
    data_dir: Path, *, storage_ports: Sequence[int] | None = None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a process that belongs to the instance in `data_dir`.

    The connection string is that of the instance's own storage. With `storage_ports` it always is; without, it names
    the ports of the last start, and a connection string that the caller's environment sets already wins.
    """
    place = Place(data_dir=data_dir)
    environment = dict(os.environ if base is None else base)
    environment["ROUTING_DATA_DIR"] = str(data_dir)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT_DIR), environment.get("PYTHONPATH"))))
    environment.setdefault("PYTHONUTF8", "1")
    environment.setdefault("AzureFunctionsWebHost__hostid", host_id(data_dir))
    _anchor_paths(environment)
    for name, value in (THREAD_LIMITS | FUNCTION_THREADS).items():
        environment.setdefault(name, value)
    if place.storage_account.exists() and (storage_ports or not environment.get("AzureWebJobsStorage")):
        account = StorageAccount.kept_in(place.storage_account)
        ports = storage_ports or recorded_storage_ports(place)
        environment["AzureWebJobsStorage"] = account.connection_string(ports)
    return environment


def _anchor_paths(environment: dict[str, str]) -> None:
    """Make the ERP's paths absolute: a person writes them from where they stand, and the host runs elsewhere."""
    profile, source = environment.get("ROUTING_PROFILE", ""), environment.get("ROUTING_SOURCE", "")
    if profile.endswith((".yaml", ".yml")):  # else it is the name of a shipped one
        environment["ROUTING_PROFILE"] = str(Path(profile).absolute())
    if source:
        environment["ROUTING_SOURCE"] = str(Path(source).absolute())


def host_id(data_dir: Path) -> str:
    """Return the Functions host id: the same at every start of a data directory, another for another one."""
    if data_dir == DEFAULT_DATA_DIR:
        return "routing-ml"
    return f"routing-ml-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]}"


def recorded_storage_ports(place: Place) -> tuple[int, int, int]:
    """Return the storage ports of the running or last instance, the default ones before the first."""
    try:
        first, second, third = json.loads(place.instance_note.read_bytes())["storage_ports"]
        return int(first), int(second), int(third)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return DEFAULT_STORAGE_PORT, DEFAULT_STORAGE_PORT + 1, DEFAULT_STORAGE_PORT + 2
