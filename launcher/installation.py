"""Make, and later recognise, the virtual environment and Azurite; a finished step leaves a stamp and is not repeated.

Nothing half-made stays: what this start began and could not finish is removed, and what a killed start left behind is
told from a finished one by its mark.
"""

import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher import microsoft
from launcher.checks import (
    check_can_make_venv,
    check_node,
    check_writable,
    missing_for_compiling,
    venv_is_usable,
)
from launcher.console import Step, done, note
from launcher.pages import build_pages, pages_are_missing
from launcher.places import NODE_MODULES, PROJECT_DIR, VENV_DIR, venv_python
from launcher.problems import SetupProblem
from launcher.programs import PIP, end_running, fingerprint, last_error, last_line, run
from shared.platform import exclusive_lock, remove_tree, write_atomically

STAMP = "routing-ml.json"
UNFINISHED = "routing-ml.unfinished"
HNSW_BUILD_SECONDS = 600
LOCK_PATIENCE_SECONDS = 900
PACKAGES_REMEDY = (
    "Check the network once (later starts need none), or name a mirror or a folder of wheels by PIP_INDEX_URL or "
    "PIP_FIND_LINKS, and start again."
)


def install(*, storage: bool, tests: bool) -> None:
    """Make what is missing of the virtual environment and, with `storage`, of Azurite. Raises SetupProblem."""
    if storage:
        check_node()
    wanted = _wanted_requirements(tests=tests)
    newer_python = microsoft.find_python() if tests and not microsoft.is_installed() else None
    if (
        _is_installed(wanted)
        and newer_python is None
        and not (storage and (_azurite_is_missing() or pages_are_missing()))
    ):
        return
    check_writable(PROJECT_DIR, "The virtual environment")
    with _installation_lock(), concurrent.futures.ThreadPoolExecutor(4) as background:
        try:
            runtime = background.submit(microsoft.install, newer_python) if newer_python is not None else None
            azurite = background.submit(_install_azurite) if storage and _azurite_is_missing() else None
            pages = background.submit(build_pages) if storage and pages_are_missing() else None
            if not _is_installed(wanted):
                _install_python(wanted, background)
            if azurite is not None:
                with Step("Azurite, the local storage service"):
                    azurite.result()
            if pages is not None:
                with Step("the pages for the browser"):
                    problem = pages.result()
                if problem:
                    note(problem)
            if runtime is not None:
                with Step("Microsoft's function runtime, on Python 3.13") as step:
                    problem = runtime.result()
                    if problem:
                        step.result = f"Microsoft's function runtime is not here: {problem}"
        except BaseException:
            end_running()
            raise


@contextmanager
def _installation_lock() -> Iterator[None]:
    """Let one start at a time install into this project (the lock is kept outside it)."""
    owner = os.getuid() if sys.platform != "win32" else "user"
    name = f"routing-ml-{owner}-{hashlib.sha256(str(PROJECT_DIR).encode()).hexdigest()[:16]}.lock"
    try:
        with exclusive_lock(Path(tempfile.gettempdir(), name), timeout_seconds=LOCK_PATIENCE_SECONDS):
            yield
    except TimeoutError as error:
        raise SetupProblem("Another start is still installing here.", "Wait for it to end and try again.") from error


# ------------------------------------------------------------------------------------------- virtual environment


def _wanted_requirements(*, tests: bool) -> dict[str, str]:
    names = ["requirements.txt", *(["requirements-test.txt"] if tests else [])]
    return {name: fingerprint(PROJECT_DIR / name) for name in names}


