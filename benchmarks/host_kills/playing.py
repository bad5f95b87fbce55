"""Plays a load of messages and blobs against hosts that are killed at random moments, and counts what was handled."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from funchost.keeper import descendants
from tests.conformance.hosts import EmbeddedHost, eventually
from tests.conformance.workshop import Workshop

APP = """
    def handled(kind, name, id, attempt):
        record(what="begun", kind=kind, name=name, id=id, attempt=attempt)
        time.sleep(float(os.environ["TAKES"]))
        record(what="done", kind=kind, name=name, id=id, attempt=attempt)

    @app.queue_trigger(arg_name="msg", queue_name="work-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        handled("message", msg.get_body().decode(), msg.id, msg.dequeue_count)

    @app.blob_trigger(
        arg_name="blob", path="drop-TAG/{name}", connection="AzureWebJobsStorage", data_type=func.DataType.BINARY
    )
    def notice(blob: func.InputStream) -> None:
        handled("blob", blob.name.partition("/")[2], blob.name, None)
"""
FIVE_TRIES = {"queues": {"maxDequeueCount": 5}, "blobs": {"poisonBlobThreshold": 5}}  # as hosts have by default
PATIENCE_SECONDS = 120.0  # longer than any lease of a killed host (30 s) and its messages' visibility time
QUIET_SECONDS = 1.0  # after the last message has gone


@dataclass(frozen=True, kw_only=True)
class Play:
    """What is played: how much load over which time, on how many hosts, and what goes wrong meanwhile."""

    messages: int
    blobs: int
    seconds: float
    hosts: int = 1
    kills: int = 0
    restart_storage: Callable[[], None] | None = None  # once, half-way
    visibility_seconds: int = 4
    takes_seconds: float = 0.3
    seed: int = 42


@dataclass(kw_only=True)
class Tally:
    """What came of it."""

    killed_hosts: int = 0
    killed_workers: int = 0
    handled: Counter[str] = field(default_factory=Counter)  # by kind, each thing once
    doubled: Counter[str] = field(default_factory=Counter)  # by kind, handled to the end more than once
    doubled_at: Counter[int] = field(default_factory=Counter)  # messages by the dequeue count of a later time
    cut: int = 0  # begun, and not ended, by a process that was killed
    unexplained: list[str] = field(default_factory=list)  # doubled though nobody killed who had handled it before
    lost: list[str] = field(default_factory=list)
    sent_twice: int = 0  # two messages of one name: their sender's client repeated what storage did not answer
    buried: int = 0
    seconds: float = 0.0


class Hosts:
    """The hosts on one storage, and whom of their processes somebody has killed."""

    def __init__(self, workshop: Workshop, play: Play) -> None:
        self._workshop = workshop
        self._app = workshop.write(APP, host_json={"extensions": FIVE_TRIES})
        self._settings = {
            "FUNCHOST_MESSAGE_VISIBILITY": str(play.visibility_seconds),
            "TAKES": str(play.takes_seconds),
        }
        self.killed: set[int] = set()
        self.tally = Tally()
        self.running: list[EmbeddedHost] = [self._start() for _ in range(play.hosts)]
        for host in self.running:
            host.wait_ready()

    def _start(self) -> EmbeddedHost:
        started: EmbeddedHost = self._workshop.start(self._app, settings=self._settings, ready=False)
        return started

    def kill_one(self, chance: random.Random) -> None:
        """Kill a host, which is then started again, or one of its workers, which it starts again itself."""
        place = chance.randrange(len(self.running))
        host = self.running[place]
        below = descendants(host.process.pid)
        workers = [process for process in below if not descendants(process)]
        if workers and chance.random() < 0.5:
            worker = chance.choice(workers)
            self.killed.add(worker)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            self.tally.killed_workers += 1
            return
        self.killed.update(below)
        host.kill()
        self.tally.killed_hosts += 1
        self.running[place] = self._start()

    def records(self) -> list[dict[str, Any]]:
        """What the functions of all hosts wrote down."""
        return self.running[0].records()

    def stop(self) -> None:
        """Let them end in order."""
        for host in self.running:
            host.process.send_signal(signal.SIGTERM)
        for host in self.running:
            host.process.wait(30)


def play(workshop: Workshop, asked: Play) -> Tally:
    """Play it and return what was counted; every host has ended then."""
    workshop.account.send("work")  # the queue is there, and empty
    chance = random.Random(asked.seed)
    hosts = Hosts(workshop, asked)
    began = time.monotonic()
    feeding = threading.Thread(target=_feed, args=(workshop, asked), daemon=True)
    feeding.start()
    moments: list[tuple[float, Callable[[], None]]] = [
        (chance.uniform(0.03, 0.97) * asked.seconds, lambda: hosts.kill_one(chance)) for _ in range(asked.kills)
    ]
    if asked.restart_storage is not None:
        moments.append((asked.seconds / 2, asked.restart_storage))
    for moment, act in sorted(moments, key=lambda one: one[0]):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        act()
    feeding.join()
    eventually(lambda: not _open_names(asked, hosts.records()), seconds=PATIENCE_SECONDS, every=0.2)
    tally = hosts.tally
    tally.seconds = time.monotonic() - began
    _settle(workshop)
    hosts.stop()
    _count(asked, hosts, tally)
    tally.buried = _buried(workshop)
    return tally


def _buried(workshop: Workshop) -> int:
    account = workshop.account
    messages = account.waiting(f"work-{account.tag}-poison", full=True)
    blobs = account.waiting("webjobs-blobtrigger-poison", full=True)  # of all tests on this storage
    return len(messages) + sum(account.tag in text for text in blobs)


def _names(asked: Play) -> dict[str, list[str]]:
    return {
        "message": [f"m{number}" for number in range(asked.messages)],
        "blob": [f"b{number}" for number in range(asked.blobs)],
    }


def _feed(workshop: Workshop, asked: Play) -> None:
    """Send messages and blobs evenly over the time; storage that is away is asked again."""
    began = time.monotonic()
    names = _names(asked)
    due = [
        (number * asked.seconds / max(1, asked.messages), "message", name)
        for number, name in enumerate(names["message"])
    ]
    due += [(number * asked.seconds / max(1, asked.blobs), "blob", name) for number, name in enumerate(names["blob"])]
    for moment, kind, name in sorted(due):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        if kind == "message":
            workshop.account.send("work", name)
        else:
            workshop.account.put(name, name.encode())


def _open_names(asked: Play, records: list[dict[str, Any]]) -> list[str]:
    done = {(record["kind"], record["name"]) for record in records if record["what"] == "done"}
    return [name for kind, names in _names(asked).items() for name in names if (kind, name) not in done]


def _settle(workshop: Workshop) -> None:
    """Wait until no message is left that could be handled once more."""
    account = workshop.account
    internal = f"azure-webjobs-blobtrigger-{account.host_id}"

    def is_empty() -> bool:
        left = account.queue(internal, full=True).get_queue_properties().approximate_message_count
        return account.depth("work") == 0 and not left

    eventually(is_empty, seconds=PATIENCE_SECONDS, every=0.2)
    time.sleep(QUIET_SECONDS)


def _count(asked: Play, hosts: Hosts, tally: Tally) -> None:
    records = sorted(hosts.records(), key=lambda record: float(record["at"]))
    for kind, names in _names(asked).items():
        for name in names:
            mine = [record for record in records if (record["kind"], record["name"]) == (kind, name)]
            done = [record for record in mine if record["what"] == "done"]
            tally.cut += sum(record["what"] == "begun" for record in mine) - len(done)
            if not done:
                tally.lost.append(name)
                continue
            tally.handled[kind] += 1
            by_id: dict[str, list[dict[str, Any]]] = {}
            for record in done:
                by_id.setdefault(record["id"], []).append(record)
            tally.sent_twice += len(by_id) > 1
            for again in (ended[1:] for ended in by_id.values() if len(ended) > 1):
                tally.doubled[kind] += 1
                tally.doubled_at.update(record["attempt"] for record in again if record["attempt"] is not None)
            if any(record["pid"] not in hosts.killed for ended in by_id.values() for record in ended[:-1]):
                tally.unexplained.append(name)
