"""Codes that the snapshot lacks, read from the ERP by key within a short time: this morning's item is known at once.

A driver that hangs cannot be interrupted, so each reading has a thread of its own. Whoever waits gives up when the
time is over; until a hanging reading has ended no other one begins, so that there is never more than one.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast
from unicodedata import category

import structlog

from shared.clock import Clock, utc_now
from shared.erp.lookup.breaker import Breaker
from shared.erp.lookup.by_key import FreshItem, KeyedReading
from shared.errors import RoutingError, SourceUnavailable
from shared.settings import Settings

log = structlog.get_logger()

MOST_CODES = 100  # of one reading
REST_SECONDS = 30.0  # after a failure
FOUND_SECONDS = 60.0  # what was found is not read again for so long
MISSING_SECONDS = 5.0
_NEARLY = 0.9  # of the limit: starting a thread takes some of it too
_MOST_REMEMBERED = 2_000
_MOST_CHARACTERS = 200  # of an item code

Outcome = Literal["found", "missing", "failed", "skipped"]
Observe = Callable[[Outcome, int], None]


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What became of the codes that were looked up; those in neither part are not in the ERP."""

    found: dict[str, FreshItem]  # by the code asked for
    not_asked: dict[str, str]  # code -> why the ERP has not answered for it, as part of a sentence


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What one attempt to read gave."""

    found: dict[str, FreshItem]
    outcome: Outcome = "missing"  # of the codes that were not found
    why: str | None = None  # why nothing is known of these


@dataclass(kw_only=True)
class _Reading:
    """One reading under way, in its thread."""

    codes: Sequence[str]
    since: datetime | None
    found: dict[str, FreshItem] | None = None  # None: the items were not read yet
    trouble: str | None = None
    detail: str = ""
    begun: float = field(default_factory=time.monotonic)
    is_overdue: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class ItemLookup:
    """Finds items in the ERP by their codes. One instance a process; safe for any number of threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        observe: Observe = lambda _outcome, _codes: None,
        rest_seconds: float = REST_SECONDS,
        found_seconds: float = FOUND_SECONDS,
        missing_seconds: float = MISSING_SECONDS,
    ) -> None:
        """Look up in the ERP of `settings`; nothing is opened before the first look-up.

        Args:
            settings: name the profile, the source and the time limit.
            clock: the time of day.
            observe: told how many codes had which outcome.
            rest_seconds: how long the ERP is left alone after a failure.
            found_seconds: how long an item that was found is not read again.
            missing_seconds: the same for a code that the ERP does not have.
        """
        self._limit = settings.lookup_timeout_seconds
        self._clock = clock
        self._observe = observe
        self._breaker = Breaker(rest_seconds, clock)
        self._keyed = KeyedReading(settings, timeout_seconds=self._limit)
        self._slot = threading.Lock()  # held by the reading's thread, also when nobody waits for it any more
        self._memory = _Memory(found_seconds, missing_seconds)
        self._trouble = ""
        self._last: _Reading | None = None
        self._answered_at: datetime | None = None

    def find(self, codes: Iterable[str], *, since: datetime | None = None) -> Lookup:
        """Look the codes up, all in one reading, within the time limit; raises nothing.

        Args:
            codes: as somebody typed them; blanks around them and case do not matter where no two items differ by it.
            since: when the snapshot was read that lacks them; a folder untouched since then is not read.
        """
        deadline = time.monotonic() + self._limit
        asked = list(dict.fromkeys(codes))
        found, left = self._memory.recall([code for code in asked if _is_possible(code)])
        late = left[MOST_CODES:]
        not_asked = dict.fromkeys(late, f"only {MOST_CODES} codes of a request are looked up")
        answer = self._ask(left[:MOST_CODES], since, deadline) if left else _Answer(found={})
        found |= answer.found
        unknown = [code for code in left[:MOST_CODES] if code not in found]
        if answer.why is not None:
            not_asked |= dict.fromkeys(unknown, answer.why)
        self._count(found=len(found), missing=len(asked) - len(found) - len(late) - len(unknown), skipped=len(late))
        self._count(**{answer.outcome: len(unknown)})
        return Lookup(found=found, not_asked=not_asked)

    def status(self) -> dict[str, Any]:
        """Return what health says of the look-up; times are ISO, None where there was none."""
        state = self._breaker.state
        times = {
            "since": state.since, "asked_again_at": state.retry_at, "last_error_at": state.last_error_at,
            "last_answer_at": self._answered_at,
        }  # fmt: skip
        return {
            "state": "open" if state.is_open else "closed",
            **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
            "last_error": state.last_error,
            "limit_seconds": self._limit,
            "remembered": len(self._memory),
        }

    def forget(self) -> None:
        """Read every code from the ERP again when it is next asked for, over a new session unless one is in use."""
        self._memory.clear()
        self.close()

    def close(self) -> None:
        """Let go of the session, unless a reading that hangs has it."""
        if self._slot.acquire(blocking=False):
            try:
                self._keyed.close()
            finally:
                self._slot.release()

    def _count(self, **codes: int) -> None:
        for outcome, number in codes.items():
            if number:
                self._observe(cast("Outcome", outcome), number)

    def _ask(self, codes: Sequence[str], since: datetime | None, deadline: float) -> _Answer:
        admission = self._breaker.admit()
        if admission == "no":
            return self._resting("skipped")
        # On trial after a failure nobody waits: the reading that failed may still hang.
        wait = 0.0 if admission == "trial" else max(deadline - time.monotonic(), 0.0)
        if not self._slot.acquire(timeout=wait):
            self._judge_overdue()
            return self._resting("skipped")
        if admission == "yes" and self._breaker.state.is_open:
            self._slot.release()
            return self._resting("skipped")
        found, left = self._memory.recall(codes)  # another request may just have read the same
        if not left:
            self._slot.release()
            return _Answer(found=found)
        reading = _Reading(codes=left, since=since)
        self._start(reading)
        answer = self._wait(reading, deadline)
        return replace(answer, found=found | answer.found)

    def _start(self, reading: _Reading) -> None:
        self._last = reading
        try:
            threading.Thread(target=self._read, args=(reading,), name="erp-lookup", daemon=True).start()
        except RuntimeError as no_thread:
            self._slot.release()
            reading.trouble, reading.detail = "the ERP could not be asked", str(no_thread)
            reading.done.set()

    def _read(self, reading: _Reading) -> None:
        def take(found: dict[str, FreshItem]) -> None:
            reading.found = found

        era = self._memory.era
        try:
            self._keyed.read(reading.codes, since=reading.since, now=self._clock(), found=take)
            self._memory.keep(reading.codes, reading.found or {}, era=era)
            self._answered_at = self._clock()
        except SourceUnavailable as away:
            reading.trouble, reading.detail = "the ERP does not answer", str(away)
        except (RoutingError, OSError) as wrong:
            reading.trouble, reading.detail = "the ERP cannot be read (health says why)", str(wrong)
        except Exception as unexpected:  # a look-up that fails in a new way must not cost the answer
            log.exception("erp.lookup_defect")
            reading.trouble, reading.detail = "the ERP cannot be read (the log says why)", type(unexpected).__name__
        finally:
            self._slot.release()
            reading.done.set()

    def _wait(self, reading: _Reading, deadline: float) -> _Answer:
        in_time = reading.done.wait(max(deadline - time.monotonic(), 0.0))
        if in_time and reading.trouble is None:
            self._breaker.succeeded()
        elif in_time and reading.trouble is not None:
            self._fail(reading.trouble, reading.detail)
        elif reading.found is None:
            self._judge_overdue()
        if reading.found is not None:  # at most routings are lacking, or codes that the ERP writes in another way
            return _Answer(found=reading.found)
        return self._resting("failed")

    def _judge_overdue(self) -> None:
        """Open the breaker where the last reading has had its time; one that began late only made others wait."""
        last = self._last
        if last is not None and not last.is_overdue and time.monotonic() - last.begun >= _NEARLY * self._limit:
            last.is_overdue = True
            overdue = f"the ERP did not answer within {self._limit:g} s"
            self._fail(overdue, overdue)

    def _fail(self, trouble: str, detail: str) -> None:
        self._trouble = trouble
        self._breaker.failed(detail)
        log.warning("erp.lookup_failed", error=detail, limit_seconds=self._limit)

    def _resting(self, outcome: Outcome) -> _Answer:
        """Return why nothing is asked just now."""
        retry_at = self._breaker.state.retry_at
        if retry_at is None:
            return _Answer(found={}, outcome=outcome, why="other look-ups in the ERP took all the time there is")
        again = f"{self._trouble}; it is asked again from {retry_at:%H:%M:%S} UTC"
        return _Answer(found={}, outcome=outcome, why=again)


