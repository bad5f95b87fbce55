"""The host's log as one run of lines over the file and those that it was rotated into, read from any place in it.

`manage.py up` appends what its host says to `host.log` and moves a full one to `host.log.1` and so on, so a place is
kept as a file's identity and an offset in it: it stays the same place when the file gets another name.
"""

import contextlib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

NAME = "host.log"
PLACE_PATTERN = r"^[0-9a-f]{1,32}-[0-9a-f]{8}\.[0-9]{1,15}$"
_OLDER_FILES = 9  # that are looked for; `up` keeps fewer
_IDENTIFYING_BYTES = 200  # of the first line, which holds the moment it was written
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place between two lines."""

    file: str
    offset: int

    @classmethod
    def read(cls, text: str) -> "Place":
        """Return the place that `str` wrote; ValueError where it is none."""
        if not re.fullmatch(PLACE_PATTERN, text):
            raise ValueError(f"{text[:60]!r} is no place in the log")
        file, _, offset = text.rpartition(".")
        return cls(file=file, offset=int(offset))

    def __str__(self) -> str:
        return f"{self.file}.{self.offset}"


@dataclass(frozen=True, kw_only=True)
class RawLine:
    """One line as it was written, without its end, and the places around it."""

    text: bytes
    start: Place
    end: Place


@dataclass(frozen=True, kw_only=True)
class _File:
    id: str
    stream: IO[bytes]
    end: int  # behind the last whole line, or the size where nobody writes to it any more

    def place(self, offset: int) -> Place:
        return Place(file=self.id, offset=offset)

    def line(self, text: bytes, start: int, end: int) -> RawLine:
        return RawLine(text=text, start=self.place(start), end=self.place(end))

    def read(self, start: int, end: int) -> bytes:
        self.stream.seek(start)
        return self.stream.read(end - start)


class LogFiles:
    """The log's files, open while the `with` block lasts: a rotation meanwhile changes nothing of what is read."""

    def __init__(self, folder: Path) -> None:
        """Read the log in `folder`, whether or not there is one."""
        self._folder = folder
        self._open = contextlib.ExitStack()
        self._files: list[_File] = []  # oldest first
        self.written_at: datetime | None = None  # when the newest was last written to; None: there is no log

    def __enter__(self) -> Self:
        # The newest first: what is rotated meanwhile is met again under its next name, and never missed.
        for number in range(_OLDER_FILES + 1):
            name = NAME if number == 0 else f"{NAME}.{number}"
            with contextlib.suppress(FileNotFoundError):
                stream = self._open.enter_context((self._folder / name).open("rb"))
                self._take(stream, is_written_to=number == 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _take(self, stream: IO[bytes], *, is_written_to: bool) -> None:
        facts = os.fstat(stream.fileno())
        if self.written_at is None:
            self.written_at = datetime.fromtimestamp(facts.st_mtime, UTC)
        beginning, newline, _ = stream.read(_IDENTIFYING_BYTES).partition(b"\n")
        if not newline and len(beginning) < _IDENTIFYING_BYTES:
            return  # not one whole line yet
        identity = f"{facts.st_ino:x}-{zlib.crc32(beginning):08x}"
        if all(known.id != identity for known in self._files):
            end = _whole_lines_end(stream, facts.st_size) if is_written_to else facts.st_size
            self._files.insert(0, _File(id=identity, stream=stream, end=end))

    @property
    def end(self) -> Place | None:
        """The place behind the newest whole line; None where there is no line."""
        return self._files[-1].place(self._files[-1].end) if self._files else None

    def has(self, place: Place) -> bool:
        """Whether a place is still there."""
        return any(file.id == place.file and place.offset <= file.end for file in self._files)

    def before(self, place: Place) -> Iterator[RawLine]:
        """Yield the lines before a place that is there, newest first."""
        number = self._number_of(place)
        for file in reversed(self._files[: number + 1]):
            yield from _backwards(file, place.offset if file.id == place.file else file.end)

    def after(self, place: Place) -> Iterator[RawLine]:
        """Yield the lines after a place that is there, oldest first."""
        for file in self._files[self._number_of(place) :]:
            yield from _forwards(file, place.offset if file.id == place.file else 0)

    def _number_of(self, place: Place) -> int:
        return next(number for number, file in enumerate(self._files) if file.id == place.file)


def _whole_lines_end(stream: IO[bytes], size: int) -> int:
    """Return the offset behind the last whole line; the size where the last line is too long to look for its start."""
    start = max(0, size - _CHUNK_BYTES)
    stream.seek(start)
    found = stream.read(size - start).rfind(b"\n")
    return start + found + 1 if found >= 0 else size


def _backwards(file: _File, end: int) -> Iterator[RawLine]:
    """Yield lines from `end` on, newest first; a line longer than a chunk comes in pieces."""
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        chunk = file.read(start, end)
        if start > 0:
            torn = chunk.find(b"\n", 0, len(chunk) - 1) + 1  # the rest of a line that began before; 0: all is one line
            start, chunk = start + torn, chunk[torn:]
        for text in reversed(_with_ends(chunk)):
            yield file.line(text.rstrip(b"\r\n"), end - len(text), end)
            end -= len(text)
        end = start


def _forwards(file: _File, start: int) -> Iterator[RawLine]:
    """Yield lines from `start` on, oldest first; a line longer than a chunk comes in pieces."""
    while start < file.end:
        chunk = file.read(start, min(file.end, start + _CHUNK_BYTES))
        if not chunk:
            return  # it was cut short meanwhile
        last = chunk.rfind(b"\n") + 1
        for text in _with_ends(chunk[:last] if last else chunk):
            yield file.line(text.rstrip(b"\r\n"), start, start + len(text))
            start += len(text)


def _with_ends(chunk: bytes) -> list[bytes]:
    """Return a chunk's lines with what ends them; the last one may have no end."""
    lines = [line + b"\n" for line in chunk.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