def read_stamp() -> dict[str, Any]:
    """Return what is known to be installed: requirement files' hashes, and how hnswlib went."""
    try:
        stamp = json.loads((VENV_DIR / STAMP).read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(**facts: Any) -> None:
    document = {**read_stamp(), **facts}
    write_atomically(VENV_DIR / STAMP, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def _is_installed(wanted: dict[str, str]) -> bool:
    if not venv_python().exists() or (VENV_DIR / UNFINISHED).exists():
        return False
    stamp = read_stamp()
    return all(stamp.get(name) == value for name, value in wanted.items()) and not _hnswlib_is_worth_a_try(stamp)


def _hnswlib_is_worth_a_try(stamp: dict[str, Any]) -> bool:
    """Return whether hnswlib was not tried yet, not in this version, or lacked something that is there now."""
    tried = stamp.get("hnswlib", {})
    if tried.get("requirements") != fingerprint(PROJECT_DIR / "requirements-hnsw.txt"):
        return True
    return bool(tried.get("missing")) and missing_for_compiling() is None


def _install_python(wanted: dict[str, str], background: concurrent.futures.Executor) -> None:
    fresh = not venv_is_usable() or (VENV_DIR / UNFINISHED).exists()
    if fresh:
        _make_venv()
    try:
        with tempfile.TemporaryDirectory(prefix="routing-ml-wheel-") as wheels:
            wheel = background.submit(_build_hnswlib, Path(wheels)) if _hnswlib_is_worth_a_try(read_stamp()) else None
            stamp = read_stamp()
            for name, version in wanted.items():
                if stamp.get(name) != version:
                    _install_requirements(name)
                    _write_stamp(**{name: version})
            if wheel is not None:
                _install_hnswlib(wheel, Path(wheels))
    except BaseException:
        if fresh:
            remove_tree(VENV_DIR)
        raise
    (VENV_DIR / UNFINISHED).unlink(missing_ok=True)


def _make_venv() -> None:
    check_can_make_venv()
    remove_tree(VENV_DIR)
    with Step(f"virtual environment in {VENV_DIR.name}"):
        VENV_DIR.mkdir()
        (VENV_DIR / UNFINISHED).touch()
        try:
            base = getattr(sys, "_base_executable", None) or sys.executable
            made = run([base, "-m", "venv", VENV_DIR])
            if made.returncode != 0:
                raise SetupProblem(
                    f"The virtual environment could not be made: {last_line(made)}",
                    "Check the Python installation (Debian/Ubuntu: `apt install python3-venv`) and start again.",
                )
        except BaseException:
            remove_tree(VENV_DIR)
            raise


def _install_requirements(name: str) -> None:
    with Step(f"packages of {name}"):
        result = run([venv_python(), *PIP, "install", "--progress-bar", "off", "-r", PROJECT_DIR / name])
        if result.returncode != 0:
            raise SetupProblem(f"The packages of {name} could not be installed: {last_error(result)}", PACKAGES_REMEDY)


# -------------------------------------------------------------------------------------------------------- hnswlib


def _build_hnswlib(into: Path) -> str | None:
    """Build the wheel in `into`; return what went wrong, None when nothing did."""
    if _installed_hnswlib() is not None:
        return None
    missing = missing_for_compiling()
    if missing is not None:
        return missing
    requirements = PROJECT_DIR / "requirements-hnsw.txt"
    try:
        built = run([venv_python(), *PIP, "wheel", "--no-deps", "-w", into, "-r", requirements], HNSW_BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"its compilation did not end within {HNSW_BUILD_SECONDS} seconds"
    return None if built.returncode == 0 else last_error(built)


def _install_hnswlib(wheel: "concurrent.futures.Future[str | None]", wheels: Path) -> None:
    """Install the built wheel, or say that exact search serves without it; neither stops the start."""
    with Step("hnswlib, the fast neighbour search") as step:
        problem = wheel.result()
        if problem is None and (files := list(wheels.glob("*.whl"))):
            result = run([venv_python(), *PIP, "install", "--no-deps", "--no-index", *files])
            problem = None if result.returncode == 0 else last_error(result)
        if problem is not None:
            step.result = "hnswlib is not here, exact search serves instead: same answers, slower on many items"
    if problem is not None:
        note(f"why: {problem}. `manage.py doctor` says what to do; the next start then tries again.")
    requirements = fingerprint(PROJECT_DIR / "requirements-hnsw.txt")
    _write_stamp(hnswlib={"requirements": requirements, "problem": problem, "missing": missing_for_compiling()})


def _installed_hnswlib() -> str | None:
    """Return the version of hnswlib that the virtual environment holds, if it is the pinned one."""
    question = "import importlib.metadata as m; print('hnswlib==' + m.version('hnswlib'))"
    answer = run([venv_python(), "-c", question]).stdout.strip()
    return answer if answer and answer in (PROJECT_DIR / "requirements-hnsw.txt").read_text("utf-8") else None


# -------------------------------------------------------------------------------------------------------- Azurite


def _azurite_is_missing() -> bool:
    """Return whether node_modules lacks what package-lock.json asks for; without a stamp npm's record is believed."""
    lock = PROJECT_DIR / "package-lock.json"
    stamp = NODE_MODULES / STAMP
    if stamp.exists():
        return bool(json.loads(stamp.read_bytes())["lock"] != fingerprint(lock))
    try:
        packages = json.loads((NODE_MODULES / ".package-lock.json").read_bytes())["packages"]
        wanted = json.loads(lock.read_bytes())["packages"]["node_modules/azurite"]["version"]
        return bool(packages["node_modules/azurite"]["version"] != wanted)
    except (OSError, ValueError, KeyError):
        return True


def _install_azurite() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SetupProblem(
            "npm, which comes with Node.js, was not found.",
            "Install it (Debian/Ubuntu: `apt install npm`; elsewhere it is part of Node.js) and start again.",
        )
    try:
        result = run([npm, "ci", "--no-progress", "--loglevel", "error"])
        if result.returncode != 0:
            raise SetupProblem(
                f"Azurite could not be installed: {last_error(result)}",
                "Check the network once (later starts need none), or name a mirror by `npm config set registry`.",
            )
        stamp = {"lock": fingerprint(PROJECT_DIR / "package-lock.json")}
        write_atomically(NODE_MODULES / STAMP, json.dumps(stamp).encode() + b"\n")
    except BaseException:
        remove_tree(NODE_MODULES)
        raise


def describe_installation() -> None:
    """Say in one line what stands."""
    hnswlib = read_stamp().get("hnswlib", {})
    search = "exact search (hnswlib is not installed)" if hnswlib.get("problem") else "hnswlib"
    done(f"installed in {VENV_DIR.name}; neighbour search by {search}")
