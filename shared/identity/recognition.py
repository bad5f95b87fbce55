"""Who holds a key or a session: remembered for a moment, so that not every read waits for the database."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import StrEnum

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.identity.api_keys import Holder

log = structlog.get_logger()

REMEMBERED_SECONDS = 1.0  # so long after it was revoked, a key may still read; it changes nothing from that moment on
BELIEVED_SECONDS = 300.0  # so long reads go on while the database is away
MOST_REMEMBERED = 1_000


class Shown(StrEnum):
    """What was shown to say who calls."""

    KEY = "key"
    SESSION = "session"


class Recognition:
    """Tells whom a key or a session stands for. Safe to use from several threads."""

    def __init__(self, ask: Mapping[Shown, Callable[[str], Holder | None]], *, note_use: Callable[[str], None]) -> None:
        """Ask the database by `ask`; `note_use` keeps that a key was used."""
        self._ask = ask
        self._note_use = note_use
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, Holder]] = OrderedDict()  # when it was asked, and whom
        self._noting: threading.Thread | None = None

    def remembered(self, shown: Shown, text: str) -> Holder | None:
        """Return whom it stood for a moment ago, without asking the database."""
        return self._recall(_name(shown, text), REMEMBERED_SECONDS)

    def holder_of(self, shown: Shown, text: str, *, reads_only: bool) -> Holder | None:
        """Return whom it stands for, or None; a change asks the database each time.

        Raises:
            SQLAlchemyError: the database is away, and this was not right lately, or is used for a change.
        """
        if reads_only and (known := self.remembered(shown, text)) is not None:
            return known
        name = _name(shown, text)
        try:
            holder = self._ask[shown](text)
        except SQLAlchemyError:
            if reads_only and (known := self._recall(name, BELIEVED_SECONDS)) is not None:
                return known
            raise
        with self._lock:
            self._known.pop(name, None)
            if holder is not None:
                self._known[name] = (time.monotonic(), holder)
                while len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        if holder is not None and holder.key_id is not None and not holder.use_is_noted:
            self._note_in_the_background(holder.key_id)
        return holder

    def forget(self, shown: Shown, text: str) -> None:
        """Ask the database anew the next time."""
        with self._lock:
            self._known.pop(_name(shown, text), None)

    def close(self) -> None:
        """Wait for what is being noted."""
        if self._noting is not None:
            self._noting.join()

    def _recall(self, name: bytes, seconds: float) -> Holder | None:
        with self._lock:
            asked, holder = self._known.get(name, (0.0, None))
        return holder if holder is not None and time.monotonic() - asked < seconds else None

    def _note_in_the_background(self, key_id: str) -> None:
        """Keep that a key was used; no answer waits for the disk, and none is refused for its sake."""
        with self._lock:
            if self._noting is not None and self._noting.is_alive():
                return  # the next request of that key notes it
            self._noting = threading.Thread(target=self._note, args=(key_id,), name="key-use", daemon=True)
            self._noting.start()

    def _note(self, key_id: str) -> None:
        try:
            self._note_use(key_id)
        except SQLAlchemyError as error:
            log.warning("key.use_not_noted", key_id=key_id, error=type(error).__name__)


def _name(shown: Shown, text: str) -> bytes:
    return hashlib.sha256(f"{shown} {text}".encode()).digest()
