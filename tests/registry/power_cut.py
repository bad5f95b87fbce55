"""A disk that loses, at a power cut, what nobody asked it to keep.

`HOOK` is run first by a process and writes down each `os.fsync` with its moment. After the process was killed, `cut`
does to a folder the worst that a file system may do: a file that was changed after it was last synced is empty, and a
name that was given after its folder was last synced is gone, with all below it.

Clocks of files run a few milliseconds late, so a change just after a sync may count as one before it. Databases sync by
themselves, outside of Python, and are left as they are.
"""

import json
import os
import shutil
from pathlib import Path

HOOK = """
import json, os, time
_log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
_fsync = os.fsync
def _told(descriptor):
    found, at = os.fstat(descriptor), time.time_ns()
    _fsync(descriptor)
    os.write(_log, json.dumps([found.st_dev, found.st_ino, at]).encode() + b"\\n")
os.fsync = _told
"""


def cut(folder: Path, log: Path) -> list[str]:
    """Lose what was not synced below `folder`, itself left in its place; return what was lost."""
    synced: dict[tuple[int, int], int] = {}
    for line in log.read_text(encoding="ascii").splitlines() if log.exists() else []:
        device, number, at = json.loads(line)
        synced[device, number] = at
    lost: list[str] = []
    _lose_below(folder, folder, synced, lost)
    return lost


def _lose_below(folder: Path, top: Path, synced: dict[tuple[int, int], int], lost: list[str]) -> None:
    kept_until = _last_sync(folder.lstat(), synced)
    for entry in sorted(folder.iterdir()):
        found = entry.lstat()
        if found.st_ctime_ns > kept_until:
            lost.append(f"{entry.relative_to(top)}: its name")
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        elif entry.is_dir():
            _lose_below(entry, top, synced, lost)
        elif found.st_mtime_ns > _last_sync(found, synced):
            lost.append(f"{entry.relative_to(top)}: its content")
            entry.write_bytes(b"")


def _last_sync(found: os.stat_result, synced: dict[tuple[int, int], int]) -> int:
    return synced.get((found.st_dev, found.st_ino), 0)
