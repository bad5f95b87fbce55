"""The harness of the speed benchmark, on small things."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.prediction import load, peers
from benchmarks.prediction.figures import Figure, Spread, table
from benchmarks.prediction.in_process import latencies
from benchmarks.prediction.questions import Questions
from benchmarks.time_summary import SIZES, compare


class Echo(BaseHTTPRequestHandler):
    """Counts what it is asked, and fails where it is told to."""

    protocol_version = "HTTP/1.1"
    heard: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.heard.append(body)  # type: ignore[attr-defined]
        if body.startswith("slow"):
            time.sleep(0.2)
        if body == "hang up":
            self.close_connection = True
            return
        answer = b"x" * 300_000  # more than one piece
        self.send_response(500 if body == "fail" else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 128


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = Server(("127.0.0.1", 0), Echo)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("clients", [1, 4])
def test_every_body_is_sent_once_and_every_answer_counted(server: Any, clients: int) -> None:
    bodies = [f"body {number}" for number in range(20)]
    outcome = load.run(
        server.server_port, {"path": "/", "bodies": bodies, "warm": ["warm"], "clients": clients}
    ).as_json()
    assert sorted(server.heard) == sorted([*bodies, "warm"])
    assert len(outcome["latencies_ms"]) == len(outcome["finished_at"]) == 20
    assert outcome["received_bytes"] > 20 * 300_000
    assert outcome["failed"] == 0


def test_arrivals_do_not_wait_for_answers_and_their_waiting_counts(server: Any) -> None:
    plan = {"path": "/", "bodies": ["slow"] * 200, "clients": 1, "seconds": 0.2, "per_second": 40.0, "seed": 3}
    slow = load.run(server.server_port, plan).as_json()
    many = load.run(server.server_port, {**plan, "clients": 64}).as_json()
    # As many arrive whoever answers; one connection that takes 0.2 s an answer lets the later ones wait for the others.
    assert len(slow["latencies_ms"]) == len(many["latencies_ms"]) > 5
    assert max(slow["latencies_ms"]) > 200 * (len(slow["latencies_ms"]) - 1) - 200 > max(many["latencies_ms"])
    assert min(many["latencies_ms"]) >= 200


def test_a_failed_answer_and_a_lost_connection_count_as_failures(server: Any) -> None:
    bodies = ["fail", "fine", "hang up", "fine", "fine"]
    outcome = load.run(server.server_port, {"path": "/", "bodies": bodies, "clients": 1}).as_json()
    assert outcome["failed"] == 2
    assert len(outcome["latencies_ms"]) == 4


def test_a_limit_is_a_ceiling_unless_it_is_a_floor() -> None:
    slow = Figure(what="p95", value=3.0, unit="ms", limit=2.0, peer_name="peer", peer=1.5)
    many = Figure(what="rate", value=3.0, unit="/s", limit=2.0, at_least=True)
    unjudged = Figure(what="size", value=3.0, unit="MiB")
    assert (slow.met, many.met, unjudged.met) == (False, True, None)
    assert slow.ratio == 2.0
    lines = table([slow, many, unjudged]).splitlines()
    assert ["**missed**" in line for line in lines[2:]] == [True, False, False]
    assert {line.count("|") for line in lines} == {8}


def test_contenders_take_turns_and_are_asked_every_question_once() -> None:
    asked: list[tuple[str, int]] = []
    contenders = {
        "one": (lambda number: asked.append(("one", number)), 10),
        "two": (lambda number: asked.append(("two", number)), 3),
    }
    found = latencies(contenders, rounds=2)
    assert sorted(asked) == [("one", number) for number in range(10)] + [("two", number) for number in range(3)]
    assert asked.index(("two", 0)) < asked.index(("one", 9))
    assert len(found["one"]["wall_ms"]) == len(found["one"]["cpu_ms"]) == 10
    assert Spread.of(found["one"]["wall_ms"]).count == 10


def test_no_item_is_asked_about_twice() -> None:
    questions = Questions([f"item {number}" for number in range(30)], seed=1)
    taken = questions.take(10) + questions.take(20)
    assert len(set(taken)) == 30
    with pytest.raises(SystemExit):
        questions.take(1)


def test_the_peers_find_the_nearest_vectors(tmp_path: Path) -> None:
    pytest.importorskip("hnswlib")
    vectors = np.random.default_rng(1).normal(size=(400, 12)).astype(np.float32)
    vectors[17] = vectors[3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    told = peers.save(tmp_path, [str(place) for place in range(400)], vectors)
    assert told["recall"] >= 0.999
    graph = tmp_path / "graph.bin"
    graph.write_bytes(graph.read_bytes() + b" ")  # as a graph that is not built again
    peers.save(tmp_path, [str(place) for place in range(400)], vectors)
    assert graph.read_bytes().endswith(b" ")
    peers.save(tmp_path, [str(place) for place in range(400)], -vectors)
    peers.save(tmp_path, [str(place) for place in range(400)], vectors)
    similarities = vectors @ vectors[5]
    expected = np.sort(similarities)[::-1][:10]
    for name, make in peers.SEARCHES.items():
        places, found = make(tmp_path, vectors)(vectors[5])
        assert places[0] == 5, name
        assert found[:3] == pytest.approx(expected[:3], abs=1e-5), name


def test_every_way_to_add_up_times_gives_the_same_totals() -> None:
    measured = compare(SIZES[0], rounds=1)  # which ends the program where two ways disagree
    assert len(measured) == 6
