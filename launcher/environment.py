"""The environment that every process of an instance is started with."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from launcher.places import DEFAULT_DATA_DIR, DEFAULT_STORAGE_PORT, PROJECT_DIR, Place
from launcher.problems import SetupProblem
from shared.azurite.account import LOOPBACK, StorageAccount, names_well_known_account, reachable_host

# One thread each: a prediction is too small to share out, and training must leave the other core to serving.
THREAD_LIMITS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# For functions: one that waits for the database holds a thread, and the next shall find another.
FUNCTION_THREADS = {"PYTHON_THREADPOOL_THREAD_COUNT": "32"}
STORAGE = "AzureWebJobsStorage"
STORAGE_BIND_ADDRESS = "ROUTING_STORAGE_BIND_ADDRESS"


def instance_environment(data_dir: Path, *, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that belongs to the instance in `data_dir`, but for its storage."""
    environment = dict(os.environ if base is None else base)
    environment["ROUTING_DATA_DIR"] = str(data_dir)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT_DIR), environment.get("PYTHONPATH"))))
    environment.setdefault("PYTHONUTF8", "1")
    environment.setdefault("AzureFunctionsWebHost__hostid", host_id(data_dir))
    _anchor_paths(environment)
    for name, value in (THREAD_LIMITS | FUNCTION_THREADS).items():
        environment.setdefault(name, value)
    return environment


def storage_from_elsewhere(environment: Mapping[str, str]) -> bool:
    """Whether a storage account is set that is neither this instance's own nor the one that everybody knows."""
    connection = environment.get(STORAGE, "")
    return bool(connection) and not names_well_known_account(connection)


def with_recorded_storage(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment with the connection string of the instance's storage where it last listened.

    A storage account that is set already stays; before the first start there is none.
    """
    place = Place.chosen(environment["ROUTING_DATA_DIR"])
    if storage_from_elsewhere(environment) or not place.storage_account.exists():
        return environment
    try:
        account = StorageAccount.kept_in(place.storage_account)
        host = reachable_host(environment.get(STORAGE_BIND_ADDRESS) or LOOPBACK)
    except ValueError as error:
        raise SetupProblem(str(error), f"It is about {place.storage_account} or {STORAGE_BIND_ADDRESS}.") from error
    return environment | {STORAGE: account.connection_string(recorded_storage_ports(place), host)}


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
