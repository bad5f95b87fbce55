"""One HTTP worker takes over from another: no request notices, and one that cannot take over changes nothing."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conformance.hosts import EmbeddedHost, eventually
from tests.conformance.workshop import Workshop

APP = """
    from pathlib import Path

    class Succession:
        def offer(self, ask):
            self.ask = ask

        def warm(self):
            record(what="warm")

        def prepare(self):
            how = Path("how").read_text()
            record(what="preparing", how=how)
            if how == "dies":
                os._exit(9)
            if how == "slow":
                time.sleep(3)
            if how == "fails":
                raise ValueError("the thing is broken")

        def failed(self, reason):
            record(what="failed", reason=reason)

    succession = Succession()

    @app.route(route="who")
    async def who(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="long")
    def long(req: func.HttpRequest) -> func.HttpResponse:
        time.sleep(1.5)
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="ask")
    def ask(req: func.HttpRequest) -> func.HttpResponse:
        begun = succession.ask().result(timeout=5).body["begun"]
        return func.HttpResponse(json.dumps(begun))
"""


@pytest.fixture
def host(workshop: Workshop) -> EmbeddedHost:
    app_dir = workshop.write(APP)
    prepare(app_dir, "well")
    host: EmbeddedHost = workshop.start(app_dir)
    return host


def prepare(app_dir: Path, how: str) -> None:
    """Tell the next worker how to get ready."""
    (app_dir / "how").write_text(how)


def who(host: EmbeddedHost) -> int:
    return int(host.get("/api/who").text)


def ask(host: EmbeddedHost) -> bool:
    return bool(host.get("/api/ask").json())


def succeeded(host: EmbeddedHost, before: int) -> bool:
    return bool(eventually(lambda: who(host) != before))


class Clients:
    """Callers that keep their connections and ask without a pause."""

    def __init__(self, host: EmbeddedHost, number: int) -> None:
        self.answers: list[str] = []
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(host.url,)) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        with httpx.Client(timeout=15) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get(f"{url}/api/who")
                    self.answers.append(answer.text)
                    if answer.status_code != 200:
                        self.faults.append(str(answer.status_code))
                except httpx.HTTPError as fault:
                    self.faults.append(repr(fault))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_no_request_notices_that_another_worker_takes_over(host: EmbeddedHost) -> None:
    clients = Clients(host, 4)
    seen = [who(host)]
    for _ in range(3):
        assert eventually(lambda: ask(host)), "the one before has not left"
        assert succeeded(host, seen[-1])
        seen.append(who(host))
    clients.stop()
    assert clients.faults == []
    assert [int(pid) for pid in dict.fromkeys(clients.answers)] == seen
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in seen[:-1]))
    assert len(host.events("worker.succeeded")) == 3
    assert host.events("worker.ended") == []


def test_a_request_under_way_ends_on_the_worker_it_began_on(host: EmbeddedHost) -> None:
    before = who(host)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(host.get, "/api/long")
        time.sleep(0.2)
        assert ask(host)
        assert succeeded(host, before)
        assert int(long.result().text) == before


def test_an_unused_connection_does_not_keep_the_old_worker(host: EmbeddedHost) -> None:
    before = who(host)
    with httpx.Client() as idle:
        idle.get(f"{host.url}/api/who")
        assert ask(host)
        assert succeeded(host, before)
        assert eventually(lambda: not Path(f"/proc/{before}").exists())
        assert int(idle.get(f"{host.url}/api/who").text) != before


def test_what_the_old_worker_counted_is_kept(host: EmbeddedHost) -> None:
    def counted() -> int:
        rows = host.admin("GET", "host/metrics").json()["invocations"]
        return sum(row["count"] for row in rows if row["function"] == "who")

    before = who(host)
    for _ in range(4):
        who(host)
    assert counted() == 5
    assert ask(host)
    assert eventually(lambda: not Path(f"/proc/{before}").exists())
    assert counted() == 5


@pytest.mark.parametrize(("how", "reason"), [("fails", "the thing is broken"), ("dies", "exit code 9")])
def test_one_that_cannot_take_over_changes_nothing_and_says_why(host: EmbeddedHost, how: str, reason: str) -> None:
    before = who(host)
    prepare(host.app_dir, how)
    assert ask(host)
    (told,) = eventually(lambda: host.records("failed"))
    assert reason in told["reason"]
    assert told["pid"] == before
    assert who(host) == before
    assert eventually(lambda: host.events("worker.not_succeeded"))
    prepare(host.app_dir, "well")
    assert eventually(lambda: ask(host))
    assert succeeded(host, before)


def test_a_second_wish_waits_for_the_first(host: EmbeddedHost) -> None:
    prepare(host.app_dir, "slow")
    assert ask(host)
    assert eventually(lambda: host.records("preparing"))
    assert not ask(host)


def test_a_worker_that_dies_while_its_successor_prepares_is_replaced(host: EmbeddedHost) -> None:
    before = who(host)
    prepare(host.app_dir, "slow")
    assert ask(host)
    (preparing,) = eventually(lambda: host.records("preparing"))
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: _answers(host) == preparing["pid"]), "the successor takes the place in the end"
    assert eventually(lambda: len(_http_workers(host)) == 1), "and nobody else is left"


def test_a_stop_ends_a_successor_that_is_on_its_way(host: EmbeddedHost) -> None:
    prepare(host.app_dir, "slow")
    assert ask(host)
    (preparing,) = eventually(lambda: host.records("preparing"))
    assert host.stop() == 0
    assert eventually(lambda: not Path(f"/proc/{preparing['pid']}").exists())


@pytest.fixture
def host_with_spare(workshop: Workshop) -> EmbeddedHost:
    app_dir = workshop.write(APP)
    prepare(app_dir, "well")
    host: EmbeddedHost = workshop.start(app_dir, settings={"FUNCHOST_SPARE_AFTER_SECONDS": "0.1"})
    assert eventually(lambda: host.records("warm"))
    return host


def test_a_spare_takes_over_and_another_one_waits_then(host_with_spare: EmbeddedHost) -> None:
    host = host_with_spare
    before, (spare,) = who(host), host.records("warm")
    assert host.records("preparing") == [], "nobody has asked for it"
    assert ask(host)
    assert succeeded(host, before)
    assert who(host) == spare["pid"]
    assert eventually(lambda: len(host.records("warm")) == 2)
    assert eventually(lambda: ask(host))
    assert succeeded(host, spare["pid"])
    assert who(host) == host.records("warm")[1]["pid"]
    assert host.stop() == 0


def test_a_spare_that_has_died_is_done_without(host_with_spare: EmbeddedHost) -> None:
    host = host_with_spare
    before, (spare,) = who(host), host.records("warm")
    os.kill(spare["pid"], signal.SIGKILL)
    assert eventually(lambda: not Path(f"/proc/{spare['pid']}").exists())
    assert ask(host)
    assert succeeded(host, before)


def test_a_stop_and_a_death_of_the_host_end_the_spare(workshop: Workshop, host_with_spare: EmbeddedHost) -> None:
    (spare,) = host_with_spare.records("warm")
    assert host_with_spare.stop() == 0
    assert eventually(lambda: not Path(f"/proc/{spare['pid']}").exists())
    again = workshop.start(host_with_spare.app_dir, settings={"FUNCHOST_SPARE_AFTER_SECONDS": "0.1"})
    assert eventually(lambda: len(again.records("warm")) == 2)
    pid = again.records("warm")[1]["pid"]
    again.kill()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def _answers(host: EmbeddedHost) -> int | None:
    try:
        return who(host)
    except httpx.HTTPError:
        return None


def _http_workers(host: EmbeddedHost) -> list[int]:
    """Return the processes that hold the listening socket and are not the host."""
    from funchost.keeper import descendants

    port = f":{int(host.url.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = {fields[9] for fields in lines if fields[1].endswith(port) and fields[3] == "0A"}
    return [pid for pid in descendants(host.process.pid) if _holds(pid, f"socket:[{inode}]")]


def _holds(pid: int, socket: str) -> bool:
    try:
        return any(str(entry.readlink()) == socket for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
