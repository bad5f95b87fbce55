"""The host's log for people: its lines parsed, filtered and without secrets, page by page in both directions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import orjson

from shared.audit.redaction import clean_text, is_harmless, redacted
from shared.operations.log_files import NAME, LogFiles, Place, RawLine

Level = Literal["debug", "info", "warning", "error", "critical"]

MOST_BYTES = 4 * 1024 * 1024  # of the log that one page looks through
MOST_DOWNLOADED_BYTES = 16 * 1024 * 1024
MOST_DOWNLOADED_LINES = 20_000
LONGEST_TEXT = 20_000  # characters of one line that are shown
_SEVERITIES = {"trace": 0, "debug": 1, "information": 2, "info": 2, "warn": 3, "warning": 3, "error": 4,
               "exception": 4, "fail": 4, "critical": 5, "crit": 5}  # fmt: skip
_NAMES: tuple[Level, ...] = ("debug", "debug", "info", "warning", "error", "critical")
_HEAD = ("timestamp", "level", "event", "process")
_STAMPED = re.compile(rb"\[(\d{4}-\d\d-\d\dT[0-9:.]+Z)\]\s(.*)", re.DOTALL)  # as Core Tools begins its lines
_APP = "app"
_ADDED_WORDS = frozenset({*_SEVERITIES, _APP, "host", "-", "left", "out"})  # shown where the line may not have them
_BETWEEN_WORDS = re.compile(r"[^\w.:-]+")  # what JSON writes otherwise than it is shown


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    """Which lines: those that have all that is given."""

    level: Level | None = None  # the least; a line that names no level is always shown
    event: str = ""  # an event's code; all that begin so where it ends in a full stop
    text: str = ""  # in the line as it is shown, whatever its case

    @cached_property
    def wanted_text(self) -> str:
        """The text that is looked for, without case."""
        return self.text.casefold()

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """What a line holds as it was written where it holds the text as it is shown: far faster to look for."""
        words = _BETWEEN_WORDS.split(self.wanted_text)
        same = (word for word in words if word.isascii() or word == word.upper())  # case does not change their bytes
        return tuple(word.encode() for word in same if word not in _ADDED_WORDS)


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line; one that is no JSON object has its whole text as `event`, and no level."""

    time: str | None  # RFC 3339, as it was written
    level: Level | None
    event: str
    source: str  # the host's process that wrote it (host, http, event), or app
    fields: dict[str, Any] = field(default_factory=dict)
    is_json: bool = True


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Lines, oldest first, and the places from which to go on."""

    items: list[LogLine]
    before: str | None  # asks for older lines; None where the log begins here
    after: str | None  # asks for what is written later; None while there is no line
    more: bool  # there are lines further on in the asked direction
    gap: bool = False  # the asked place is gone, so these are the newest lines
    written_at: datetime | None = None  # when the log was last written to
    message: str | None = None  # why there is nothing to show


def newest_lines(
    folder: Path, query: LogQuery, *, limit: int, before: Place | None = None, most_bytes: int = MOST_BYTES
) -> LogPage:
    """Return the newest matching lines, before a place where one is given; looks through `most_bytes` at most."""
    with LogFiles(folder) as files:
        gap = before is not None and not files.has(before)
        start = files.end if before is None or gap else before
        if start is None:
            return LogPage(items=[], before=None, after=None, more=False, gap=gap, message=_nothing(folder, files))
        found, reached, is_all = _search(files.before(start), query, limit, most_bytes)
        oldest = start if reached is None else reached.start
        return LogPage(
            items=found[::-1], before=None if is_all else str(oldest), after=str(start), more=not is_all, gap=gap,
            written_at=files.written_at,
        )  # fmt: skip


def following_lines(folder: Path, query: LogQuery, *, limit: int, after: Place) -> LogPage:
    """Return matching lines that were written after a place; the newest ones, and `gap`, where it is gone."""
    with LogFiles(folder) as files:
        if files.has(after):
            found, reached, is_all = _search(files.after(after), query, limit, MOST_BYTES)
            newest = after if reached is None else reached.end
            return LogPage(
                items=found, before=str(after), after=str(newest), more=not is_all, written_at=files.written_at
            )
    page = newest_lines(folder, query, limit=limit)
    return LogPage(**{**page.__dict__, "gap": True})


def log_text(folder: Path, query: LogQuery) -> str:
    """Return the newest matching lines as text, oldest first; its first line says so where older ones are left out."""
    page = newest_lines(folder, query, limit=MOST_DOWNLOADED_LINES, most_bytes=MOST_DOWNLOADED_BYTES)
    notes = ["# Older lines are left out here; they stand in the log's own files."] if page.more else []
    notes += [f"# {page.message}"] if page.message else []
    return "".join(f"{text}\n" for text in (*notes, *map(as_text, page.items)))


def as_text(line: LogLine) -> str:
    """Return a line for reading; what has several lines of its own, such as a trace, follows indented."""
    facts, below = [], ""
    for name, value in line.fields.items():
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        if "\n" in shown:
            below += "\n" + "\n".join(f"    {part}" for part in shown.rstrip().split("\n"))
        else:
            facts.append(f"{name}={shown}")
    head = (line.time or "-", (line.level or "-").upper(), line.source, line.event)
    return " ".join((*head, *facts)) + below


def _nothing(folder: Path, files: LogFiles) -> str:
    if files.written_at is not None:
        return f"{folder / NAME} has no line yet."
    return (
        f"There is no {folder / NAME}: it is written by `manage.py up`. A host that was started in another way writes"
        " its lines where its own standard output goes."
    )


def _search(
    lines: Iterable[RawLine], query: LogQuery, limit: int, most_bytes: int
) -> tuple[list[LogLine], RawLine | None, bool]:
    """Return the matching lines in their order, the last line that was looked at, and whether that was all."""
    found: list[LogLine] = []
    looked_at = 0
    last: RawLine | None = None
    for raw in lines:
        if len(found) >= limit or looked_at >= most_bytes:
            return found, last, False
        last, looked_at = raw, looked_at + len(raw.text) + 1
        line = _matching(raw.text, query)
        if line is not None:
            found.append(line)
    return found, last, True


def _matching(raw: bytes, query: LogQuery) -> LogLine | None:
    """Return a line without its secrets, or None where it does not match: a secret is not even found."""
    lower = raw.lower()
    if not lower.strip() or not all(word in lower for word in query.words):
        return None
    stamped = _STAMPED.fullmatch(raw)
    time, content = (stamped[1].decode(), stamped[2]) if stamped else (None, raw)
    record = _record(content)
    if record is None:
        return _plain(content, time, query)
    severity = _SEVERITIES.get(str(record.get("level", "")).lower())
    if severity is not None and query.level is not None and severity < _SEVERITIES[query.level]:
        return None
    event = str(record.get("event", ""))
    if query.event and event != query.event and not (query.event.endswith(".") and event.startswith(query.event)):
        return None
    if not is_harmless(content.decode("utf-8", "replace")):
        record = redacted(record)
    event = str(record.get("event", ""))
    line = LogLine(
        time=str(record["timestamp"])[:40] if "timestamp" in record else time,
        level=None if severity is None else _NAMES[severity],
        event=event[:LONGEST_TEXT],
        source=str(record.get("process", _APP))[:40],
        fields={name: _short(value) for name, value in record.items() if name not in _HEAD},
    )
    return line if _has(line, query) else None


def _plain(content: bytes, time: str | None, query: LogQuery) -> LogLine | None:
    if query.event:
        return None
    text = clean_text(content.decode("utf-8", "replace"))[:LONGEST_TEXT]
    line = LogLine(time=time, level=None, event=text, source="host", is_json=False)
    return line if _has(line, query) else None


def _has(line: LogLine, query: LogQuery) -> bool:
    return not query.text or query.wanted_text in as_text(line).casefold()


def _record(content: bytes) -> dict[str, Any] | None:
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        record = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _short(value: Any) -> Any:
    """Return a value, or the beginning of its text where it is long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return value if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"
