"""Kill -9 the embedded host and its workers at random moments under a load of messages and blobs, and count.

.venv/bin/python -m benchmarks.host_kills                      # every mode, 1,000 messages and 200 blobs each
.venv/bin/python -m benchmarks.host_kills --modes "two hosts" --messages 200 --blobs 40 --kills 8 --seconds 20

Every message and blob must be handled at least once. A double is one whose function ran to its end more than once: it
may be, where a process was killed between that end and the message's deletion; never otherwise.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.host_kills.playing import Play, Tally, play
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, start_azurite, wait_until_ready
from shared.platform import free_ports
from tests.conformance.account import Account
from tests.conformance.workshop import Workshop

MODES = ("one host", "two hosts, no kill", "two hosts", "storage restarted")
COLUMNS = (
    "mode", "kills: hosts, workers", "handled: messages, blobs", "cut short",
    "doubled: messages (at dequeue count), blobs", "doubled without a kill", "sent twice", "lost", "buried", "seconds",
)  # fmt: skip
AWAY_SECONDS = 15.0


class Storage:
    """An Azurite that can be ended in order and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._account = StorageAccount.random()
        self._ports = free_ports(3)
        self.azurite = self._start()

    def _start(self) -> Azurite:
        started = start_azurite(self._folder, self._account, self._ports)
        wait_until_ready(started)
        return started

    def restart(self) -> None:
        """Be away for a while. Killed it would forget its last seconds, so it is asked to end."""
        self.azurite.stop(grace_seconds=20)
        time.sleep(AWAY_SECONDS)
        self.azurite = self._start()


def main() -> int:
    """Play every mode; 0 when nothing was lost, and nothing doubled but where something was killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--blobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=120.0, help="over which the load is sent")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments; printed")
    options = parser.parse_args()
    print(f"{options.messages} messages and {options.blobs} blobs in {options.seconds:g} s, seed {options.seed}\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    good = True
    for mode in options.modes:
        with tempfile.TemporaryDirectory(prefix="host-kills-") as folder:
            storage = Storage(Path(folder) / "azurite")
            workshop = Workshop(Path(folder), Account(storage.azurite.connection_string))
            try:
                tally = play(workshop, _asked(mode, options, storage.restart))
            finally:
                workshop.end()
                workshop.account.close()
                storage.azurite.stop()
        print(_row(mode, tally), flush=True)
        # Storage that goes away between doing and answering has things done twice, as by any client of it.
        good = good and not tally.lost and (not tally.unexplained or mode == "storage restarted")
    return int(not good)


def _asked(mode: str, options: argparse.Namespace, restart: Callable[[], None]) -> Play:
    return Play(
        messages=options.messages,
        blobs=options.blobs,
        seconds=options.seconds,
        hosts=1 if mode == "one host" else 2,
        kills=options.kills if mode in ("one host", "two hosts") else 0,
        restart_storage=restart if mode == "storage restarted" else None,
        visibility_seconds=60 if mode == "storage restarted" else 4,  # longer than it is away: nobody else may begin
        seed=options.seed,
    )


def _row(mode: str, tally: Tally) -> str:
    counts = ", ".join(f"{number} at {count}" for count, number in sorted(tally.doubled_at.items()))
    doubled = f"{tally.doubled['message']}{f' ({counts})' if counts else ''}, {tally.doubled['blob']}"
    cells = (
        mode, f"{tally.killed_hosts}, {tally.killed_workers}", f"{tally.handled['message']}, {tally.handled['blob']}",
        tally.cut, doubled, len(tally.unexplained), tally.sent_twice, len(tally.lost), tally.buried,
        f"{tally.seconds:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
