"""The quick ways of the host's busiest path do what the slow ways do."""

import asyncio
import json
import threading
import time
import uuid
from typing import Any

import azure.functions as func
import pytest
from azure.functions import get_binding_registry

from funchost import http_functions, logs
from funchost.http_functions import answer_from
from funchost.http_server import _new_id
from funchost.invocation import BindingSpec, Plan
from funchost.threads import FunctionThreads


def _plan() -> Plan:
    registry = get_binding_registry()
    return Plan(
        name="asked", function=lambda: None, is_async=False, trigger_name="req", trigger_type="httpTrigger",
        converter=registry.get("httpTrigger"), inputs=(), outputs=(), wants_context=False, directory="",
        returned=BindingSpec(name="$return", type="http", converter=registry.get("http")),
    )  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"body": "text", "status_code": 201},
        {"body": b"\x00\xff", "mimetype": "application/octet-stream"},
        {"body": "é", "charset": "latin-1"},
        {"body": "{}", "headers": {"Content-Type": "application/json"}},
        {"body": "x", "headers": {"X-One": "1", "x-one": "2", "Content-Length": "77", "Transfer-Encoding": "chunked"}},
        {"body": "x", "headers": {"Location": "/%C3%A9"}},
        {"headers": {"Set-Cookie": "a=b; Path=/"}},
    ],
)
def test_a_response_is_sent_as_its_converter_would(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    quick = answer_from(_plan(), func.HttpResponse(**given))
    monkeypatch.setattr(http_functions, "_from_plain", lambda _: None)
    slow = answer_from(_plan(), func.HttpResponse(**given))
    assert (quick.status, quick.body) == (slow.status, slow.body)
    assert sorted(quick.headers) == sorted(slow.headers)


def test_a_line_from_a_template_is_the_line_that_is_written_whole(capsys: pytest.CaptureFixture[str]) -> None:
    constant = {"function": 'per%cent "quoted" \\ é', "attempt": 1}
    template = logs.LineTemplate("info", "done", ids=("invocation_id",), numbers=("ms", "status"), **constant)
    template.write("an-id", 0.125, 200)
    logs.write_line("info", "done", invocation_id="an-id", ms=0.125, status=200, **constant)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(first.pop("timestamp")) == len(second.pop("timestamp"))
    assert first == second


def test_invocation_ids_are_random_uuids() -> None:
    ids = [_new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {str(uuid.UUID(text, version=4)) for text in ids} == set(ids)


def test_threads_run_side_by_side_up_to_their_limit_and_the_rest_waits() -> None:
    threads, at_once, most, done = FunctionThreads(3), 0, 0, threading.Semaphore(0)
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        done.release()

    for _ in range(12):
        threads.submit(work)
    assert all(done.acquire(timeout=10) for _ in range(12))
    assert most == 3


def test_a_thread_outlives_work_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    threads, done = FunctionThreads(1), threading.Event()
    threads.submit(lambda: [][0])
    threads.submit(done.set)
    assert done.wait(10)
    assert "thread.work_failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raised", "met"), [(KeyError, KeyError), (SystemExit, SystemExit), (StopIteration, RuntimeError)]
)
def test_what_a_function_raises_on_a_thread_reaches_who_awaits_it(
    raised: type[BaseException], met: type[BaseException]
) -> None:
    def fail() -> None:
        raise raised

    async def ask() -> str:
        threads = FunctionThreads(1)
        with pytest.raises(met):
            await threads.call(fail)
        return str(await threads.call("{} {}".format, "still", "there"))

    assert asyncio.run(ask()) == "still there"
