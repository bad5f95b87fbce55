"""What Microsoft's Python runtime refuses while it indexes an app, and what it takes; each case was seen there."""

import sys
from pathlib import Path
from textwrap import dedent

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from funchost.discovery import Indexed, index_app
from funchost.errors import AppLoadError

HTTP = '@app.route(route="x")\n'
QUEUE = '@app.queue_trigger(arg_name="msg", queue_name="some-queue", connection="AzureWebJobsStorage")\n'
BLOB = '@app.blob_trigger(arg_name="blob", path="box/{name}", connection="AzureWebJobsStorage", data_type="BINARY")\n'
OUT = '@app.queue_output(arg_name="out", queue_name="next", connection="AzureWebJobsStorage")\n'
RETURNED = '@app.queue_output(arg_name="$return", queue_name="next", connection="AzureWebJobsStorage")\n'
BODY = "    return None\n"


def _index(folder: Path, source: str, *, head: str = "") -> dict[str, Indexed]:
    text = f"{head}import functools, typing\nimport azure.functions as func\napp = func.FunctionApp()\n{dedent(source)}"
    (folder / "function_app.py").write_text(text)
    before = sys.modules.get("function_app")
    try:
        return {indexed.name: indexed for indexed in index_app(folder)}
    finally:
        sys.modules.pop("function_app", None)
        if before is not None:
            sys.modules["function_app"] = before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (f"{QUEUE}{OUT}def f(msg: func.QueueMessage, out: func.Out[list[str]]):\n{BODY}", "typing.List"),
        (f"{QUEUE}{RETURNED}def f(msg: func.QueueMessage) -> typing.Optional[str]:\n{BODY}", "one class"),
        (f"{QUEUE}{RETURNED}def f(msg: func.QueueMessage) -> str | None:\n{BODY}", "one class"),
        (f"{HTTP}def f(req: func.HttpRequest) -> None:\n{BODY}", "return"),
        (f"{HTTP}def f(req: func.HttpRequest) -> dict:\n{BODY}", "dict"),
        (f"{HTTP}def f(req: dict) -> func.HttpResponse:\n{BODY}", "dict"),
        (f"{QUEUE}def f(msg: dict):\n{BODY}", "dict"),
        (f"{HTTP}def f(req: func.HttpRequest, more=1) -> func.HttpResponse:\n{BODY}", "'more' belongs to no binding"),
        (f"{HTTP}def f() -> func.HttpResponse:\n{BODY}", "'req' is no parameter"),
        (f"{HTTP}def f(req: func.HttpRequest, context: dict) -> func.HttpResponse:\n{BODY}", "Context"),
        (f"{QUEUE}{OUT}def f(msg: func.QueueMessage, out: str):\n{BODY}", "Out"),
        (f"{QUEUE}def f(msg: func.Out[str]):\n{BODY}", "Out"),
        (f"{QUEUE}def f(msg: 'Missing'):\n{BODY}", "Missing"),
        (f"{HTTP}def f(req):\n{BODY}\n{HTTP}def f(req):\n{BODY}", "does not have a unique function name"),
    ],
)
def test_what_the_runtime_refuses_refuses_the_app(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(AppLoadError, match=r"function_app\.py") as caught:
        _index(tmp_path, f'{source}\n@app.route(route="good")\ndef good(req: func.HttpRequest):\n{BODY}')
    assert reason in str(caught.value)


def test_what_the_runtime_takes_is_taken(tmp_path: Path) -> None:
    source = f"""
def plain(function):
    return function

def wrapping(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

{HTTP}def bare(req):
{BODY}
{HTTP.replace("x", "y")}@wrapping
def wrapped(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
{BODY}
@plain
{QUEUE}{OUT}def lists(msg: func.QueueMessage, out: func.Out[typing.List[str]]):
{BODY}
{QUEUE}def text(msg: str) -> None:
{BODY}
{BLOB}def data(blob: bytes) -> None:
{BODY}
{BLOB}def stream(blob: func.InputStream) -> None:
{BODY}
{HTTP.replace("x", "z")}def answers(req: func.HttpRequest) -> str:
{BODY}
"""
    found = _index(tmp_path, source, head="from __future__ import annotations\n")
    assert sorted(found) == ["answers", "bare", "data", "lists", "stream", "text", "wrapped"]
    assert not [indexed for indexed in found.values() if indexed.errors]
    wrapped = found["wrapped"].plan
    assert wrapped is not None
    assert wrapped.wants_context


def test_text_and_bytes_arrive_as_they_are_and_messages_as_objects(tmp_path: Path) -> None:
    found = _index(
        tmp_path,
        f"{QUEUE}def text(msg: str):\n{BODY}\n{BLOB}def data(blob: bytes):\n{BODY}\n"
        f"{QUEUE}def message(msg: func.QueueMessage):\n{BODY}",
    )

    def decoded(name: str, datum: Datum) -> object:
        plan = found[name].plan
        assert plan is not None
        return plan.converter.decode(datum, trigger_metadata={})

    assert decoded("text", Datum("plain", "string")) == "plain"
    assert decoded("data", Datum(b"\x00\xff", "bytes")) == b"\x00\xff"
    message = decoded("message", Datum("plain", "string"))
    assert isinstance(message, func.QueueMessage)
    assert message.get_body() == b"plain"
