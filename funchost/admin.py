"""The admin API: status, drain, functions, and firing a function by hand. The master key was checked before."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from funchost.catalogue import Entry
from funchost.hostjson import HostJson
from funchost.settings import HostSettings
from funchost.state import HostState

VERSION = "4.0.0-funchost"
FireByHand = Callable[[Entry, str], None]
Answered = tuple[int, Any]
_NOT_HERE = ("warmup", "vfs", "zip", "host/keys", "host/functionkeys", "host/systemkeys")


class AdminApi:
    """Answers requests that the HTTP worker forwards."""

    def __init__(
        self,
        *,
        settings: HostSettings,
        host_json: HostJson,
        state: HostState,
        entries: Sequence[Entry],
        fire: FireByHand,
        workers: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._settings = settings
        self._host_json = host_json
        self._state = state
        self._entries = {entry.name.lower(): entry for entry in entries}
        self._fire = fire
        self._workers = workers
        self._metrics = metrics
        self._instance_id = uuid.uuid4().hex
        self._started = time.monotonic()

    def answer(self, method: str, path: str, body: str) -> Answered:
        """Return status and JSON document (None: no body)."""
        parts = [part for part in path.lower().split("/") if part][1:]
        fixed: dict[tuple[str, str], Callable[[], Answered]] = {
            ("GET", "host/status"): self._status,
            ("GET", "host/metrics"): lambda: (200, dict(self._metrics())),
            ("POST", "host/drain"): self._drain,
            ("GET", "host/drain/status"): self._drain_status,
            ("POST", "host/resume"): self._resume,
            ("GET", "functions"): lambda: (200, [self._described(entry) for entry in self._entries.values()]),
        }
        handler = fixed.get((method, "/".join(parts)))
        if handler is not None:
            return handler()
        if "/".join(parts).startswith(_NOT_HERE) or parts[2:3] == ["keys"]:
            return 501, {
                "error": f"this host has no {'/'.join(parts)}: its keys lie in host-keys.json, its app in --app-dir"
            }
        if len(parts) in (2, 3) and parts[0] == "functions":
            entry = self._entries.get(parts[1])
            if entry is None:
                return 404, None
            if parts[2:] == ["status"] and method == "GET":
                return 200, {"errors": list(entry.errors)} if entry.errors else {}
            if len(parts) == 2 and method == "GET":
                return 200, self._described(entry)
            if len(parts) == 2 and method == "POST":
                return self._invoke(entry, body)
        return 404, None

    def _described(self, entry: Entry) -> dict[str, Any]:
        document = entry.describe()
        if entry.kind == "httpTrigger":
            prefix = self._host_json.route_prefix.strip("/")
            document["invokeUrlTemplate"] = "/" + "/".join(part for part in (prefix, entry.route.strip("/")) if part)
        return document

    def _status(self) -> Answered:
        errors = [f"{entry.name}: {error}" for entry in self._entries.values() for error in entry.errors]
        bundle = self._host_json.extension_bundle
        return 200, {
            "id": self._settings.host_id,
            "state": "Stopping" if self._state.stopping.is_set() else "Running",
            "version": VERSION,
            "instanceId": self._instance_id,
            "processUptime": round((time.monotonic() - self._started) * 1000),
            "errors": errors,
            "extensionBundle": dict(bundle) if bundle else None,
            "workers": dict(self._workers()),
        }

    def _drain(self) -> Answered:
        self._state.drain()
        return 202, None

    def _drain_status(self) -> Answered:
        outstanding, retries = self._state.under_way, self._state.retries
        state = "Disabled" if not self._state.draining else "InProgress" if outstanding or retries else "Completed"
        return 200, {"state": state, "outstandingInvocations": outstanding, "outstandingRetries": retries}

    def _resume(self) -> Answered:
        return (200, None) if self._state.resume() else (409, None)

    def _invoke(self, entry: Entry, body: str) -> Answered:
        try:
            document = json.loads(body)
            given = document.get("input", "")
        except (ValueError, AttributeError, RecursionError):
            return 400, {"error": 'the body must be a JSON object such as {"input": "text"}'}
        if entry.errors:
            return 404, {"error": f"the function has errors: {'; '.join(entry.errors)}"}
        if entry.kind == "httpTrigger":
            return 400, {"error": "an HTTP function is fired by a request to its own route"}
        text = given if isinstance(given, str) else json.dumps(given)
        threading.Thread(target=self._fire, args=(entry, text), name=f"fire-{entry.name}", daemon=True).start()
        return 202, None
