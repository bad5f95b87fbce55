"""Which cores this process uses, and how eagerly, so that answering requests always has one to itself."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

if sys.platform == "win32":
    from shared import platform_windows as windows

_NICENESS = 10


def work_in_background() -> None:
    """Lower this process's priority and keep it, with all that it starts, off one core: that one is left to serving.

    Called before libraries are imported that start a thread for each core they see. Where there is only one core, or
    the system does not tell, only the priority changes.
    """
    if sys.platform == "win32":
        windows.lower_priority()
        windows.leave_one_core()
        return
    os.nice(_NICENESS)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])


@contextlib.contextmanager
def leaving_one_core() -> Iterator[None]:
    """Keep this process off one core while the block runs: for work beside a process that answers requests.

    Libraries that start a thread for each core they see should have done so before.
    """
    if sys.platform == "win32":
        own = windows.leave_one_core()
        try:
            yield
        finally:
            if own is not None:
                windows.use_cores(own)
        return
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        _use_cores(cores[1:])
    try:
        yield
    finally:
        if len(cores) > 1:
            _use_cores(cores)


def _use_cores(cores: Sequence[int]) -> None:
    """Bind every thread of this process; a thread that ends meanwhile does not matter."""
    if sys.platform == "linux":
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)
