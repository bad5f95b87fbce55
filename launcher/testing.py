"""`manage.py test`: the checks and the whole suite, on free ports, beside whatever else runs."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from launcher import console, installation
from launcher.places import PROJECT_DIR, venv_python
from shared.platform import end_process_tree, start_child

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("style (ruff check)", ("ruff", "check", ".")),
    ("format (ruff format)", ("ruff", "format", "--check", ".")),
    ("types (mypy)", ("mypy", ".")),
)
MOST_PROCESSES = 8  # each has an Azurite and a PostgreSQL of its own


def run_tests(arguments: Sequence[str]) -> int:
    """Set up, run every check and pytest with `arguments`, and return the first exit code that is not 0."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(
            "usage: manage.py test [--require all] [pytest arguments]\n\n"
            "Runs ruff, mypy and the suite, a process for each core. --require all: a test that would be skipped\n"
            "fails. -n 0: one process, for a debugger.\n"
            "example: python3 manage.py test tests/registry -k signature\n"
        )
        return 0
    installation.install(storage=True, tests=True)
    installation.describe_installation()
    codes = [_check(title, command) for title, command in CHECKS]
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    codes.append(_run(["pytest", "-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder", *arguments]))
    names = [title for title, _ in CHECKS] + ["tests"]
    failed = [name for name, code in zip(names, codes, strict=True) if code != 0]
    if failed:
        console.failed(f"failed: {', '.join(failed)}")
    return next((code for code in codes if code != 0), 0)


def _check(title: str, command: Sequence[str]) -> int:
    started = time.monotonic()
    console.note(title)
    code = _run(command)
    if code == 0:
        console.done(f"{title} ({time.monotonic() - started:.0f} s)")
    return code


def _run(command: Sequence[str]) -> int:
    """Run a module of the virtual environment with our own output; an interrupt ends it and what it started."""
    child = start_child([venv_python(), "-m", *command], cwd=PROJECT_DIR, stdin=subprocess.DEVNULL)
    try:
        return child.wait()
    except BaseException:
        end_process_tree(child, grace_seconds=10)
        raise
