"""What `shared/platform.py` does on Windows, by documented Win32 calls through ctypes.

A child is started suspended, put into a job object of its own that ends with this process's handle to it, and then
let run: whatever it starts ends with it. Not importable elsewhere.
"""

import contextlib
import ctypes
import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

assert sys.platform == "win32"

from ctypes import wintypes  # noqa: E402 - after the assertion, for the type checker's sake

PROCESS_TERMINATE = 0x0001
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
SYNCHRONIZE = 0x0010_0000
BELOW_NORMAL_PRIORITY_CLASS = 0x0000_4000
THREAD_PRIORITY_BELOW_NORMAL = -1
CREATE_SUSPENDED = 0x0000_0004
JOB_OBJECT_EXTENDED_LIMIT_INFORMATION = 9
JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000
TH32CS_SNAPPROCESS = 0x2
STILL_ACTIVE = 259
INFINITE = 0xFFFF_FFFF
INVALID_HANDLE = ctypes.c_void_p(-1).value

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_ntdll = ctypes.WinDLL("ntdll")


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
        ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_ulonglong * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class _ProcessEntry(ctypes.Structure):
    _fields_ = (
        ("dwSize", wintypes.DWORD),
        ("cntUsage", wintypes.DWORD),
        ("th32ProcessID", wintypes.DWORD),
        ("th32DefaultHeapID", ctypes.c_size_t),
        ("th32ModuleID", wintypes.DWORD),
        ("cntThreads", wintypes.DWORD),
        ("th32ParentProcessID", wintypes.DWORD),
        ("pcPriClassBase", wintypes.LONG),
        ("dwFlags", wintypes.DWORD),
        ("szExeFile", wintypes.CHAR * 260),
    )


class _MemoryCounters(ctypes.Structure):
    _fields_ = (
        ("size", wintypes.DWORD),
        ("page_faults", wintypes.DWORD),
        ("peak_working_set", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        ("pools_and_page_file", ctypes.c_size_t * 6),
    )


_kernel.CreateJobObjectW.restype = wintypes.HANDLE
_kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
_kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
_kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
_kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
_kernel.OpenProcess.restype = wintypes.HANDLE
_kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
_kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
_kernel.TerminateProcess.argtypes = (wintypes.HANDLE, wintypes.UINT)
_kernel.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)
_kernel.GetExitCodeProcess.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
_kernel.GetProcessTimes.argtypes = (wintypes.HANDLE, *(ctypes.POINTER(wintypes.FILETIME),) * 4)
_kernel.GetCurrentProcess.restype = wintypes.HANDLE
_kernel.GetCurrentThread.restype = wintypes.HANDLE
_kernel.SetThreadPriority.argtypes = (wintypes.HANDLE, ctypes.c_int)
_kernel.SetPriorityClass.argtypes = (wintypes.HANDLE, wintypes.DWORD)
_kernel.GetProcessAffinityMask.argtypes = (wintypes.HANDLE, *(ctypes.POINTER(ctypes.c_size_t),) * 2)
_kernel.SetProcessAffinityMask.argtypes = (wintypes.HANDLE, ctypes.c_size_t)
_kernel.CreateToolhelp32Snapshot.restype = wintypes.HANDLE
_kernel.CreateToolhelp32Snapshot.argtypes = (wintypes.DWORD, wintypes.DWORD)
_kernel.Process32First.argtypes = (wintypes.HANDLE, ctypes.POINTER(_ProcessEntry))
_kernel.Process32Next.argtypes = (wintypes.HANDLE, ctypes.POINTER(_ProcessEntry))
_kernel.K32GetProcessMemoryInfo.argtypes = (wintypes.HANDLE, ctypes.POINTER(_MemoryCounters), wintypes.DWORD)
_ntdll.NtResumeProcess.argtypes = (wintypes.HANDLE,)

# Open for as long as this process lives: closing one ends the job in it, which is the point of it.
_jobs: dict[int, int] = {}


