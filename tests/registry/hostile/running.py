"""Runs the corpus in watched processes and counts what became of it."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.errors import PackageRejected
from shared.registry.apart import load_apart
from shared.settings import PROJECT_DIR
from tests.registry.hostile.bench import Bench
from tests.registry.hostile.corpus import chosen
from tests.registry.hostile.items import Item

SECONDS_FOR_ONE = 60.0
ENDED = "process"


@dataclass
class Outcome:
    """What became of one item: the check that refused it (`process`: it ended the loading process), and what it did."""

    item: Item
    check: str
    reason: str
    did: list[str] = field(default_factory=list)


def run(bench: Bench, canary: Path, which: str) -> Iterator[Outcome]:
    """Yield the outcome of every item, `which` as `chosen` takes it.

    An item that ends its process, or takes longer than a minute, is put before `load_apart`, as the product would.
    """
    items = chosen(which, canary)
    at = 0
    while at < len(items):
        for told in _told(bench, canary, which, at):
            if "own" in told:
                if told["told"] != {}:
                    raise AssertionError(f"an own package was refused: {told}")
                continue
            yield Outcome(items[at], told["check"], told["reason"], told["did"])
            at += 1
        if at < len(items):
            yield _apart(bench, items[at])
            at += 1


def _told(bench: Bench, canary: Path, which: str, begin: int) -> Iterator[dict[str, Any]]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.registry.hostile.worker",
        bench.packages,
        bench.keys_folder,
        bench.scratch,
    ]
    child = subprocess.Popen(
        [*command, canary, which, str(begin)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=PROJECT_DIR
    )
    assert child.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()

    def read(stream: Any) -> None:
        for line in stream:
            lines.put(line)
        lines.put(b"")

    reader = threading.Thread(target=read, args=(child.stdout,), daemon=True)
    reader.start()
    try:
        while line := lines.get(timeout=SECONDS_FOR_ONE):
            yield json.loads(line)
    except queue.Empty:
        pass
    finally:
        child.kill()
        child.wait()
        reader.join()
        child.stdout.close()


def _apart(bench: Bench, item: Item) -> Outcome:
    try:
        load_apart(bench.prepared(item))
    except PackageRejected as fault:
        return Outcome(item, ENDED, fault.detail)
    except Exception as fault:
        return Outcome(item, "", f"it ended its process, and then {type(fault).__name__}: {fault}")
    return Outcome(item, "", "it ended its process once and was accepted then")
