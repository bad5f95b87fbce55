"""A log file that stays bounded while several processes write it, each with whole lines.

Every process of a host opens the file itself, for appending, and puts it in the place of its standard output and error,
so that what the app or a native library prints is in it as well. The host alone moves a full file aside by renaming it;
the others notice within a moment that the name means another file now, and open that one. Until then they write into
the file that was moved: no line is lost or torn, and nothing is asked or locked for a line.

On Windows the file is opened in a way that allows renaming while it is open. A reader that was not so kind delays the
move until it has closed.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_FOLLOW_SECONDS, _MOVE_SECONDS = 0.25, 1.0


class LogFile:
    """The log of one host."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path

    def take_over(self) -> None:
        """Let standard output and error of this process end in the file.

        Raises:
            OSError: it cannot be opened for writing.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        opened = _open_for_appending(self._path)
        for standard in (1, 2):
            os.dup2(opened, standard)  # what is still buffered, half a line perhaps, goes to the new file as a whole
        os.close(opened)

    def follow(self, *, every_seconds: float = _FOLLOW_SECONDS) -> None:
        """From now on open the file again whenever it was moved, in a process that does not move it."""
        _repeat(self._take_up_again, every_seconds)

    def keep_bounded(self, max_bytes: int, keep: int, *, every_seconds: float = _MOVE_SECONDS) -> None:
        """From now on move the file aside whenever it is full; to be called in one process only.

        `max_bytes` may be passed by what is written within about a second; `keep` older files remain as `.1` (the
        newest), `.2` and so on.
        """
        _repeat(lambda: self._move_when_full(max_bytes, keep), every_seconds)

    def _take_up_again(self) -> None:
        here = os.fstat(1)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return  # it is being moved
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            self.take_over()

    def _move_when_full(self, max_bytes: int, keep: int) -> None:
        if os.fstat(1).st_size < max_bytes:
            return
        for number in range(keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._older(number).replace(self._older(number + 1))
        self._path.replace(self._older(1))
        self.take_over()

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _repeat(action: Callable[[], None], every_seconds: float) -> None:
    def run() -> None:
        while True:
            time.sleep(every_seconds)
            with contextlib.suppress(OSError):  # a full disk, or a reader on Windows: next time
                action()

    threading.Thread(target=run, name="log-file", daemon=True).start()


def _open_for_appending(path: Path) -> int:
    if sys.platform != "win32":
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    import ctypes
    import msvcrt
    from ctypes import wintypes

    append_and_wait, share_all, open_always, ordinary = 0x0004 | 0x00100000, 0x7, 4, 0x80
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = wintypes.HANDLE
    handle = kernel.CreateFileW(str(path), append_and_wait, share_all, None, open_always, ordinary, None)
    if handle is None or handle == wintypes.HANDLE(-1).value:
        raise ctypes.WinError(ctypes.get_last_error())
    return msvcrt.open_osfhandle(handle, os.O_APPEND)