def start_in_job(words: list[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a program in a new process group and in a job object that ends when this process does."""
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED
    child: subprocess.Popen[bytes] = subprocess.Popen(words, creationflags=flags, **options)  # noqa: S603
    handle = int(child._handle)  # type: ignore[attr-defined]
    try:
        job = _new_job()
        _checked(_kernel.AssignProcessToJobObject(job, handle))
    except OSError:
        child.kill()
        child.wait()
        raise
    _jobs[child.pid] = job
    _ntdll.NtResumeProcess(handle)
    return child


def _new_job() -> int:
    job = _checked(_kernel.CreateJobObjectW(None, None))
    limits = _ExtendedLimits()
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
    size = ctypes.sizeof(limits)
    _checked(_kernel.SetInformationJobObject(job, JOB_OBJECT_EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size))
    return job


def _checked(result: Any) -> int:
    if not result:
        raise ctypes.WinError(ctypes.get_last_error())
    return int(result)


def waiter_for(pid: int) -> Callable[[], None]:
    """Return a function that returns when the process has ended; the handle is taken now, while the number is its."""
    handle = _kernel.OpenProcess(SYNCHRONIZE, False, pid)

    def wait() -> None:
        if handle:
            _kernel.WaitForSingleObject(handle, INFINITE)

    return wait


def creation_time(pid: int) -> str | None:
    """Return number and creation time of a running process, None when it does not run or may not be asked."""
    handle = _kernel.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return None
    try:
        code = wintypes.DWORD()
        times = [wintypes.FILETIME() for _ in range(4)]
        _checked(_kernel.GetExitCodeProcess(handle, ctypes.byref(code)))
        if code.value != STILL_ACTIVE:
            return None
        _checked(_kernel.GetProcessTimes(handle, *(ctypes.byref(one) for one in times)))
        return f"{pid}:{times[0].dwHighDateTime << 32 | times[0].dwLowDateTime}"
    finally:
        _kernel.CloseHandle(handle)


def peak_working_set() -> int:
    """Return the most bytes that this process has held in memory at once."""
    counters = _MemoryCounters(size=ctypes.sizeof(_MemoryCounters))
    _checked(_kernel.K32GetProcessMemoryInfo(_kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size))
    return int(counters.peak_working_set)


def end_tree(process: "subprocess.Popen[Any] | int", grace_seconds: float) -> None:
    """Send Ctrl-Break to the group, wait, then end the job (or, for a foreign process, each of its descendants)."""
    pid = process if isinstance(process, int) else process.pid
    family = {member: creation_time(member) for member in _family(pid)}
    with contextlib.suppress(OSError):  # it has no console, or is gone already: what follows ends it anyway
        os.kill(pid, signal.CTRL_BREAK_EVENT)
    deadline = time.monotonic() + grace_seconds
    while creation_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    job = _jobs.pop(pid, None)
    if job is not None:
        _kernel.TerminateJobObject(job, 1)
        _kernel.CloseHandle(job)
    for member, identity in family.items():
        if identity is not None and creation_time(member) == identity:
            _terminate(member)
    if not isinstance(process, int):
        process.wait(timeout=5)


def lower_priority() -> None:
    """Let this process and its children run only where normal ones leave time."""
    _kernel.SetPriorityClass(_kernel.GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS)


def lower_priority_of_this_thread() -> None:
    """Let the calling thread run only where normal ones leave time."""
    _kernel.SetThreadPriority(_kernel.GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL)


def leave_one_core() -> int | None:
    """Keep this process and its children off the first of the cores it may use, where there are two or more.

    Returns the mask of the cores it could use before, for `use_cores`; None where nothing was changed.
    """
    own, system = ctypes.c_size_t(), ctypes.c_size_t()
    this = _kernel.GetCurrentProcess()
    if not _kernel.GetProcessAffinityMask(this, ctypes.byref(own), ctypes.byref(system)):
        return None
    others = own.value & (own.value - 1)  # without the lowest bit that is set
    if others:
        _kernel.SetProcessAffinityMask(this, others)
        return own.value
    return None


def use_cores(mask: int) -> None:
    """Let this process use the cores of a mask that `leave_one_core` returned."""
    _kernel.SetProcessAffinityMask(_kernel.GetCurrentProcess(), mask)


def _terminate(pid: int) -> None:
    handle = _kernel.OpenProcess(PROCESS_TERMINATE, False, pid)
    if handle:
        _kernel.TerminateProcess(handle, 1)
        _kernel.CloseHandle(handle)


def _family(root: int) -> list[int]:
    snapshot = _kernel.CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0)
    if snapshot in (None, INVALID_HANDLE):
        return [root]
    parents: dict[int, int] = {}
    entry = _ProcessEntry(dwSize=ctypes.sizeof(_ProcessEntry))
    more = _kernel.Process32First(snapshot, ctypes.byref(entry))
    while more:
        parents[entry.th32ProcessID] = entry.th32ParentProcessID
        more = _kernel.Process32Next(snapshot, ctypes.byref(entry))
    _kernel.CloseHandle(snapshot)
    family = {root}
    while fresh := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= fresh
    return sorted(family)


def restrict_to_owner(folder: Path) -> None:
    """Take inherited rights away from a folder and give its present user all of them."""
    user = getpass.getuser()
    domain = os.environ.get("USERDOMAIN")
    grantee = f"{domain}\\{user}" if domain else user
    command = ["icacls", str(folder), "/inheritance:r", "/grant:r", f"{grantee}:(OI)(CI)F"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed program, our own folder
