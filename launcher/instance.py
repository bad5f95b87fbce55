"""The supervisor of one instance: starts storage, preparation and host, keeps them running, ends them in order.

Runs inside the virtual environment in place of `manage.py up`. It holds the data directory's lock for as long as it
lives, and everything it starts ends with it, even when it is killed.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Any

from rich.console import Console

from launcher import checks
from launcher.asking import answer_status, example_item, first_command
from launcher.environment import STORAGE, STORAGE_BIND_ADDRESS, instance_environment, storage_from_elsewhere
from launcher.hosts import HostChoice, host_choices
from launcher.options import wanted_ports
from launcher.places import PROJECT_DIR, Place, venv_python
from launcher.problems import EXIT_CODE, SetupProblem
from launcher.roles import disabling_settings
from launcher.storage import OwnStorage
from launcher.watching import follow_preparation, last_words
from shared.azurite.account import LOOPBACK, StorageKey
from shared.azurite.service import AzuriteFailed
from shared.platform import (
    die_with_parent,
    end_process_tree,
    exclusive_lock,
    note_process,
    on_stop_signals,
    open_append_log,
    start_child,
)

HOST_GRACE_SECONDS = 15.0
MODEL_READY_SECONDS = 60.0
LOOK_SECONDS = 0.25
RESTARTS_ALLOWED = 5
RESTARTS_WITHIN_SECONDS = 300.0


@dataclass(kw_only=True)
class Instance:
    """What runs for one data directory, and what was asked for on the command line."""

    place: Place
    port: int
    storage_ports: tuple[int, int, int]
    host: str
    role: str
    demo: bool
    console: Console
    environment: dict[str, str] = field(default_factory=dict)
    storage: OwnStorage | None = None  # None: an account from elsewhere was set
    helper: Popen[bytes] | None = None
    host_process: Popen[bytes] | None = None
    host_choice: HostChoice | None = None
    host_key: StorageKey | None = None  # of storage, in the environment of the running host
    restarts: list[float] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The URL that this machine reaches the host by."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start everything and return when the host answers. Raises SetupProblem or AzuriteFailed."""
        started = time.monotonic()
        for name in checks.clear_leftovers(self.place):
            self.console.print(f"· ended {name}, left over from a start that was killed")
        self.environment = instance_environment(self.place.data_dir)
        self.environment.setdefault("ROUTING_BIND_ADDRESS", "127.0.0.1")
        has_own_storage = not storage_from_elsewhere(self.environment)
        checks.check_ports_free(wanted_ports(self.port, self.storage_ports[0] if has_own_storage else None))
        self._note()
        if has_own_storage:
            self._start_storage()
        prepared = self._prepare()
        self._say_where_storage_is()
        self.environment.update(disabling_settings(self.role, prepared.get("functions", ())))
        self._start_some_host()
        self._wait_for_model(prepared["active"])
        self._note()
        self._introduce(prepared["active"], time.monotonic() - started)

    def _say(self, text: str) -> None:
        self.console.print(f"[green]✓[/] {text}", highlight=False, soft_wrap=True)

    def _note(self) -> None:
        facts = {"address": self.address, "port": self.port, "storage_ports": list(self.storage_ports)}
        host = self.host_choice.name if self.host_choice is not None else None
        note_process(self.place.instance_note, os.getpid(), **facts, host=host, role=self.role)

    def _start_storage(self) -> None:
        bind_address = self.environment.get(STORAGE_BIND_ADDRESS) or LOOPBACK
        self.storage = OwnStorage(
            place=self.place, ports=self.storage_ports, bind_address=bind_address, console=self.console
        )
        self.environment[STORAGE] = self.storage.start()

    def _say_where_storage_is(self) -> None:
        if self.storage is None:
            self._say(f"storage from elsewhere, as {STORAGE} says")
            return
        self.storage.wait_until_ready()
        self._say(f"storage on {self.storage.bind_address}, ports {self.storage_ports[0]} to {self.storage_ports[2]}")

    def _prepare(self) -> dict[str, Any]:
        words = ["--demo"] if self.demo else []
        words += ["--name-functions"] if self.role == "training" else []
        log_path = self.place.logs / "preparation.log"
        with open_append_log(log_path) as log:
            command = [str(venv_python()), "-m", "launcher.preparation", *words]
            self.helper = start_child(
                command, env=self.environment, cwd=PROJECT_DIR, stdin=DEVNULL, stdout=PIPE, stderr=log
            )
        note_process(self.place.run / "preparation.json", self.helper.pid)
        prepared = follow_preparation(self.helper, self.console, log_path)
        (self.place.run / "preparation.json").unlink(missing_ok=True)
        self.helper = None
        self._say("database and keys")
        return prepared

    # ------------------------------------------------------------------------------------------------------- host

    def _start_some_host(self) -> None:
        address = self.environment["ROUTING_BIND_ADDRESS"]
        choices = host_choices(self.host, self.place, self.port, address)
        for choice in choices:
            self._start_host(choice)
            if self._host_answers(choice.ready_seconds):
                self._say(f"{choice.name}: {choice.why}")
                return
            self._stop_host(grace_seconds=2)
        log = self.place.logs / "host.log"
        raise SetupProblem(f"The {choices[-1].name} did not become ready: {last_words(log)}.", f"Its log: {log}")

    def _start_host(self, choice: HostChoice) -> None:
        self.host_choice = choice
        self.host_key = self.storage.azurite.account.keys[0] if self.storage and self.storage.azurite else None
        environment = {**self.environment, **choice.environment}
        with open_append_log(self.place.logs / "host.log") as log:
            self.host_process = start_child(
                choice.command, env=environment, cwd=PROJECT_DIR, stdin=DEVNULL, stdout=log, stderr=STDOUT
            )
        note_process(self.place.run / "host.json", self.host_process.pid)

    def _host_answers(self, seconds: float) -> bool:
        assert self.host_process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.host_process.poll() is None:
            status = answer_status(f"{self.address}/api/health/live")
            if status == 200 or (self.role == "training" and status is not None):
                return True
            time.sleep(LOOK_SECONDS / 5)
        return False

    def _wait_for_model(self, active: str | None) -> None:
        if active is None or self.role == "training":
            return
        deadline = time.monotonic() + MODEL_READY_SECONDS
        while answer_status(f"{self.address}/api/health/ready") != 200:
            if time.monotonic() >= deadline:
                self.console.print(f"[yellow]·[/] model {active} is not served yet: {self.address}/api/health says why")
                return
            time.sleep(LOOK_SECONDS / 5)

    def _introduce(self, active: str | None, seconds: float) -> None:
        model = f"model {active}" if active else "no model yet (`manage.py train` makes one)"
        self._say(f"ready at [bold]{self.address}[/] in {seconds:.1f} s, {model}")
        lines = [
            f"  administrator key  {self.place.administrator_key}",
            f"  logs               {self.place.logs}",
        ]
        if self.role != "training":  # which answers no requests
            pages = [f"  planner's page     {self.address}/ui/", f"  operator's page    {self.address}/ui/operations"]
            lines = [*pages, f"  the API            {self.address}/api/docs", *lines]
            lines += ["  try it:", f"  {first_command(self.address, example_item(self.address) if active else None)}"]
        for line in (*lines, "  Ctrl-C ends it."):
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    # ---------------------------------------------------------------------------------------- keep running and end

    def keep_running(self) -> None:
        """Start again whatever ends by itself; raise SetupProblem when that happens too often."""
        while True:
            assert self.host_process is not None
            assert self.host_choice is not None
            self._keep_storage()
            if self.host_process.poll() is not None:
                self._count_restart("The host", self.host_process.returncode, "host.log")
                self._start_host(self.host_choice)
            time.sleep(LOOK_SECONDS)

    def _keep_storage(self) -> None:
        """Start storage again when it ended or got new keys, and the host where storage refuses its key now."""
        if self.storage is None or self.storage.azurite is None:
            return
        code = self.storage.ended_with()
        if code is not None:
            self._count_restart("Azurite", code, "azurite.log")
            self.storage.start()
            self.storage.wait_until_ready()
        elif not self.storage.take_new_keys():
            return
        else:
            self.console.print("· storage has taken its new key")
        account, self.environment[STORAGE] = self.storage.azurite.account, self.storage.azurite.connection_string
        if self.host_key is not None and not account.accepts(self.host_key):
            self._restart_host()

    def _restart_host(self) -> None:
        assert self.host_choice is not None
        self._stop_host(grace_seconds=HOST_GRACE_SECONDS)
        self._start_host(self.host_choice)
        self.console.print("· the host is started again, with storage's present key")

    def _count_restart(self, what: str, code: int, log: str) -> None:
        now = time.monotonic()
        self.restarts = [*(then for then in self.restarts if now - then < RESTARTS_WITHIN_SECONDS), now]
        if len(self.restarts) > RESTARTS_ALLOWED:
            raise SetupProblem(f"{what} ends again and again.", f"Its log says why: {self.place.logs / log}")
        self.console.print(f"[yellow]·[/] {what} ended by itself (exit code {code}) and is started again")

    def stop(self) -> None:
        """End everything that was started, the host first, so that it can still reach its storage."""
        if self.helper is not None:
            end_process_tree(self.helper, grace_seconds=1)
        self._stop_host(grace_seconds=HOST_GRACE_SECONDS)
        if self.storage is not None:
            self.storage.stop()
        for name in ("preparation", "host", "azurite"):
            (self.place.run / f"{name}.json").unlink(missing_ok=True)

    def _stop_host(self, *, grace_seconds: float) -> None:
        if self.host_process is not None:
            end_process_tree(self.host_process, grace_seconds=grace_seconds)
            self.host_process = None


