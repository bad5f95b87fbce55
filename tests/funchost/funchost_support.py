"""A small function app in a folder of its own, run by a real host process against a real Azurite."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import (
    QueueClient,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
PRELUDE = """
import json, logging, os, time, typing
import azure.functions as func

def record(**fields):
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps({**fields, "at": time.time(), "pid": os.getpid()}) + "\\n")

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
FAST = {
    "version": "2.0",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
    "singleton": {"listenerLockPeriod": "00:00:15", "listenerLockRecoveryPollingInterval": "00:00:15"},
    "extensions": {
        "queues": {"maxPollingInterval": "00:00:00.5", "visibilityTimeout": "00:00:01", "maxDequeueCount": 3},
        "blobs": {"poisonBlobThreshold": 2},
    },
}
MASTER = "the-master-key"


def eventually(question: Callable[[], Any], *, seconds: float = 10.0, every: float = 0.05) -> Any:
    """Ask until the answer is true and return it; the last answer when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(every)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class Account:
    """The storage of one test: names are made unique, so that tests share one Azurite."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self.tag = uuid.uuid4().hex[:8]
        self.host_id = f"t-{self.tag}"
        self.blobs = BlobServiceClient.from_connection_string(connection_string)
        self._queues = QueueServiceClient.from_connection_string(connection_string)

    def name(self, text: str) -> str:
        return f"{text}-{self.tag}"

    def queue(self, name: str, *, full: bool = False, raw: bool = False) -> QueueClient:
        policies: dict[str, Any] = {}
        if not raw:
            policies = {
                "message_encode_policy": TextBase64EncodePolicy(),
                "message_decode_policy": TextBase64DecodePolicy(),
            }
        return self._queues.get_queue_client(name if full else self.name(name), **policies)

    def send(self, queue: str, *texts: str, raw: bool = False) -> None:
        client = self.queue(queue, raw=raw)
        with contextlib.suppress(ResourceExistsError):
            client.create_queue()
        for text in texts:
            client.send_message(text)

    def waiting(self, queue: str, *, full: bool = False, raw: bool = False) -> list[str]:
        """Texts of the visible messages, left where they are."""
        try:
            messages = self.queue(queue, full=full, raw=raw).peek_messages(max_messages=32)
        except ResourceNotFoundError:
            return []
        return [str(message.content) for message in messages]

    def depth(self, queue: str) -> int:
        """All messages, the invisible ones too; -1 when there is no such queue."""
        try:
            return int(self.queue(queue).get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return -1

    def put(self, blob: str, data: bytes = b"{}", *, container: str = "drop") -> str:
        client = self.blobs.get_container_client(self.name(container))
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        return str(client.upload_blob(blob, data, overwrite=True).get_blob_properties().etag).strip('"')

    def host_blobs(self, prefix: str) -> list[str]:
        container = self.blobs.get_container_client("azure-webjobs-hosts")
        return [blob.name for blob in container.list_blobs(name_starts_with=prefix)]


class Host:
    """One `python -m funchost` and what it wrote."""

    def __init__(self, app_dir: Path, number: int, environment: dict[str, str], arguments: list[str]) -> None:
        self.app_dir = app_dir
        self.log_path = app_dir / f"host-{number}.log"
        self.record_path = Path(environment["RECORD"])
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "funchost", "--app-dir", str(app_dir), "--port", "0", *arguments],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = ""

    def wait_ready(self) -> "Host":
        ready = eventually(lambda: self.events("host.ready") or self.process.poll() is not None, seconds=30)
        assert ready, self.log_text()
        assert self.process.poll() is None, self.log_text()
        self.url = self.events("host.ready")[0]["url"]
        return self

    def log_text(self) -> str:
        return self.log_path.read_text()

    def log(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for line in self.log_text().splitlines():
            if line.startswith("{"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    continue  # a line that is being written
        return lines

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.log()
            if line["event"] == event and all(line.get(key) == value for key, value in fields.items())
        ]

    def records(self, what: str | None = None) -> list[dict[str, Any]]:
        if not self.record_path.exists():
            return []
        found = [json.loads(line) for line in self.record_path.read_text().splitlines()]
        return [record for record in found if what is None or record["what"] == what]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=15, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=15, **options)

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(
            method, f"{self.url}/admin/{path}", headers={"x-functions-key": MASTER}, timeout=15, **options
        )

    def stop(self, *, seconds: float = 20) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)


class Workshop:
    """Makes apps and runs hosts; whatever still runs at the end of the test is ended."""

    def __init__(self, folder: Path, account: Account) -> None:
        self.folder = folder
        self.account = account
        self._hosts: list[Host] = []
        self._numbers = itertools.count()

    def write(self, source: str, *, host_json: dict[str, Any] | None = None, name: str = "app") -> Path:
        app_dir = self.folder / name
        app_dir.mkdir(exist_ok=True)
        text = textwrap.dedent(source).replace("TAG", self.account.tag)
        (app_dir / "function_app.py").write_text(PRELUDE + text)
        (app_dir / "host.json").write_text(json.dumps(merged(FAST, host_json or {})))
        return app_dir

    def start(self, app_dir: Path, *arguments: str, settings: dict[str, str] | None = None, ready: bool = True) -> Host:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(PROJECT),
            "RECORD": str(self.folder / "record.jsonl"),
            "AzureWebJobsStorage": self.account.connection_string,
            "AzureFunctionsWebHost__hostid": self.account.host_id,
            "FUNCHOST_MASTER_KEY": MASTER,
            "FUNCHOST_BLOB_SCAN_SECONDS": "0.3",
            "FUNCHOST_MESSAGE_VISIBILITY": "4",
            "FUNCHOST_LOCK_RETRY_SECONDS": "1",
            **(settings or {}),
        }
        host = Host(app_dir, next(self._numbers), environment, list(arguments))
        self._hosts.append(host)
        return host.wait_ready() if ready else host

    def run(self, source: str, *, host_json: dict[str, Any] | None = None, **settings: str) -> Host:
        return self.start(self.write(source, host_json=host_json), settings=settings)

    def end(self) -> None:
        for host in self._hosts:
            if host.process.poll() is None:
                host.kill()
