"""What one process clears is forgotten by all, and only that."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.bootstrap import Services
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.operations.caches import Cache, Caches
from shared.settings import PROJECT_DIR, Settings
from tests.databases import set_up

ALL = list(Cache)


class Process:
    """The caches of one process, which notes what it forgets."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.forgotten: list[Cache] = []
        self.caches = Caches(ModelVersions(self.engine), {cache: self._forget(cache) for cache in Cache})
        self.caches.follow()

    def _forget(self, cache: Cache) -> Callable[[], None]:
        return lambda: self.forgotten.append(cache)

    def look(self) -> list[Cache]:
        """Follow what was asked for, and return what was forgotten since the last look."""
        self.caches.follow()
        forgotten, self.forgotten = self.forgotten, []
        return forgotten


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with its tables."""
    if request.param == "postgresql":
        made: str = request.getfixturevalue("postgresql").new_database().url
    else:
        made = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    set_up(made)
    return made


@pytest.fixture
def processes(url: str) -> Iterator[list[Process]]:
    made = [Process(url) for _ in range(3)]
    yield made
    for process in made:
        process.engine.dispose()


def test_every_process_forgets_once_what_one_of_them_clears(processes: list[Process], url: str) -> None:
    first, second, third = processes
    assert first.look() == []
    event = first.caches.clear([Cache.ITEMS], actor="ann", reason="the ERP was restored")
    assert (event.version, event.actor, event.details) == ("", "ann", {"caches": ["items"]})
    assert first.look() == [Cache.ITEMS]
    assert second.look() == [Cache.ITEMS]
    assert second.look() == []
    first.caches.clear(actor="ann", reason="all of it")
    second.caches.clear([Cache.MODEL, Cache.MODEL], actor="bob", reason="files were restored")
    assert sorted(third.look()) == sorted(ALL), "one that was busy for three clearings makes up for them at once"
    late = Process(url)
    assert late.look() == [], "one that starts later keeps nothing from before"
    late.engine.dispose()
    last = third.caches.last()
    assert last is not None
    assert (last["actor"], last["reason"], last["caches"]) == ("bob", "files were restored", ["model"])


def test_clearings_at_the_same_time_all_arrive(processes: list[Process]) -> None:
    """Ids come to be seen in their order, or one that looks in between would pass over the slower of two."""
    *clearing, watching = processes
    seen, done = list[Cache](), threading.Event()

    def clear(process: Process, cache: Cache) -> None:
        for _ in range(25):
            process.caches.clear([cache], actor="ann", reason="at once")

    def watch() -> None:
        while not done.is_set():
            seen.extend(watching.look())
        seen.extend(watching.look())

    threads = [
        threading.Thread(target=clear, args=pair) for pair in zip(clearing, (Cache.ITEMS, Cache.DROPS), strict=True)
    ]
    watcher = threading.Thread(target=watch)
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    assert set(seen) == {Cache.ITEMS, Cache.DROPS}
    events = watching.caches._versions.clearings(after_id=0)
    assert len(events) == 50
    assert watching.caches._followed == events[-1].id


def test_a_process_makes_no_service_only_to_forget_what_it_keeps(tmp_path: Path) -> None:
    services = Services(Settings(data_dir=tmp_path))
    set_up(services.settings.database)
    services.caches.clear(actor="ann", reason="nothing is kept yet")
    made = set(services.__dict__)
    assert not made & {"serving", "item_lookup", "configuration_store", "snapshots", "registrations"}
    services.engine.dispose()


def test_the_command_line_reaches_a_process_that_runs(tmp_path: Path) -> None:
    """Its configuration is read from the database again: a row that was put right by hand comes into force."""
    services = Services(Settings(data_dir=tmp_path))
    set_up(services.settings.database)
    store = services.configuration_store
    store.patch({"models": {"keep": 3}}, "ann")
    services.caches.follow()
    with services.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE configuration_versions SET document = json_set(document, '$.models.keep', 7)"
        )
    assert store.current()[1].models.keep == 3
    command = [
        sys.executable,
        "-m",
        "cli",
        "cache",
        "clear",
        "--kind",
        "configuration",
        "--reason",
        "by hand",
        "--json",
    ]
    environment = {"PATH": "", "ROUTING_DATA_DIR": str(tmp_path), "PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["caches"] == ["configuration"]
    services.caches.follow()
    assert store.known().models.keep == 3, "known until it is read again"
    assert store.current()[1].models.keep == 7
    assert store.known_version() == 1
    services.engine.dispose()
