"""The worker's side of a training child: start it, follow its progress, and end it when it must end."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import structlog

from shared.database.pulse import Pulse
from shared.platform import end_process_tree, open_append_log, start_child
from shared.settings import PROJECT_DIR
from shared.training.cores import training_cores

log = structlog.get_logger()

POLL_SECONDS = 0.1
GRACE_SECONDS = 1.0
TAIL_BYTES = 2_000
MAX_LINE_BYTES = 4_000_000
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


class Ending(StrEnum):
    """How a child ended."""

    DONE = "done"  # with a result
    REFUSED = "refused"  # with an error that another try would meet again
    BROKE = "broke"  # crashed, was killed, or met an error that may pass
    CANCELLED = "cancelled"
    LATE = "late"  # beyond its budget
    LOST = "lost"  # another worker owns the job


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a child left."""

    ending: Ending
    result: dict[str, Any]
    reason: str = ""


_WHY = {
    Ending.LATE: "The training took longer than the job's budget.",
    Ending.LOST: "Another worker took the job over.",
    Ending.CANCELLED: "The job was cancelled.",
}


class _Listener(threading.Thread):
    """Reads the child's lines; a torn or foreign line is ignored."""

    def __init__(self, stream: IO[bytes], pulse: Pulse) -> None:
        super().__init__(name="training-child-output", daemon=True)
        self.result: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self._stream = stream
        self._pulse = pulse
        self.start()

    def run(self) -> None:
        while line := self._stream.readline(MAX_LINE_BYTES):
            try:
                self._hear(json.loads(line))
            except (ValueError, TypeError, KeyError):
                log.warning("training.child_line_unreadable", start=line[:100].decode(errors="replace"))

    def _hear(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self._pulse.report(float(message["progress"]), str(message["step"]))
        if "message" in message:
            self._pulse.say(str(message["message"]), str(message.get("level", "info")))
        self.result = message.get("result", self.result)
        self.error = message.get("error", self.error)


def supervise(spec_file: Path, pulse: Pulse, *, deadline: float, log_file: Path) -> Outcome:
    """Run one child to its end, at the latest to `deadline`; it is gone, with all below it, when this returns."""
    with open_append_log(log_file) as errors:
        process = start_child(
            [sys.executable, "-m", "shared.training.child", str(spec_file)],
            env=child_environment(os.environ),
            cwd=PROJECT_DIR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    listener = _Listener(process.stdout, pulse)
    log.info("training.child_started", pid=process.pid)
    try:
        stopped = _wait(process, pulse, deadline)
    finally:
        end_process_tree(process, grace_seconds=GRACE_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE_SECONDS)
        listener.join(timeout=GRACE_SECONDS)
        process.stdout.close()
    if stopped is not None:
        return Outcome(ending=stopped, result={}, reason=_WHY[stopped])
    return _outcome(process.returncode, listener, log_file)


def _wait(process: subprocess.Popen[bytes], pulse: Pulse, deadline: float) -> Ending | None:
    """Wait for the child; why it has to be ended, or None when it ended by itself."""
    while process.poll() is None:
        if pulse.lost.is_set():
            return Ending.LOST
        if pulse.cancel_requested.is_set():
            return Ending.CANCELLED
        if time.monotonic() >= deadline:
            return Ending.LATE
        time.sleep(POLL_SECONDS)
    return None


def _outcome(code: int | None, listener: _Listener, log_file: Path) -> Outcome:
    if code == 0 and listener.result is not None:
        return Outcome(ending=Ending.DONE, result=listener.result)
    if listener.error is not None:
        ending = Ending.BROKE if listener.error.get("retryable") else Ending.REFUSED
        return Outcome(ending=ending, result={}, reason=str(listener.error.get("detail", "")))
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    return Outcome(ending=Ending.BROKE, result={}, reason=f"The training process {how}. {_tail(log_file)}".strip())


def _tail(log_file: Path) -> str:
    with log_file.open("rb") as stream:
        stream.seek(max(0, log_file.stat().st_size - TAIL_BYTES))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:400] if lines else ""


def child_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Leave one core to serving: numeric libraries in the child use the others, and at least one."""
    threads = str(training_cores())
    path = [str(PROJECT_DIR), *filter(None, [inherited.get("PYTHONPATH", "")])]
    return {**inherited, **dict.fromkeys(_THREAD_LIMITS, threads), "PYTHONPATH": os.pathsep.join(path)}
