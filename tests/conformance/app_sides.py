"""This project's whole app behind two hosts: asked, rung, fired and dropped upon in the same words."""

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueMessage, QueueServiceClient

from tests.conformance.hosts import EmbeddedHost, eventually
from tests.conformance.microsoft import MicrosoftRuntime, Typed

PATIENCE_SECONDS = 120.0
_QUIET_HEADERS = ("content-type", "content-disposition", "cache-control", "content-security-policy", "location",
                  "x-model-version", "x-content-type-options")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back for a request, however it went there."""

    status: int
    headers: dict[str, str]
    cookies: list[str]  # name=value
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def facts(self) -> dict[str, Any]:
        """Return what two hosts must agree on, as far as times and ids let them."""
        headers = {name: self.headers[name] for name in _QUIET_HEADERS if name in self.headers}
        is_json = headers.get("content-type", "").partition(";")[0].endswith("json")
        body = json.loads(self.body) if is_json and self.body else self.body.decode("utf-8", "replace")
        return {"status": self.status, "headers": headers, "cookies": len(self.cookies), "body": body}


class Side(Protocol):
    """An app behind one host."""

    name: str

    def ask(
        self,
        function: str,
        *,
        params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an HTTP function; a `body` of bytes is sent as it is, anything else but None as JSON."""
        ...

    def work_off(self, queue: str, function: str) -> None:
        """See that every message that waits in a queue goes to its function, and has left."""
        ...

    def fire(self, function: str) -> None:
        """Fire a timer function by hand."""
        ...

    def drop(self, path: str, data: bytes, function: str) -> None:
        """Put a blob, and see that its function has run."""
        ...

    def send(self, queue: str, text: str) -> None:
        """Put a message into a queue."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Put a blob that no function waits for."""
        ...


@dataclass(frozen=True)
class Routes:
    """Where each HTTP function answers."""

    by_function: Mapping[str, tuple[str, str]]  # method and route

    @classmethod
    def of(cls, functions: list[dict[str, Any]]) -> "Routes":
        """Read them from raw bindings."""
        triggers = {one["name"]: one["bindings"] for one in functions}
        found: dict[str, tuple[str, str]] = {}
        for name, bindings in triggers.items():
            trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
            if trigger["type"] == "httpTrigger":
                found[name] = (trigger["methods"][0] if trigger.get("methods") else "GET", trigger["route"])
        return cls(found)

    def request(self, function: str, params: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, str]:
        """Return method and path with query."""
        method, route = self.by_function[function]
        path = re.sub(r"\{\*?(\w+)\}", lambda place: quote(params[place[1]], safe="/"), route)
        return method, f"/{path}" + (f"?{urlencode(query)}" if query else "")


