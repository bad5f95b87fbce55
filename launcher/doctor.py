"""`manage.py doctor`: what this machine has and lacks, and what to do about it; changes nothing."""

import argparse
import ctypes.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from launcher import checks, hosts, installation
from launcher.options import take_data_dir, wanted_ports
from launcher.places import DEFAULT_PORT, DEFAULT_STORAGE_PORT, PROJECT_DIR, VENV_DIR, Place
from launcher.problems import SetupProblem
from shared.azurite.service import AZURITE_SCRIPT
from shared.erp.odbc import drivers as odbc_drivers
from shared.erp.odbc.drivers import DriverKind
from shared.platform import noted_process

ENOUGH_DISK_GIB = 3.0
SIGNS = {"ok": "✓", "optional": "·", "missing": "✗"}


class State(StrEnum):
    """How a part is: there, not there and not needed, or not there and needed."""

    OK = "ok"
    OPTIONAL = "optional"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part of the machine: how it is, and what to do where it is not as it should be."""

    part: str
    state: State
    detail: str
    remedy: str = ""


def run_doctor(arguments: Sequence[str]) -> int:
    """Print what was found, for people or as JSON; return 0 when nothing needed is missing."""
    words, data_dir = take_data_dir(arguments)
    parser = argparse.ArgumentParser(
        prog="manage.py doctor", description=__doc__, epilog="example: python3 manage.py doctor --json"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port that the HTTP API would use")
    parser.add_argument("--storage-port", type=int, default=DEFAULT_STORAGE_PORT, help="first port of storage")
    options = parser.parse_args(words)
    findings = examine(Place.chosen(data_dir), port=options.port, storage_port=options.storage_port)
    healthy = all(finding.state is not State.MISSING for finding in findings)
    if options.json:
        document = {"healthy": healthy, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        for finding in findings:
            _print(finding)
    return 0 if healthy else 1


def _print(finding: Finding) -> None:
    sys.stdout.write(f"{SIGNS[finding.state]} {finding.part}: {finding.detail}\n")
    if finding.remedy:
        sys.stdout.write(f"    {finding.remedy}\n")


def examine(place: Place, *, port: int, storage_port: int) -> list[Finding]:
    """Look at every part that an instance in `place` needs or would use."""
    looks: list[Callable[[], Finding]] = [
        _python,
        _ensurepip,
        _virtual_environment,
        _node,
        _azurite,
        _hnswlib,
        _core_tools,
        _unix_odbc,
        lambda: _folder("project folder", PROJECT_DIR),
        lambda: _folder("data directory", place.data_dir),
        lambda: _disk(place),
        lambda: _ports(place, port, storage_port),
    ]
    looks[8:8] = [partial(_odbc_driver, kind) for kind in odbc_drivers.KINDS]
    connection = os.environ.get("ROUTING_ERP_CONNECTION", "").strip()
    if connection:
        looks.append(lambda: _erp_connection(connection))
    return [look() for look in looks]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(part="Python", state=State.OK, detail=f"{version} ({sys.executable})")


def _ensurepip() -> Finding:
    try:
        checks.check_can_make_venv()
    except SetupProblem as problem:
        state = State.OPTIONAL if checks.venv_is_usable() else State.MISSING
        return Finding(part="venv", state=state, detail=problem.what, remedy=problem.remedy)
    return Finding(part="venv", state=State.OK, detail="this Python can make virtual environments")


def _virtual_environment() -> Finding:
    if checks.venv_is_usable():
        return Finding(part="virtual environment", state=State.OK, detail=str(VENV_DIR))
    return Finding(
        part="virtual environment",
        state=State.OPTIONAL,
        detail=f"{VENV_DIR} is not made yet",
        remedy="`python3 manage.py up` makes it; that once needs the network or a folder of wheels (PIP_FIND_LINKS).",
    )


def _node() -> Finding:
    try:
        version = checks.check_node()
    except SetupProblem as problem:
        return Finding(part="Node.js", state=State.MISSING, detail=problem.what, remedy=problem.remedy)
    npm = shutil.which("npm")
    if npm is None and not AZURITE_SCRIPT.is_file():
        return Finding(
            part="Node.js", state=State.MISSING, detail="npm is not on PATH", remedy="Debian/Ubuntu: `apt install npm`."
        )
    return Finding(part="Node.js", state=State.OK, detail=".".join(map(str, version)))


def _azurite() -> Finding:
    if AZURITE_SCRIPT.is_file():
        package = json.loads((AZURITE_SCRIPT.parents[2] / "package.json").read_bytes())
        return Finding(part="Azurite", state=State.OK, detail=str(package["version"]))
    return Finding(
        part="Azurite",
        state=State.OPTIONAL,
        detail="not installed yet",
        remedy="`python3 manage.py up` installs it by `npm ci`.",
    )


def _hnswlib() -> Finding:
    stamp = installation.read_stamp().get("hnswlib")
    if stamp and not stamp.get("problem"):
        return Finding(part="hnswlib", state=State.OK, detail="installed")
    missing = checks.missing_for_compiling()
    if stamp is None and missing is None:
        return Finding(part="hnswlib", state=State.OPTIONAL, detail="not installed yet; it can be compiled here")
    return Finding(
        part="hnswlib",
        state=State.OPTIONAL,
        detail=f"not installed: {missing or (stamp or {}).get('problem')}; exact search serves instead",
        remedy="Windows: install the Visual C++ Build Tools. Debian/Ubuntu: `apt install g++ python3-dev`. "
        "The next `manage.py up` then compiles it.",
    )


def _core_tools() -> Finding:
    missing = hosts.missing_for_core_tools()
    if missing is None:
        return Finding(part="Core Tools", state=State.OK, detail="func and its extension bundle are here")
    return Finding(
        part="Core Tools",
        state=State.OPTIONAL,
        detail=f"{missing}; the embedded host serves instead",
        remedy="`npm install --global azure-functions-core-tools@4`, then `func bundles download`.",
    )


def _unix_odbc() -> Finding:
    if _has_driver_manager():
        return Finding(part="ODBC", state=State.OK, detail="the driver manager is here")
    return Finding(
        part="ODBC",
        state=State.OPTIONAL,
        detail="unixODBC is missing; only profiles that read a database by ODBC need it",
        remedy="Debian/Ubuntu: `apt install unixodbc`, and the driver of your database.",
    )


def _has_driver_manager() -> bool:
    return checks.IS_WINDOWS or ctypes.util.find_library("odbc") is not None


def _odbc_driver(kind: DriverKind) -> Finding:
    part = f"ODBC driver for {kind.system}"
    found = [name for name in odbc_drivers.installed_drivers() if odbc_drivers.kind_of(name) == kind]
    if found:
        return Finding(part=part, state=State.OK, detail=", ".join(found))
    return Finding(
        part=part, state=State.OPTIONAL, detail=f"none; only an ERP in {kind.system} needs one", remedy=kind.remedy
    )


def _erp_connection(connection: str) -> Finding:
    """Look whether the driver that the ERP's connection string names is here; the string itself is never shown."""
    part = "ERP connection"
    driver = odbc_drivers.driver_in(connection)
    if not _has_driver_manager():
        return Finding(
            part=part,
            state=State.MISSING,
            detail="ROUTING_ERP_CONNECTION needs unixODBC, which is missing",
            remedy="Debian/Ubuntu: `apt install unixodbc`, and the driver of your database.",
        )
    if not driver:
        return Finding(part=part, state=State.OK, detail="names no driver but a data source; it was not tried")
    installed = odbc_drivers.installed_drivers()
    if odbc_drivers.is_installed(driver, installed):
        return Finding(part=part, state=State.OK, detail=f"its driver is installed: {driver}")
    return Finding(
        part=part,
        state=State.MISSING,
        detail=f"ROUTING_ERP_CONNECTION names the ODBC driver {driver!r}, which is not installed",
        remedy=odbc_drivers.driver_remedy(driver, installed),
    )


