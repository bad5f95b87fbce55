"""Run the programs that an installation is made with, and say what went wrong in one line of theirs."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from launcher.places import PROJECT_DIR
from shared.platform import end_process_tree, start_child

PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2")
_running: set["subprocess.Popen[bytes]"] = set()


def fingerprint(wanted: Path) -> str:
    """Return what tells one version of a file of wanted packages from another, whatever its line ends."""
    return hashlib.sha256(wanted.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def run(
    command: Sequence[str | Path], seconds: float | None = None, *, cwd: Path = PROJECT_DIR
) -> "subprocess.CompletedProcess[str]":
    """Run a program and keep what it says; it ends with this process, however that ends."""
    child = start_child(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _running.add(child)
    try:
        output, _ = child.communicate(timeout=seconds)
    except BaseException:
        end_process_tree(child, grace_seconds=1)
        child.communicate()
        raise
    finally:
        _running.discard(child)
    return subprocess.CompletedProcess(list(command), child.returncode, output.decode(errors="replace"))


def end_running() -> None:
    """End what background steps still run, so that a failed or interrupted start does not wait for them."""
    for child in list(_running):
        end_process_tree(child, grace_seconds=1)


def last_line(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the last line that a program said, or how it ended."""
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {result.returncode}"


def last_error(result: "subprocess.CompletedProcess[str]") -> str:
    """Return the line that tells most of what a tool marked as an error, without its mark, else its last line.

    That is pip's last one; npm says first what is wrong, between its codes, and in the end where its log lies.
    """
    lines = [line.strip() for line in result.stdout.splitlines()]
    for text in reversed(_marked(lines, ("ERROR:", "error:"))):
        return text.rstrip(".")
    for text in _marked(lines, ("npm error", "npm ERR!")):
        if not text.startswith(_NPM_CODES):
            return text.rstrip(".")
    return last_line(result)


_NPM_CODES = ("code ", "syscall ", "errno ", "path ", "dest ", "A complete log")


def _marked(lines: Sequence[str], marks: Sequence[str]) -> list[str]:
    """Return what follows one of the marks in the lines that begin with it, where something does."""
    found = [line.removeprefix(mark).strip() for line in lines for mark in marks if line.startswith(mark)]
    return [text for text in found if text]
