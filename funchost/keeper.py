"""Keeps a worker from outliving its host, and a worker's children from outliving the worker.

On POSIX a worker process splits in two before it loads anything: the first half stays as *keeper* (it runs no user
code), the second becomes the worker. The keeper ends everything below it when the host's end of its standard input
closes, which also happens when the host is killed, or when the worker ends in whatever way. On Linux it is made the
adopter of orphans, so that grandchildren in groups of their own are found as well. On Windows a job object does both.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_FOR_SECONDS = 4.0


def split_off_worker() -> None:
    """Return in the worker; in the keeper this never returns.

    To be called once, first thing and before any thread exists, with standard input read up to the boot line.
    """
    if sys.platform == "win32":
        _tie_to_windows_job()
        threading.Thread(target=_exit_at_end_of_input, name="parent-watch", daemon=True).start()
        return
    keeper_id = os.getpid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    worker_id = os.fork()
    if worker_id:
        os._exit(_keep(worker_id))
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper_id:
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _keep(worker_id: int) -> int:
    """Wait for the worker's end or the host's; then end all that is left below and return the worker's exit code."""
    assert sys.platform != "win32"
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the host decides when; its end is seen on standard input
    os.closerange(3, 1024)  # the listening socket among them: only host and worker may hold it
    _let_go_of_output()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    code: int | None = None
    while code is None:
        try:
            ready, _, _ = select.select([0, wake_read], [], [], 1.0)
        except InterruptedError:
            continue
        if wake_read in ready:
            os.read(wake_read, 1024)
        if 0 in ready and not os.read(0, 1024):
            code = 0
        code = _reap(worker_id, code)
    _end_everything_below(worker_id)
    return code


def _let_go_of_output() -> None:
    """A keeper says nothing; holding a log open would keep a file on the disk that was moved away and removed."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)


def _reap(worker_id: int, code: int | None) -> int | None:
    """Collect ended children; return the worker's exit code once it is among them."""
    assert sys.platform != "win32"
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == worker_id:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def _end_everything_below(worker_id: int) -> None:
    assert sys.platform != "win32"
    deadline = time.monotonic() + _KILL_FOR_SECONDS
    while time.monotonic() < deadline:
        for process_id in descendants(os.getpid()):
            _kill(process_id)
        with contextlib.suppress(OSError):
            os.killpg(worker_id, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        time.sleep(0.01)


def _kill(process_id: int) -> None:
    assert sys.platform != "win32"
    with contextlib.suppress(OSError):
        os.kill(process_id, signal.SIGKILL)


def descendants(process_id: int) -> list[int]:
    """Return the process ids below one, nearest first (Linux; elsewhere none)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat") if sys.platform.startswith("linux") else ():
        try:
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    level = [process_id]
    while level:
        level = [child for parent in level for child in children.get(parent, [])]
        found.extend(level)
    return found


def _exit_at_end_of_input() -> None:
    while sys.stdin.buffer.read(1024):
        continue
    os._exit(0)


_job_handle: Any = None


def _tie_to_windows_job() -> None:
    """Put this process into a job that Windows ends, children included, when its last handle closes with us."""
    global _job_handle
    if sys.platform != "win32":
        return
    from ctypes import wintypes

    class Basic(ctypes.Structure):
        _fields_ = (
            ("per_process_time", ctypes.c_int64), ("per_job_time", ctypes.c_int64), ("limit_flags", wintypes.DWORD),
            ("minimum_working_set", ctypes.c_size_t), ("maximum_working_set", ctypes.c_size_t),
            ("active_process_limit", wintypes.DWORD), ("affinity", ctypes.c_size_t),
            ("priority_class", wintypes.DWORD), ("scheduling_class", wintypes.DWORD),
        )  # fmt: skip

    class Extended(ctypes.Structure):
        _fields_ = (
            ("basic", Basic), ("io_counters", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
            ("job_memory", ctypes.c_size_t), ("peak_process_memory", ctypes.c_size_t),
            ("peak_job_memory", ctypes.c_size_t),
        )  # fmt: skip

    kill_on_close, extended_information = 0x2000, 9
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    job = kernel.CreateJobObjectW(None, None)
    limits = Extended()
    limits.basic.limit_flags = kill_on_close
    kernel.SetInformationJobObject(
        wintypes.HANDLE(job), extended_information, ctypes.byref(limits), ctypes.sizeof(limits)
    )
    kernel.AssignProcessToJobObject(wintypes.HANDLE(job), wintypes.HANDLE(kernel.GetCurrentProcess()))
    _job_handle = job