def _folder(part: str, folder: Path) -> Finding:
    try:
        checks.check_writable(folder, "Files")
    except SetupProblem as problem:
        return Finding(part=part, state=State.MISSING, detail=problem.what, remedy=problem.remedy)
    return Finding(part=part, state=State.OK, detail=f"{folder} can be written")


def _disk(place: Place) -> Finding:
    existing = next(folder for folder in (place.data_dir, *place.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free >= ENOUGH_DISK_GIB:
        return Finding(part="disk space", state=State.OK, detail=f"{free:.0f} GiB free")
    return Finding(
        part="disk space",
        state=State.MISSING,
        detail=f"{free:.1f} GiB free on {existing}",
        remedy=f"Free {ENOUGH_DISK_GIB:.0f} GiB, or keep the data elsewhere with --data-dir.",
    )


def _ports(place: Place, port: int, storage_port: int) -> Finding:
    note = noted_process(place.instance_note)
    if note is not None:
        return Finding(part="ports", state=State.OK, detail=f"in use by this instance at {note['address']}")
    try:
        checks.check_ports_free(wanted_ports(port, storage_port))
    except SetupProblem as problem:
        return Finding(part="ports", state=State.MISSING, detail=problem.what, remedy=problem.remedy)
    return Finding(part="ports", state=State.OK, detail=f"{port} and {storage_port} to {storage_port + 2} are free")