def run(arguments: Sequence[str]) -> int:
    """Run one instance until it is told to stop; return the exit code."""
    if sys.platform == "win32":
        die_with_parent()  # elsewhere this process took the launcher's place
    on_stop_signals(_interrupt)
    instance = _instance(arguments)
    try:
        with exclusive_lock(instance.place.lock, timeout_seconds=2):
            return _run_locked(instance)
    except TimeoutError:
        instance.console.print(f"[red]✗[/] {checks.already_running(instance.place)}", highlight=False, soft_wrap=True)
        return EXIT_CODE


def _run_locked(instance: Instance) -> int:
    code = 0
    try:
        instance.start()
        instance.keep_running()
    except KeyboardInterrupt:
        instance.console.print("· ending")
    except (SetupProblem, AzuriteFailed, ValueError, OSError) as error:
        instance.console.print(f"✗ {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        code = EXIT_CODE
    on_stop_signals(lambda: None)  # it is ending already
    instance.stop()
    if code == 0:
        instance.console.print("[green]✓[/] ended")
    return code


def _interrupt() -> None:
    raise KeyboardInterrupt


def _instance(arguments: Sequence[str]) -> Instance:
    parser = argparse.ArgumentParser(prog="launcher.instance", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--storage-port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--role", required=True)
    parser.add_argument("--no-demo", action="store_true")
    options = parser.parse_args(arguments)
    first = options.storage_port
    return Instance(
        place=Place(data_dir=options.data_dir),
        port=options.port,
        storage_ports=(first, first + 1, first + 2),
        host=options.host,
        role=options.role,
        demo=not options.no_demo,
        console=Console(highlight=False),
    )


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
