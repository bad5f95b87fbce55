"""What must be true of the machine before anything is made; each check says in one sentence what to do about it."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from launcher.places import PROJECT_DIR, VENV_DIR, Place, venv_python
from launcher.problems import SetupProblem
from shared.platform import end_process_tree, exclusive_lock, noted_process, port_is_taken

OLDEST_NODE = 20
TORN_AFTER_SECONDS = 60.0
IS_WINDOWS = sys.platform == "win32"
NODE_REMEDY = (
    "Install Node.js 20 or later from https://nodejs.org (Windows: `winget install OpenJS.NodeJS.LTS`; "
    "Debian/Ubuntu: `apt install nodejs npm`) and start again."
)


def check_writable(folder: Path, purpose: str) -> None:
    """Raise SetupProblem unless a file can be made in `folder`; folders that were missing do not stay behind."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-check-"):
            pass
    except OSError as error:
        raise SetupProblem(
            f"{purpose} cannot be written to {folder} ({error.strerror or error}).",
            "Give this user the right to write there, or name another folder with --data-dir."
            if folder != PROJECT_DIR
            else "Copy the project to a folder that this user may write to.",
        ) from error
    finally:
        for one in missing:
            with contextlib.suppress(OSError):
                one.rmdir()


def check_can_make_venv() -> None:
    """Raise SetupProblem when this Python was installed without what `venv` needs."""
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupProblem(
            "This Python cannot make virtual environments (its module ensurepip is missing).",
            f"Install it with `apt install python{version}-venv` (Debian/Ubuntu) or use the Python of python.org.",
        )


def node_version() -> tuple[int, ...] | None:
    """Return the version of the Node.js on PATH, None when there is none that answers."""
    node = shutil.which("node")
    if node is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else None


def check_node() -> tuple[int, ...]:
    """Return Node's version; raise SetupProblem when it is missing or too old for the local storage service."""
    version = node_version()
    if version is None:
        raise SetupProblem("Node.js was not found, and the local storage service needs it.", NODE_REMEDY)
    if version[0] < OLDEST_NODE:
        found = ".".join(map(str, version))
        raise SetupProblem(f"Node.js {found} is too old: {OLDEST_NODE} or later is needed.", NODE_REMEDY)
    return version


def missing_for_compiling() -> str | None:
    """Return what hnswlib, which has no wheels, would lack to be compiled here; None when nothing is known to."""
    if IS_WINDOWS:
        return None  # setuptools finds Visual C++ by itself; its absence shows when it tries
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return f"Python.h is missing (Debian/Ubuntu: `apt install python3.{sys.version_info.minor}-dev`)"
    if not any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "g++", "c++", "clang++")):
        return "there is no C++ compiler (Debian/Ubuntu: `apt install g++`)"
    return None


def take_over(place: Place) -> list[str]:
    """End what a killed supervisor of this data directory left running; return the names.

    Raises SetupProblem when its supervisor is alive.
    """
    if not place.run.is_dir():
        return []
    try:
        with exclusive_lock(place.lock, timeout_seconds=0.5):
            return clear_leftovers(place)
    except TimeoutError:
        raise already_running(place) from None


def already_running(place: Place) -> SetupProblem:
    """Return what to say to a second `up` on the same data directory."""
    try:
        address = json.loads(place.instance_note.read_bytes())["address"]
    except (OSError, ValueError, KeyError):
        address = "an address it has not told yet"
    return SetupProblem(
        f"An instance with the data directory {place.data_dir} is already running at {address}.",
        "Use that one, end it with Ctrl-C, or start another with its own --data-dir, --port and --storage-port.",
    )


def clear_leftovers(place: Place) -> list[str]:
    """Do `take_over`'s work for a caller that holds the data directory's lock."""
    ended = []
    for path in sorted(place.run.glob("*.json")):
        note = noted_process(path)
        if path != place.instance_note:
            if note is not None:
                end_process_tree(int(note["pid"]), grace_seconds=3)
                ended.append(path.stem)
            path.unlink(missing_ok=True)
    _remove_torn_files(place)
    return ended


def _remove_torn_files(place: Place) -> None:
    """Remove what a process that was killed while it wrote a file left beside that file."""
    for folder in (place.data_dir, place.run, place.keys, place.host_state):
        for torn in folder.glob(".*.tmp") if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if time.time() - torn.stat().st_mtime > TORN_AFTER_SECONDS:  # a younger one may be in the making
                    torn.unlink()


def check_ports_free(ports: Iterable[tuple[int, str]]) -> None:
    """Raise SetupProblem for the first port somebody listens on; each comes with the option that changes it."""
    for port, option in ports:
        if port_is_taken(port):
            raise SetupProblem(
                f"Port {port} is taken by {port_owner(port)}.", f"End that program or choose another with {option}."
            )


def port_owner(port: int) -> str:
    """Name the program that listens on a loopback port, as well as this user may know it."""
    pid = _windows_port_owner(port) if IS_WINDOWS else _linux_port_owner(port)
    if pid is None:
        return "another program"
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return f"the program with process id {pid}"
    return f"{name} (process id {pid})"


def _linux_port_owner(port: int) -> int | None:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) in inodes:
                return int(descriptor.parts[2])
    return None


def _windows_port_owner(port: int) -> int | None:
    try:
        command = ["netstat", "-ano", "-p", "TCP"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    for line in answer.stdout.splitlines():
        fields = line.split()
        if len(fields) == 5 and fields[1].endswith(f":{port}") and fields[2].endswith(":0"):
            return int(fields[4])
    return None


def venv_is_usable() -> bool:
    """Return whether the virtual environment's interpreter starts, has pip and is of a version that will do."""
    if not venv_python().exists() or not (VENV_DIR / "pyvenv.cfg").exists():
        return False
    question = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    try:
        command = [str(venv_python()), "-c", question]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
