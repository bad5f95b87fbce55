"""What an attempt at a job tells while it runs: the lines of its log and its expected end.

Lines wait in memory until a heartbeat, or the write that ends the attempt, carries them: so they cost the work
nothing, and a worker that lost its job adds none.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.clock import Clock, utc_now
from shared.database.tables import JobLine
from shared.training.pace import expected_end

LINES_AN_ATTEMPT = 400
LONGEST_LINE = 1_000
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class _Line:
    at: datetime
    level: str
    message: str


class JobLog:
    """The lines of one attempt; `shared.database.pulse.Notes`."""

    def __init__(self, job_id: str, attempt: int, *, usual_seconds: float | None = None, clock: Clock = utc_now):
        """Begin now; `usual_seconds` is what jobs of this kind take, where known."""
        self._job_id = job_id
        self._attempt = attempt
        self._usual_seconds = usual_seconds
        self._clock = clock
        self._begun = time.monotonic()
        self._waiting: list[_Line] = []
        self._said = 0
        self._step = ""
        self._carrying = threading.Lock()

    def reported(self, percent: float, step: str) -> None:
        """Note a line for each new step."""
        if step != self._step:
            self._step = step
            self.say(f"{percent:.0f} %: {step}")

    def say(self, message: str, level: str = "info", *, last: bool = False) -> None:
        """Note a line; beyond the bound only a `last` one, which says how the attempt ended."""
        if not last:
            self._said += 1
            if self._said > LINES_AN_ATTEMPT:
                return
            if self._said == LINES_AN_ATTEMPT:
                message = f"This attempt has said {LINES_AN_ATTEMPT} lines; further ones are not kept."
        self._waiting.append(_Line(self._clock(), level if level in LEVELS else "info", readable(message)))

    def columns(self, percent: float | None, /) -> dict[str, Any]:
        """Return the expected end at this progress."""
        elapsed_seconds = time.monotonic() - self._begun
        end = expected_end(
            self._clock(), elapsed_seconds=elapsed_seconds, percent=percent, usual_seconds=self._usual_seconds
        )
        return {"expected_end_at": end}

    @contextmanager
    def carried(self) -> Iterator[list[JobLine]]:
        """Hand out the waiting lines as rows; an error in the block leaves them waiting."""
        with self._carrying:
            count = len(self._waiting)
            yield [job_line(self._job_id, self._attempt, line) for line in self._waiting[:count]]
            del self._waiting[:count]


def job_line(job_id: str, attempt: int, line: _Line) -> JobLine:
    """Return the row of one line."""
    return JobLine(job_id=job_id, attempt=attempt, level=line.level, message=line.message, at=line.at)


def single_line(job_id: str, attempt: int, message: str, *, at: datetime) -> JobLine:
    """Return the row of a line that no attempt says, such as who asked for the job."""
    return job_line(job_id, attempt, _Line(at, "info", readable(message)))


def readable(message: str) -> str:
    """Return one line of at most 1,000 printable characters."""
    joined = " ".join(message[: 4 * LONGEST_LINE].split())
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in joined)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"
