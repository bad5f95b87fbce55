"""An instance's own storage: starts Azurite with the account of the data directory and follows its keys."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from launcher.places import Place
from shared.azurite.account import StorageAccount
from shared.azurite.files import carry_over, set_damaged_aside
from shared.azurite.service import Azurite, start_azurite, wait_until_ready
from shared.clock import utc_now
from shared.platform import note_process, open_append_log


@dataclass(kw_only=True)
class OwnStorage:
    """The Azurite of one data directory."""

    place: Place
    ports: tuple[int, int, int]
    bind_address: str
    console: Console
    azurite: Azurite | None = None
    _stamp: tuple[int, int] | None = None

    def start(self) -> str:
        """Start it on the account's present keys and return the connection string; see `wait_until_ready`.

        Raises:
            AzuriteFailed: it cannot be started.
            ValueError: the account's file is damaged.
        """
        account = StorageAccount.kept_in(self.place.storage_account, now=utc_now())
        self._stamp = _stamp_of(self.place.storage_account)
        aside = set_damaged_aside(self.place.azurite, now=utc_now())
        if aside is not None:
            self.console.print(f"[yellow]·[/] storage's data was damaged and lies in {aside}: drop packages again")
        before = carry_over(self.place.azurite, account.name)
        if before is not None:
            self.console.print(f"· storage's data of the account {before} belongs to {account.name} now")
        with open_append_log(self.place.logs / "azurite.log") as log:
            self.azurite = start_azurite(
                self.place.azurite, account, self.ports, bind_address=self.bind_address, log=log
            )
        note_process(self.place.run / "azurite.json", self.azurite.process.pid)
        return self.azurite.connection_string

    def wait_until_ready(self) -> None:
        """Return when it answers. Raises AzuriteFailed when it does not in time."""
        assert self.azurite is not None
        wait_until_ready(self.azurite)

    def ended_with(self) -> int | None:
        """Return its exit code when it has ended by itself."""
        return self.azurite.process.poll() if self.azurite is not None else None

    def take_new_keys(self) -> bool:
        """Start it again where the account's keys were changed since it started; return whether they were.

        What was under way meets closed ports for about two seconds and is tried again by its clients.
        """
        stamp = _stamp_of(self.place.storage_account)
        if stamp == self._stamp or stamp is None or self.azurite is None:
            return False
        self._stamp = stamp
        try:
            account = StorageAccount.kept_in(self.place.storage_account)
        except ValueError as error:  # what runs goes on with the keys it has
            self.console.print(f"· {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            return False
        if account == self.azurite.account:
            return False
        self.azurite.stop()
        self.start()
        self.wait_until_ready()
        return True

    def stop(self) -> None:
        """End it, letting it write down what it holds in memory."""
        if self.azurite is not None:
            self.azurite.stop()
            self.azurite = None


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
