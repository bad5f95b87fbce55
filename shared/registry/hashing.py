"""A file's SHA-256, and how to tell that it is still the file that was hashed."""

import hashlib
import stat
from pathlib import Path
from typing import NamedTuple

_PIECE_BYTES = 1 << 20  # read and hashed without the interpreter's lock, which others want


class FileIdentity(NamedTuple):
    """What changes with a file: another file in its place has another number, writing to it moves its times."""

    device: int
    number: int
    bytes: int
    written_ns: int
    changed_ns: int


def identity_of(path: Path) -> FileIdentity | None:
    """Return a plain file's identity, None for a link, a folder, a device or nothing."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def hash_file(path: Path) -> str:
    """Return a file's SHA-256 as lower-case hexadecimal text."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(piece):
            digest.update(piece[:read])
    return digest.hexdigest()
