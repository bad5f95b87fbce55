"""Who holds a key, asked for every request: remembered for a moment, so that a read does not wait for the database."""

import threading
import time
from collections import OrderedDict

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.identity.api_keys import ApiKeys, Holder, digest_of

log = structlog.get_logger()

REMEMBERED_SECONDS = 1.0  # so long after it was revoked, a key may still read; it changes nothing from that moment on
BELIEVED_SECONDS = 300.0  # so long reads go on while the database is away
MOST_REMEMBERED = 1_000


class Recognition:
    """Tells whom a key stands for. Safe to use from several threads."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Holder]] = OrderedDict()  # by digest: when it was asked, and whom
        self._noting: threading.Thread | None = None

    def remembered(self, text: str) -> Holder | None:
        """Return whom a key stood for a moment ago, without asking the database."""
        return self._recall(digest_of(text), REMEMBERED_SECONDS)

    def holder_of(self, text: str, *, reads_only: bool) -> Holder | None:
        """Return whom a key stands for, or None; a change asks the database each time.

        Raises:
            SQLAlchemyError: the database is away, and the key was not right lately, or is used for a change.
        """
        if reads_only and (known := self.remembered(text)) is not None:
            return known
        digest = digest_of(text)
        try:
            holder = self._keys.holder_of(text)
        except SQLAlchemyError:
            if reads_only and (known := self._recall(digest, BELIEVED_SECONDS)) is not None:
                return known
            raise
        with self._lock:
            self._known.pop(digest, None)
            if holder is not None:
                self._known[digest] = (time.monotonic(), holder)
                while len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        if holder is not None and not holder.use_is_noted:
            self._note_in_the_background(holder.key_id)
        return holder

    def close(self) -> None:
        """Wait for what is being noted."""
        if self._noting is not None:
            self._noting.join()

    def _recall(self, digest: str, seconds: float) -> Holder | None:
        with self._lock:
            asked, holder = self._known.get(digest, (0.0, None))
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
            self._keys.note_use(key_id)
        except SQLAlchemyError as error:
            log.warning("key.use_not_noted", key_id=key_id, error=type(error).__name__)