def _is_possible(code: str) -> bool:
    """Tell whether an ERP can have such a code: short, without control characters or halves of characters."""
    return 0 < len(code) <= _MOST_CHARACTERS and not any(category(letter) in ("Cc", "Cs") for letter in code)


class _Memory:
    """What was found, and what was not, for a short while; bounded."""

    def __init__(self, found_seconds: float, missing_seconds: float) -> None:
        self._seconds = (missing_seconds, found_seconds)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, FreshItem | None]] = OrderedDict()
        self.era = 0  # raised by every clearing: what was read before it is not kept after it

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget everything, what is being read at this moment included."""
        with self._lock:
            self._known.clear()
            self.era += 1

    def recall(self, codes: Sequence[str]) -> tuple[dict[str, FreshItem], list[str]]:
        """Return the items that are remembered, and the codes of which nothing is."""
        now = time.monotonic()
        found: dict[str, FreshItem] = {}
        left = []
        with self._lock:
            for code in codes:
                until, item = self._known.get(code, (0.0, None))
                if now >= until:
                    left.append(code)
                elif item is not None:
                    found[code] = item
        return found, left

    def keep(self, codes: Sequence[str], found: dict[str, FreshItem], *, era: int) -> None:
        """Remember what one reading gave for these codes, unless all was forgotten since it began in `era`."""
        now = time.monotonic()
        with self._lock:
            if era != self.era:
                return
            for code in codes:
                self._known.pop(code, None)
                self._known[code] = (now + self._seconds[code in found], found.get(code))
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
