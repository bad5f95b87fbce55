"""Which versions are kept, and how one is removed: never half, never one that may be needed at once."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from shared.database.tables import VersionState
from shared.errors import Conflict, NotFound, PackageRejected
from shared.registry.repair import Repair
from shared.registry.retention import Retention
from shared.registry.store import STALE_SECONDS
from shared.registry.verify import verify_folder
from shared.settings import PROJECT_DIR
from tests.registry.registry_support import Instance

NAMES = ["first", "second", "third", "fourth", "fifth"]


def retention(instance: Instance, keep: int) -> Retention:
    return Retention(instance.versions, instance.store, keep=lambda: keep)


def install(instance: Instance, *names: str) -> None:
    for name in names:
        instance.install(name)
        instance.clock.advance(60)


def activate(instance: Instance, name: str) -> None:
    instance.clock.advance(60)
    instance.lifecycle.activate(name, actor="test", reason="a test")


def states(instance: Instance) -> dict[str, str]:
    rows, _ = instance.versions.list()
    return {row.version: row.state for row in rows}


def test_what_lies_beyond_the_number_kept_is_removed_with_its_folder(instance: Instance) -> None:
    install(instance, *NAMES)
    assert retention(instance, 3).run() == 2
    assert states(instance) == {
        "first": "removed", "second": "removed", "third": "pending", "fourth": "pending", "fifth": "pending"
    }  # fmt: skip
    assert instance.store.names() == ["fifth", "fourth", "third"]
    [_, event] = instance.versions.events("first")
    assert (event.actor, event.from_state, event.to_state) == ("retention", "pending", "removed")
    assert retention(instance, 3).run() == 0


def test_the_active_the_previous_and_pinned_versions_stay_whatever_the_number(instance: Instance) -> None:
    install(instance, *NAMES)
    for name in ("third", "first", "second"):
        activate(instance, name)
    instance.versions.pin("fourth", pinned=True, actor="test", reason="the one of the audit")
    assert retention(instance, 0).run() == 2
    assert states(instance) == {
        "first": "retired", "second": "active", "third": "removed", "fourth": "pending", "fifth": "removed"
    }  # fmt: skip
    instance.versions.pin("fourth", pinned=False, actor="test", reason="audit over")
    assert retention(instance, 0).run() == 1
    assert instance.lifecycle.rollback(actor="test", reason="back").version == "first"


@pytest.mark.parametrize("name", ["active", "previous", "pinned"])
def test_nobody_can_remove_what_may_be_needed_at_once(instance: Instance, name: str) -> None:
    install(instance, "previous", "active-one", "pinned")
    activate(instance, "previous")
    activate(instance, "active-one")
    instance.versions.pin("pinned", pinned=True, actor="test", reason="kept")
    version = "active-one" if name == "active" else name
    with pytest.raises(Conflict):
        retention(instance, 0).remove(version, actor="test", reason="by mistake")
    assert instance.store.has(version)
    with pytest.raises(NotFound):
        retention(instance, 0).remove("none", actor="test", reason="by mistake")


def test_a_version_is_removed_once(instance: Instance) -> None:
    install(instance, "first")
    assert retention(instance, 9).remove("first", actor="ann", reason="superseded").state == VersionState.REMOVED
    assert not instance.store.has("first")
    with pytest.raises(Conflict, match="removed"):
        retention(instance, 9).remove("first", actor="ann", reason="again")
    with pytest.raises(Conflict):
        instance.lifecycle.activate("first", actor="ann", reason="even so")
    with pytest.raises(Conflict):
        instance.versions.pin("first", pinned=True, actor="ann", reason="too late")


def test_a_death_between_row_and_folder_is_cleared_up_and_alarms_nobody(instance: Instance) -> None:
    install(instance, "first")
    instance.versions.transition("first", VersionState.REMOVED, actor="ann", reason="killed after this")
    assert instance.store.has("first")
    assert Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys).run().adopted == []
    retention(instance, 9).run()
    assert not instance.store.has("first")
    report = Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys).run()
    assert report.missing == []


# Removes a version, and kills itself when it calls the named function.
PROGRAM = """
import importlib, os, signal, sys
from pathlib import Path
from shared.bootstrap import Services
from shared.settings import Settings

data_dir, module, owner, name = sys.argv[1:]
holder = importlib.import_module(module)
setattr(getattr(holder, owner) if owner else holder, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
Services(Settings(data_dir=Path(data_dir))).retention.remove("first", actor="ann", reason="superseded")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("where", "state"),
    [
        (("shared.database.models", "", "_change"), VersionState.PENDING),
        (("shared.registry.store", "ModelStore", "set_aside"), VersionState.REMOVED),
        (("shared.registry.retention", "", "remove_tree"), VersionState.REMOVED),
    ],
)
def test_a_process_killed_while_it_removes_leaves_all_or_what_the_sweep_clears(
    where: tuple[str, str, str], state: str, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(instance, "first")
    command = [sys.executable, "-c", PROGRAM, str(instance.settings.data_dir), *where]
    killed = subprocess.run(command, cwd=PROJECT_DIR, env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert instance.versions.get("first").state == state
    assert instance.store.has("first") == (where[-1] != "remove_tree"), "a folder in its place is whole"
    if instance.store.has("first"):
        verify_folder(instance.store.folder("first"), instance.keys)
    later = time.time() + STALE_SECONDS + 60
    monkeypatch.setattr("shared.registry.store.time.time", lambda: later)
    retention(instance, 9).run()
    left = [path.name for path in instance.settings.models.iterdir()]
    assert left == (["first"] if state == VersionState.PENDING else [])


def test_a_removed_version_comes_back_when_its_package_is_installed_again(instance: Instance) -> None:
    install(instance, "first")
    retention(instance, 9).remove("first", actor="ann", reason="superseded")
    instance.install("first")
    assert instance.versions.get("first").state == VersionState.PENDING
    retention(instance, 9).run()
    activate(instance, "first")
    with pytest.raises(Conflict, match="another package"):
        instance.installer.register_local(instance.build_another("first"), actor="test", reason="same name")


def test_a_folder_that_came_back_while_it_was_being_cleared_is_put_back(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(instance, "first")
    instance.versions.transition("first", VersionState.REMOVED, actor="ann", reason="to go")
    set_aside = instance.store.set_aside

    def come_back(version: str) -> object:
        instance.versions.transition(version, VersionState.PENDING, actor="bob", reason="dropped again")
        return set_aside(version)

    monkeypatch.setattr(instance.store, "set_aside", come_back)
    retention(instance, 9).run()
    monkeypatch.undo()
    assert instance.lifecycle.verify("first")["ok"]


def test_removing_and_activating_at_the_same_time_leaves_one_of_the_two(instance: Instance) -> None:
    install(instance, "first", "second", "third")
    activate(instance, "first")
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def attempt(what: str) -> None:
        start.wait()
        try:
            if what == "remove":
                retention(instance, 9).remove("second", actor="ann", reason="away")
            else:
                instance.lifecycle.activate("second", actor="bob", reason="in")
        except (Conflict, NotFound, PackageRejected):
            return
        outcomes.append(what)

    threads = [threading.Thread(target=attempt, args=(what,)) for what in ("remove", "activate")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    active = instance.versions.active()
    assert active is not None
    assert instance.store.has(active.version)


def test_pinning_twice_is_pinning_once(instance: Instance) -> None:
    install(instance, "first")
    for _ in range(2):
        assert instance.versions.pin("first", pinned=True, actor="ann", reason="kept").pinned
    assert [event.to_state for event in instance.versions.events("first")] == ["pending", "pinned"]
