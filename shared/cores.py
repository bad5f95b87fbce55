"""Which cores this process uses, and how eagerly, so that answering requests always has one to itself."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if sys.platform == "win32":
    from shared import platform_windows as windows

_NICENESS = 10


def work_in_background() -> None:
    """Lower this process's priority and keep it, with all that it starts, off one core: that one is left to serving.

    Called before libraries are imported that start a thread for each core they see. Where there is only one core, or
    the system does not tell, only the priority changes.
    """
    lower_priority()
    if sys.platform == "win32":
        windows.leave_one_core()
        return
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])


def lower_priority() -> None:
    """Lower this process's priority for good; threads that it starts from now on have the low one, too."""
    if sys.platform == "win32":
        windows.lower_priority()
    else:
        os.nice(_NICENESS)


def run_in_background(work: Callable[[], object]) -> None:
    """Run `work` in a thread of lower priority and wait for it; what it raises is raised here.

    A process cannot raise its priority again, and one that is to answer requests must not keep a low one: so it is the
    thread's, where the system gives each its own (Linux, Windows). Threads that the work starts keep the low priority:
    start before it those that are to outlive it.
    """
    with ThreadPoolExecutor(1, initializer=lower_this_thread) as thread:
        thread.submit(work).result()


def lower_this_thread() -> None:
    """Lower the calling thread's priority for good, where threads have one of their own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
    elif sys.platform == "win32":
        windows.lower_priority_of_this_thread()


@contextlib.contextmanager
def leaving_one_core(*, last: bool = False) -> Iterator[None]:
    """Keep this process off one core while the block runs: for work beside a process that answers requests.

    That is the first core, or the `last` one: two processes that work at once need not do so on the same of two cores.
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
        _use_cores(cores[:-1] if last else cores[1:])
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
