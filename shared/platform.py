"""The one place where Windows and Linux differ: processes, signals, locks, and files written whole or not at all.

Importing this module needs the standard library only, so that the launcher can use it before anything is installed.
Linux is what the test suite runs on; the Windows half is written against the documented Win32 calls.
"""

import contextlib
import errno
import itertools
import json
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    from shared import platform_windows as windows

POLL_SECONDS = 0.05
REPLACE_PATIENCE_SECONDS = 2.0
_SERVER_PORTS = range(15_000, 32_000)
Stream = int | IO[Any] | None

# Asks the kernel to kill this process when the starting thread ends, checks that it has not ended already, and becomes
# the program proper. An exec of its own: `preexec_fn` may deadlock in a process with threads.
_LINUX_GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[3:])
"""


# ---------------------------------------------------------------------------------------------------------- files


def write_atomically(path: Path | str, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path` so that a reader, or the next start after a crash, sees the old bytes or the new ones.

    The folder must exist. `mode` is the POSIX mode of the result; Windows keeps the folder's rights.
    """
    with open_atomically(path, mode=mode) as stream:
        stream.write(data)


@contextlib.contextmanager
def open_atomically(path: Path | str, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a file to write that takes the place of `path`, whole, when the block ends; an error leaves no trace of it.

    The folder must exist. `mode` is the POSIX mode of the result; Windows keeps the folder's rights.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if sys.platform != "win32":
                os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def write_secret(path: Path | str, data: bytes) -> None:
    """Write a secret that only its owner may read (0600 from its first byte, in a folder of 0700)."""
    target = Path(path)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":
        windows.restrict_to_owner(target.parent)
    else:
        target.parent.chmod(0o700)
    write_atomically(target, data, mode=0o600)


def remove_durably(path: Path | str) -> None:
    """Remove a file, or nothing where there is none; a crash after it does not bring the file back."""
    target = Path(path)
    target.unlink(missing_ok=True)
    if target.parent.is_dir():
        _sync_folder(target.parent)


def publish_folder(staging: Path | str, final: Path | str) -> None:
    """Make a finished folder appear under its final name in one step, its contents on disk before its name.

    Both must lie on the same file system. Raises FileExistsError, and leaves `staging` alone, when `final` exists.
    """
    source, target = Path(staging), Path(final)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "The folder exists already", str(target))
    for folder, _, names in os.walk(source):
        for name in names:
            _sync_file(Path(folder, name))
        _sync_folder(Path(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, "The folder exists already", str(target)) from error
        raise
    _sync_folder(target.parent)


def remove_tree(path: Path | str) -> None:
    """Remove a folder and all below it, or a file or link; a missing one is fine."""
    target = Path(path)
    if target.is_symlink() or target.is_file():
        target.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(target)


def open_append_log(path: Path | str, *, max_bytes: int = 10_000_000, keep: int = 3) -> IO[bytes]:
    """Open a log file for appending, first moving a full one to `.1`, `.2` … of which `keep` remain."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.stat().st_size >= max_bytes:
        for number in range(keep - 1, 0, -1):
            older = target.with_name(f"{target.name}.{number}")
            if older.exists():
                _replace(older, target.with_name(f"{target.name}.{number + 1}"))
        _replace(target, target.with_name(f"{target.name}.1"))
    return target.open("ab")


def _replace(source: Path, target: Path) -> None:
    """Rename over `target`; on Windows wait a moment for a reader that has it open."""
    deadline = time.monotonic() + (REPLACE_PATIENCE_SECONDS if sys.platform == "win32" else 0)
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def _sync_file(path: Path) -> None:
    mode = "r+b" if sys.platform == "win32" else "rb"  # Windows flushes only what may be written
    with path.open(mode) as stream:
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":
        return  # NTFS journals names itself and a folder cannot be opened for this
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------------- locks


@contextlib.contextmanager
def exclusive_lock(path: Path | str, *, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock that no other process, and no other caller in this one, holds; the system frees it on any death.

    The lock file stays; only the lock on it matters. Raises TimeoutError when it is not free in time.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout_seconds
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{target} is held by another process.")
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _unlock(descriptor: int) -> None:
    """Free the lock at once; closing alone would leave it to a child that is just being started."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


# ------------------------------------------------------------------------------------------------------ processes


class _Starter:
    """A thread that lives as long as the process, since Linux ties a child's end to the *thread* that started it."""

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="child-starter", daemon=True).start()

    def _serve(self) -> None:
        while True:
            call, answer = self._calls.get()
            try:
                answer.put((call(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked
                answer.put((None, error))

    def run(self, call: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._calls.put((call, answer))
        result, error = answer.get()
        if error is not None:
            raise error
        child: subprocess.Popen[bytes] = result
        return child


_starter: _Starter | None = None
_starter_lock = threading.Lock()


def start_child(
    args: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own that ends with this process, even when this one is killed.

    Linux kills the direct child (a Python child's own children should be started by this function too); Windows ends
    everything below it. Raises FileNotFoundError when there is no such program.
    """
    words = [os.fspath(word) for word in args]
    program = _find_program(words[0], env)
    options: dict[str, Any] = {"env": env, "cwd": cwd, "stdin": stdin, "stdout": stdout, "stderr": stderr}
    if sys.platform == "win32":
        return windows.start_in_job([program, *words[1:]], options)
    if sys.platform == "linux":
        guard = [sys.executable, "-I", "-S", "-c", _LINUX_GUARD, str(os.getpid()), program]
        words = [*guard, *words]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, start_new_session=True, **options)  # noqa: S603 - the caller names the program

    if threading.current_thread() is threading.main_thread():
        return start()
    return _shared_starter().run(start)


def _shared_starter() -> _Starter:
    global _starter
    with _starter_lock:
        if _starter is None or _starter.process_id != os.getpid():
            _starter = _Starter()
        return _starter


def _find_program(name: str, env: Mapping[str, str] | None) -> str:
    found = shutil.which(name, path=(env if env is not None else os.environ).get("PATH"))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "There is no such program", name)
    return found


def die_with_parent() -> None:
    """End this process, without any clean-up, as soon as the process that started it has ended.

    A Python child calls this first. `start_child` has already asked the kernel for the same on Linux and Windows;
    this thread also serves a child that was started in another way.
    """
    parent = os.getppid()
    if sys.platform == "win32":
        wait = windows.waiter_for(parent)
    else:

        def wait() -> None:
            while os.getppid() == parent:
                time.sleep(0.5)

    def watch() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def process_identity(pid: int) -> str | None:
    """Return what tells this process from any other that had or will have its number; None when it is not running."""
    if sys.platform == "win32":
        return windows.creation_time(pid)
    fields = _stat_fields(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return f"{_boot_id()}:{pid}:{fields[19]}"


def _stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on (the name before it may hold blanks)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def limit_memory(most_bytes: int) -> None:
    """Let this process reserve so much memory of its own and no more; mapped files do not count.

    What asks for more gets a MemoryError, or ends the process. Windows has no such limit for a running process that
    it sets itself: nothing happens there.
    """
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held at once so far, mapped files that it read included."""
    if sys.platform == "win32":
        return windows.peak_working_set()
    if sys.platform == "linux":  # `getrusage` would tell the greater of this program's and its starter's
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def end_process_tree(process: subprocess.Popen[Any] | int, *, grace_seconds: float) -> None:
    """Ask a process to end, wait up to `grace_seconds`, then kill whatever is left of it and of all below it.

    A process that is already gone is fine, and what it left behind in its group is still ended.
    """
    pid = process if isinstance(process, int) else process.pid
    if sys.platform == "win32":
        windows.end_tree(process, grace_seconds)
        return
    running = _is_running(process)
    if not running and process_identity(pid) is not None:
        return  # it was waited for long ago, and its number is somebody else's now
    family = {member: process_identity(member) for member in _family(pid)}
    if running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if _wait_until_gone(process, grace_seconds):
            family.pop(pid, None)
        family.update((member, process_identity(member)) for member in _family(pid) if member != pid)
    for member, identity in family.items():
        if identity is not None and process_identity(member) == identity:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
    if not _wait_until_gone(process, REPLACE_PATIENCE_SECONDS):
        raise TimeoutError(f"Process {pid} does not end although it was killed.")


def _family(root: int) -> list[int]:
    """Return `root`, all its descendants and the members of its group: (pid, parent, group) from one look at /proc."""
    seen: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))) is not None:
            seen[int(entry.name)] = (int(fields[1]), int(fields[2]))
    family = {root}
    grown = True
    while grown:
        more = {pid for pid, (parent, group) in seen.items() if parent in family or group == root} - family
        family |= more
        grown = bool(more)
    return sorted(family & set(seen))


def _is_running(process: subprocess.Popen[Any] | int) -> bool:
    if isinstance(process, int):
        return process_identity(process) is not None
    return process.poll() is None


def _wait_until_gone(process: subprocess.Popen[Any] | int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _is_running(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


# -------------------------------------------------------------------------------------------- running-process notes


def note_process(path: Path | str, pid: int, **facts: Any) -> None:
    """Record a running process with its identity, for a later start to recognise it by."""
    note = {"pid": pid, "identity": process_identity(pid), **facts}
    write_atomically(path, json.dumps(note, indent=1, sort_keys=True).encode() + b"\n", mode=0o600)


def noted_process(path: Path | str) -> dict[str, Any] | None:
    """Return the note at `path` if the very process it names still runs, else None."""
    try:
        note = json.loads(Path(path).read_bytes())
        identity, pid = note["identity"], int(note["pid"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return dict(note) if identity and process_identity(pid) == identity else None


# ------------------------------------------------------------------------------------------------ signals and ports


def on_stop_signals(callback: Callable[[], None]) -> None:
    """Call `callback` (main thread, between two steps of Python) at Ctrl-C, SIGTERM, a closed terminal, Ctrl-Break."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, lambda _number, _frame: callback())


def free_ports(count: int) -> list[int]:
    """Return `count` distinct TCP ports of loopback that nobody listens on now.

    They lie below those that systems give to outgoing connections, so that a server may leave one and take it again.
    """
    drawn = random.SystemRandom().sample(_SERVER_PORTS, len(_SERVER_PORTS))
    return list(itertools.islice((port for port in drawn if not port_is_taken(port)), count))


def port_is_taken(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether somebody listens on the port, so that a server could not."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)):
                return True
            raise
    return False
