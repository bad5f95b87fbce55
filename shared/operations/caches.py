"""What the processes of an instance keep in memory, and how a person has all of them forget it.

A clearing is an appended event in the database. Each process looks for new ones: one that answers requests at every
look of its watcher (`active_poll_seconds`), one that runs queues and timers before every piece of work. So a clearing
reaches processes that were busy or away when it was asked for, and one that starts later has nothing to forget.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

import structlog

from shared.database.models import ModelVersions
from shared.database.tables import ModelEvent

log = structlog.get_logger()


class Cache(StrEnum):
    """One kind of thing that is kept."""

    MODEL = "model"  # the served model: read, checked and warmed again, the old one answers meanwhile
    ITEMS = "items"  # codes that were looked up in the ERP, and the session with it
    CONFIGURATION = "configuration"  # the live configuration's document
    SNAPSHOT = "snapshot"  # the opened snapshot, and what quality cycles made of it
    DROPS = "drops"  # which dropped packages the sweep has seen


class Caches:
    """The caches of one process; safe for several threads."""

    def __init__(self, versions: ModelVersions, forget: Mapping[Cache, Callable[[], object]]) -> None:
        """Follow the clearings among the events of `versions`; `forget` is how each cache of this process is emptied.

        A clearing that is older than the first `follow` is nothing to this process.
        """
        self._versions = versions
        self._forget = forget
        self._following = threading.Lock()  # a request that clears and the watcher would forget the same thing twice
        self._followed: int | None = None  # the id of the last clearing that this process knows of

    def clear(self, caches: Iterable[Cache] = tuple(Cache), *, actor: str, reason: str) -> ModelEvent:
        """Have every process forget these caches, all unless named, and return the event; this process does at once."""
        wanted = [cache.value for cache in dict.fromkeys(caches)]
        if self._followed is None:
            self.follow()
        event = self._versions.clear_caches(wanted, actor=actor, reason=reason)
        self.follow()
        return event

    def follow(self) -> list[Cache]:
        """Forget what was asked for since the last call, and return which caches these were."""
        with self._following:
            return self._follow()

    def _follow(self) -> list[Cache]:
        if self._followed is None:
            last = self._versions.last_clearing()
            self._followed = _id_of(last) if last is not None else 0
            return []
        new = self._versions.clearings(after_id=self._followed)
        asked = {name for event in new for name in (event.details or {}).get("caches", ())}
        cleared = [cache for cache in Cache if cache in asked]
        for cache in cleared:
            self._forget[cache]()
        if new:
            self._followed = _id_of(new[-1])
            log.info("caches.cleared", caches=cleared, actor=new[-1].actor, reason=new[-1].reason)
        return cleared

    def last(self) -> dict[str, Any] | None:
        """Return when which caches were last cleared, and by whom; None where nobody ever did."""
        event = self._versions.last_clearing()
        return None if event is None else clearing_facts(event)


def clearing_facts(event: ModelEvent) -> dict[str, Any]:
    """Return a clearing as JSON values."""
    caches = (event.details or {}).get("caches", [])
    return {"at": event.at.isoformat(), "actor": event.actor, "reason": event.reason, "caches": caches}


def _id_of(event: ModelEvent) -> int:
    assert event.id is not None  # it was read from the database
    return event.id
