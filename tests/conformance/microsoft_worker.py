"""Runs under Python 3.13: drives Microsoft's own runtime as Microsoft's host does, for whoever writes to its input.

`python microsoft_worker.py APP_FOLDER` reads one JSON object a line and writes one for each:

    {"do": "load"}                                -> {"functions": [...]} or {"failure": text}
    {"do": "invoke", "function": name, "inputs": [{"name": n, "data": typed}], "metadata": {key: typed}}
        -> {"ok": true, "returned": typed or null, "outputs": {name: typed}} or {"ok": false, "failure": text}

A `typed` value is {"string" | "json" | "bytes" | "http": value}; bytes are in base64, and `http` holds method, url,
headers, query, params and body on the way in, status, headers, cookies and body on the way out.
"""

import asyncio
import base64
import importlib
import json
import os
import sys
import uuid
from types import SimpleNamespace
from typing import Any, ClassVar

_DATA = ("http", "json", "string", "bytes", "int", "double")


class _Message(SimpleNamespace):
    """Stands in for a protobuf message: what it was made with, and which of its fields is set."""

    Success: ClassVar[str] = "success"
    Failure: ClassVar[str] = "failure"
    SameSite: ClassVar[Any] = SimpleNamespace(Lax="Lax", Strict="Strict", ExplicitNone="None", **{"None": None})

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's own name
        names = _DATA if group == "data" else ("data",)
        return next((name for name in names if getattr(self, name, None) is not None), None)


class _Directions(_Message):
    """`BindingInfo`, whose directions and types are numbers that the app's library names."""

    undefined, string, binary, stream = range(4)
    inout = 2
    out = 1


def _protos() -> Any:
    names = (
        "FunctionMetadataResponse", "FunctionLoadResponse", "InvocationResponse", "NullableBool", "NullableDouble",
        "NullableString", "NullableTimestamp", "ParameterBinding", "RpcException", "RpcFunctionMetadata", "RpcHttp",
        "RpcHttpCookie", "RpcRetryOptions", "StatusResult", "TypedData", "WorkerInitResponse", "WorkerMetadata",
    )  # fmt: skip
    return SimpleNamespace(BindingInfo=_Directions, **{name: type(name, (_Message,), {}) for name in names})


def _typed(given: dict[str, Any]) -> _Message:
    ((kind, value),) = given.items()
    if kind == "bytes":
        return _Message(bytes=base64.b64decode(value))
    if kind == "http":
        body = _Message(bytes=base64.b64decode(value["body"]))
        return _Message(http=_Message(**{**value, "body": body}))
    return _Message(**{kind: value})


def _told(typed: Any) -> dict[str, Any] | None:
    """Return a typed value as JSON can hold it."""
    kind = None if typed is None else typed.WhichOneof("data")
    if kind is None:
        return None
    value = getattr(typed, kind)
    if kind == "bytes":
        value = base64.b64encode(value).decode()
    elif kind == "http":
        cookies = [
            {name: getattr(part, "value", part) for name, part in vars(cookie).items() if part is not None}
            for cookie in value.cookies or ()
        ]
        value = {
            "status": int(value.status_code), "headers": dict(value.headers), "cookies": cookies,
            "body": _told(value.body),
        }  # fmt: skip
    return {kind: value}


class Runtime:
    """Microsoft's runtime with one app in it; it keeps its registry in its modules, so a process has one."""

    def __init__(self, app_folder: str) -> None:
        self._app_folder = app_folder
        self._runtime: Any = importlib.import_module("azure_functions_runtime")
        self._ids: dict[str, str] = {}

    async def load(self) -> dict[str, Any]:
        """Have the app indexed, and every function of it loaded."""
        asked = SimpleNamespace(capabilities={}, function_app_directory=self._app_folder)
        properties = {"host": "127.0.0.1", "protos": _protos()}
        request = SimpleNamespace(request=SimpleNamespace(worker_init_request=asked), properties=properties)
        begun = await self._runtime.worker_init_request(request)
        if begun.result.status != "success":
            return {"failure": f"{begun.result.exception.message}\n{begun.result.exception.stack_trace}"}
        self._runtime.start_threadpool_executor()
        found = await self._runtime.functions_metadata_request(request)
        for function in found.function_metadata_results:
            self._ids[function.name] = function.function_id
            load = SimpleNamespace(function_load_request=SimpleNamespace(function_id=function.function_id))
            answer = await self._runtime.function_load_request(SimpleNamespace(request=load))
            if answer.result.status != "success":
                return {"failure": f"{function.name} could not be loaded"}
        return {
            "python": sys.version.split()[0],
            "functions": [_described(function) for function in found.function_metadata_results],
        }

    async def invoke(self, name: str, inputs: list[dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Any]:
        """Call one function with what a trigger gives it."""
        called = SimpleNamespace(
            invocation_id=str(uuid.uuid4()),
            function_id=self._ids[name],
            input_data=[_Message(name=given["name"], data=_typed(given["data"]), rpc_data="data") for given in inputs],
            trigger_metadata={key: _typed(value) for key, value in metadata.items()},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        request = SimpleNamespace(request=SimpleNamespace(invocation_request=called))
        answer = await self._runtime.invocation_request(request)
        if answer.result.status != "success":
            return {"ok": False, "failure": f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}"}
        outputs = {output.name: _told(output.data) for output in answer.output_data}
        return {"ok": True, "returned": _told(answer.return_value), "outputs": outputs}


def _described(function: Any) -> dict[str, Any]:
    retry = function.retry_options
    return {
        "name": function.name,
        "bindings": [json.loads(text) for text in function.raw_bindings],
        "retry": None if retry is None else {name: str(value) for name, value in vars(retry).items()},
    }


async def _serve(app_folder: str, channel: Any) -> None:
    runtime = Runtime(app_folder)
    lines = asyncio.StreamReader(limit=1 << 28)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        asked = json.loads(line)
        if asked["do"] == "load":
            answer = await runtime.load()
        else:
            answer = await runtime.invoke(asked["function"], asked["inputs"], asked["metadata"])
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


def main() -> None:
    """Answer until the input ends; what the app prints goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    app_folder = sys.argv[1]
    sys.path.insert(0, app_folder)
    asyncio.run(_serve(app_folder, channel))


if __name__ == "__main__":
    main()
