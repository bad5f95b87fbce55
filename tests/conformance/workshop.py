"""Small function apps in folders of their own, and the hosts that run them."""

import itertools
import json
import os
import textwrap
from pathlib import Path
from typing import Any

from tests.conformance.account import Account
from tests.conformance.hosts import MASTER, PROJECT, CoreToolsHost, EmbeddedHost, Host, leave_keys

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


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class Workshop:
    """Makes apps and runs hosts; whatever still runs at the end of the test is ended."""

    def __init__(self, folder: Path, account: Account, kind: str = "embedded") -> None:
        self.folder = folder
        self.account = account
        self.kind = kind
        self._hosts: list[Host] = []
        self._numbers = itertools.count()

    def write(self, source: str, *, host_json: dict[str, Any] | str | None = None, name: str = "app") -> Path:
        """Write an app's folder; a host.json given as a text is taken as it is, an object is put over `FAST`."""
        app_dir = self.folder / name
        app_dir.mkdir(exist_ok=True)
        text = textwrap.dedent(source).replace("TAG", self.account.tag)
        (app_dir / "function_app.py").write_text(PRELUDE + text)
        document = host_json if isinstance(host_json, str) else json.dumps(merged(FAST, host_json or {}))
        (app_dir / "host.json").write_text(document)
        return app_dir

    def start(self, app_dir: Path, *arguments: str, settings: dict[str, str] | None = None, ready: bool = True) -> Any:
        """Start a host for this app; `Any`, for what a scenario asks of every host stands in `Host`."""
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "RECORD": str(self.folder / "record.jsonl"),
            "AzureWebJobsStorage": self.account.connection_string,
            "AzureFunctionsWebHost__hostid": self.account.host_id,
            **self._of_the_kind(),
            **(settings or {}),
        }
        kind = EmbeddedHost if self.kind == "embedded" else CoreToolsHost
        host = kind(app_dir, next(self._numbers), environment, list(arguments))
        self._hosts.append(host)
        return host.wait_ready() if ready else host

    def _of_the_kind(self) -> dict[str, str]:
        if self.kind == "core-tools":
            leave_keys(self.account)
            return {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsSecretStorageType": "blob"}
        return {
            "PYTHONPATH": str(PROJECT),
            "FUNCHOST_MASTER_KEY": MASTER,
            "FUNCHOST_BLOB_SCAN_SECONDS": "0.3",
            "FUNCHOST_MESSAGE_VISIBILITY": "4",
            "FUNCHOST_LOCK_RETRY_SECONDS": "1",
        }

    def run(self, source: str, *, host_json: dict[str, Any] | None = None, **settings: str) -> Any:
        return self.start(self.write(source, host_json=host_json), settings=settings)

    def end(self) -> None:
        for host in self._hosts:
            if host.process.poll() is None:
                host.kill()