@dataclass(kw_only=True)
class Storages:
    """The queues and blobs that an app's host looks at."""

    connection_string: str
    blobs: BlobServiceClient = field(init=False)
    queues: QueueServiceClient = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = BlobServiceClient.from_connection_string(self.connection_string)
        self.queues = QueueServiceClient.from_connection_string(self.connection_string)

    def send(self, queue: str, text: str) -> None:
        client = self.queues.get_queue_client(queue)
        try:
            client.send_message(text)
        except ResourceNotFoundError:
            client.create_queue()
            client.send_message(text)

    def put(self, path: str, data: bytes) -> None:
        container, _, name = path.partition("/")
        self.blobs.get_blob_client(container, name).upload_blob(data, overwrite=True)

    def depth(self, queue: str) -> int:
        try:
            return int(self.queues.get_queue_client(queue).get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0

    def close(self) -> None:
        self.blobs.close()
        self.queues.close()


def _sent(body: Any, headers: Mapping[str, str], key: str) -> tuple[bytes, dict[str, str]]:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    base = {"x-api-key": key, "content-type": "application/json", "x-requested-with": "1", **headers}
    return data, {name: value for name, value in base.items() if value}


class LocalSide:
    """The app in this project's host, with its listeners."""

    name = "this project's host"

    def __init__(self, host: EmbeddedHost, routes: Routes, storages: Storages, key: str, master_key: str) -> None:
        self._host, self._routes, self._storages, self._key = host, routes, storages, key
        self._master = {"x-functions-key": master_key}

    def ask(
        self,
        function: str,
        *,
        params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        method, path = self._routes.request(function, params or {}, query or {})
        data, sent = _sent(body, headers or {}, self._key)
        answer = httpx.request(method, self._host.url + path, content=data, headers=sent, timeout=60)
        return Answer(
            status=answer.status_code,
            headers=dict(answer.headers),
            cookies=[text.partition(";")[0] for text in answer.headers.get_list("set-cookie")],
            body=answer.content,
        )

    def work_off(self, queue: str, function: str) -> None:
        assert eventually(lambda: self._storages.depth(queue) == 0, seconds=PATIENCE_SECONDS), self._host.log_text()

    def fire(self, function: str) -> None:
        before = len(self._host.events("function.succeeded", function=function))
        asked = httpx.post(f"{self._host.url}/admin/functions/{function}", json={}, headers=self._master, timeout=30)
        assert asked.status_code == 202, asked.text
        self._await_success(function, before)

    def drop(self, path: str, data: bytes, function: str) -> None:
        before = len(self._host.events("function.succeeded", function=function))
        self._storages.put(path, data)
        self._await_success(function, before)

    def send(self, queue: str, text: str) -> None:
        self._storages.send(queue, text)

    def put(self, path: str, data: bytes) -> None:
        self._storages.put(path, data)

    def _await_success(self, function: str, before: int) -> None:
        assert eventually(
            lambda: len(self._host.events("function.succeeded", function=function)) > before, seconds=PATIENCE_SECONDS
        ), self._host.log_text()


class MicrosoftSide:
    """The app in Microsoft's runtime; what Microsoft's host would do between storage and runtime is done here."""

    name = "Microsoft's runtime"
    url = "http://127.0.0.1:7071"

    def __init__(self, runtime: MicrosoftRuntime, routes: Routes, storages: Storages, key: str) -> None:
        self._runtime, self._routes, self._storages, self._key = runtime, routes, storages, key

    def ask(
        self,
        function: str,
        *,
        params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        method, path = self._routes.request(function, params or {}, query or {})
        data, sent = _sent(body, headers or {}, self._key)
        all_headers = {"host": "127.0.0.1:7071", "content-length": str(len(data)), **sent}
        answer = self._runtime.request(
            function, method, self.url + path, params=params or {}, query=query or {}, headers=all_headers, body=data
        )
        cookies = [f"{cookie['name']}={cookie['value']}" for cookie in answer.cookies]
        return Answer(status=answer.status, headers=answer.headers, cookies=cookies, body=answer.body)

    def work_off(self, queue: str, function: str) -> None:
        client = self._storages.queues.get_queue_client(queue)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._storages.depth(queue):
            for message in client.receive_messages(visibility_timeout=600):
                text = str(message.content)
                self._runtime.invoke(function, {"msg": {"string": text}}, queue_metadata(message, text))
                client.delete_message(message.id, pop_receipt=message.pop_receipt)
        assert self._storages.depth(queue) == 0

    def fire(self, function: str) -> None:
        now = datetime.now(UTC)
        timer = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": "0001-01-01T00:00:00+00:00",
                "Next": (now + timedelta(days=1)).isoformat(),
                "LastUpdated": now.isoformat(),
            },
            "IsPastDue": False,
        }
        self._runtime.invoke(function, {"timer": {"json": json.dumps(timer)}}, {"TimerTrigger": {"string": ""}})

    def drop(self, path: str, data: bytes, function: str) -> None:
        self._storages.put(path, data)
        container, _, name = path.partition("/")
        client = self._storages.blobs.get_blob_client(container, name)
        described = {"ContentLength": len(data), "Length": len(data), "ETag": client.get_blob_properties().etag}
        metadata: dict[str, Typed] = {
            "BlobTrigger": {"string": path},
            "Uri": {"json": json.dumps(client.url)},
            "Properties": {"json": json.dumps(described)},
            "Metadata": {"json": "{}"},
            "version": {"string": name.partition("/")[0]},
        }
        self._runtime.invoke(function, {"blob": {"bytes": base64.b64encode(data).decode()}}, metadata)

    def send(self, queue: str, text: str) -> None:
        self._storages.send(queue, text)

    def put(self, path: str, data: bytes) -> None:
        self._storages.put(path, data)


def queue_metadata(message: QueueMessage, text: str) -> dict[str, Typed]:
    """Return the metadata that Microsoft's host gives with a queue message."""
    moments = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "Id": {"string": message.id},
        "DequeueCount": {"json": str(message.dequeue_count)},
        "PopReceipt": {"string": message.pop_receipt},
        "QueueTrigger": {"string": text},
        **{name: {"json": json.dumps(moment.isoformat())} for name, moment in moments.items() if moment is not None},
    }


def write_app_folder(folder: Path, project: Path) -> Path:
    """Return a folder whose app is the product's, and whose host's files are a test's."""
    folder.mkdir()
    for name in ("host.json", "local.settings.json", "function_app.py"):
        (folder / name).write_bytes((project / name).read_bytes())
    return folder
