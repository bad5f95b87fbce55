"""The entry of a worker process: reads its boot line, splits off its keeper, then plays its role."""

import atexit
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from funchost import keeper, logs
from funchost.logfile import LogFile

_BOOT_LIMIT = 1 << 20


def main() -> None:
    """Run until the host says stop or is gone."""
    boot = _read_boot_line()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # several processes share it: lines go out whole
    keeper.split_off_worker()
    if boot.get("log_file"):
        log_file = LogFile(Path(boot["log_file"]))
        log_file.take_over()
        log_file.follow()
    logs.set_role(boot["role"])
    logs.capture_standard_logging(boot.get("log_levels"))
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _leave_it_to_the_host)
    sys.path[:] = [boot["app_dir"], *[entry for entry in sys.path if entry not in ("", boot["app_dir"])]]
    leave = _Leaving()
    atexit.register(leave.at_once)  # registered first, so called after everything that the app registers
    if boot["role"] == "http":
        from funchost.http_worker import HttpWorker

        HttpWorker(boot).run()
    else:
        from funchost.event_worker import EventWorker

        EventWorker(boot).run()
    leave.is_done = True


class _Leaving:
    """Ends a worker that has done its work without taking its memory apart object by object.

    That takes seconds where an app holds a large model, and slows down whoever took over.
    """

    is_done = False

    def at_once(self) -> None:
        if self.is_done:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)


def _leave_it_to_the_host(*_: object) -> None:
    """A signal to the whole group means the host, which stops its workers in order; children do not inherit this."""


def _read_boot_line() -> dict[str, Any]:
    """Read byte by byte: what follows on standard input belongs to the keeper."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte or len(line) > _BOOT_LIMIT:
            os._exit(2)
        line += byte
    document: dict[str, Any] = json.loads(line)
    return document
