"""Microsoft's own function runtime with an app in it, in a process of its own under Python 3.13."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from launcher import microsoft
from tests.conformance.hosts import PROJECT
from tests.skips import not_on_this_machine

_WORKER = Path(__file__).with_name("microsoft_worker.py")
Typed = dict[str, Any]


class AppRefused(Exception):
    """A host refused the whole app; the text is its own."""


class InvocationFailed(Exception):
    """A function failed in the runtime; the text is its own."""


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """What an HTTP function answered."""

    status: int
    headers: dict[str, str]  # with names in lower case
    cookies: list[dict[str, Any]]
    body: bytes


class MicrosoftRuntime:
    """The runtime as its host drives it; `close` it."""

    def __init__(self, app_folder: Path, environment: Mapping[str, str], log_path: Path) -> None:
        self._log_path = log_path
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [str(microsoft.runtime_python()), str(_WORKER), str(app_folder)],
                cwd=app_folder, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def load(self) -> dict[str, Any]:
        """Have the app indexed; return `python` and `functions`, each with name, raw bindings and retry options."""
        answer = self._ask({"do": "load"})
        if "failure" in answer:
            raise AppRefused(answer["failure"])
        return answer

    def invoke(self, function: str, inputs: Mapping[str, Typed], metadata: Mapping[str, Typed]) -> dict[str, Any]:
        """Call a function with its trigger's value and metadata; return `returned` and `outputs`."""
        named = [{"name": name, "data": data} for name, data in inputs.items()]
        answer = self._ask({"do": "invoke", "function": function, "inputs": named, "metadata": dict(metadata)})
        if not answer["ok"]:
            raise InvocationFailed(answer["failure"])
        return answer

    def request(
        self,
        function: str,
        method: str,
        url: str,
        *,
        params: Mapping[str, str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> HttpAnswer:
        """Call an HTTP function with what the host makes of a request."""
        http = {
            "method": method, "url": url, "params": dict(params), "body": base64.b64encode(body).decode(),
            "headers": {name.lower(): value for name, value in headers.items()},
            "query": {name: value for name, value in query.items() if value},
        }  # fmt: skip
        told = self.invoke(function, {"req": {"http": http}}, {})["returned"]["http"]
        return HttpAnswer(
            status=told["status"],
            headers={name.lower(): value for name, value in told["headers"].items()},
            cookies=told["cookies"],
            body=plain_bytes(told["body"]),
        )

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def log_text(self) -> str:
        """What the app and the runtime wrote."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.log_text()
        answer: dict[str, Any] = json.loads(line)
        return answer


def plain_bytes(typed: Typed | None) -> bytes:
    """Return a typed value as the bytes that leave the host."""
    if typed is None:
        return b""
    ((kind, value),) = typed.items()
    return base64.b64decode(value) if kind == "bytes" else str(value).encode()


def need_microsoft() -> None:
    """Leave a test out where there is no Python 3.13; skip it where `manage.py test` has not yet used one."""
    if microsoft.find_python() is None:
        not_on_this_machine("no Python 3.13 on PATH or under pyenv")
    if not microsoft.is_installed():
        pytest.skip("azure-functions-runtime is not installed; `manage.py test` makes an environment with it")


_LOCAL = """
import json, os, sys
from pathlib import Path
from funchost.catalogue import make_catalogue
from funchost.discovery import index_app
from funchost.hostjson import read_host_json

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
described = [function.describe() for function in index_app(folder)]
entries = make_catalogue(described, read_host_json(folder, os.environ), os.environ)
print(json.dumps([
    {"name": e.name, "bindings": [dict(b) for b in e.raw_bindings], "retry": e.retry, "errors": e.errors}
    for e in entries
]))
"""


def catalogue_of_this_host(app_folder: Path, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what the embedded host makes of an app: name, raw bindings, retry options and errors of each function.

    In a process of its own: an app can be listed once in a process.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LOCAL, str(app_folder)],
        cwd=app_folder, env={**environment, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise AppRefused(done.stderr)
    listed: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return listed
