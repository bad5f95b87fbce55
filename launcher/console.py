"""Plain lines on the console, before the virtual environment (and `rich` in it) exists."""

import sys
import threading
import time
from types import TracebackType
from typing import TextIO

TICK_SECONDS = 0.5


def prepare_streams() -> None:
    """Let the console drop signs that it cannot show, rather than fail on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


class _Target:
    """Where lines go: standard output, unless that belongs to another program's answer."""

    stream: TextIO = sys.stdout


def leave_standard_output_alone() -> None:
    """Say everything on standard error, because a command's answer is what standard output is for."""
    _Target.stream = sys.stderr


def _write(text: str) -> None:
    _Target.stream.write(text)
    _Target.stream.flush()


def done(text: str) -> None:
    """Say that a step is done."""
    _write(f"✓ {text}\n")


def note(text: str) -> None:
    """Say something worth knowing that stops nothing."""
    _write(f"· {text}\n")


def failed(text: str) -> None:
    """Say why it does not go on."""
    sys.stdout.flush()
    sys.stderr.write(f"✗ {text}\n")
    sys.stderr.flush()


class Step:
    """A step that takes its time: a running line on a terminal, one line elsewhere, and ✓ with seconds at its end."""

    def __init__(self, text: str) -> None:
        """Name the step."""
        self.text = text
        self.result = text
        self._started = time.monotonic()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Step":
        if _Target.stream.isatty():
            self._ticker.start()
        else:
            note(f"{self.text} …")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if kind is None:
            done(f"{self.result} ({time.monotonic() - self._started:.0f} s)")

    def _tick(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            _write(f"\r· {self.text} … {time.monotonic() - self._started:.0f} s ")
        _write("\r" + " " * (len(self.text) + 16) + "\r")
