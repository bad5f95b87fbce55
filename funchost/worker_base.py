"""What both roles of a worker share: the channel to the host, the index of the app, the threads of `def` functions."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from funchost import logs
from funchost.discovery import Indexed, index_app
from funchost.errors import AppLoadError
from funchost.rpc import Answer, Channel, connect
from funchost.threads import FunctionThreads


class WorkerBase:
    """Connects, indexes the app and tells the host what it found."""

    def __init__(self, boot: Mapping[str, Any]) -> None:
        self.boot = boot
        self.stop_asked = threading.Event()
        self.threads = FunctionThreads(_thread_count())
        self.functions: dict[str, Indexed] = {}
        self.channel = Channel(connect(boot["port"], boot["token"]), self._handle, on_close=self._host_gone)

    def load(self) -> bool:
        """Index the app and announce the result; False when the app as a whole cannot be loaded."""
        self.channel.start("host-channel")
        try:
            indexed = index_app(Path(self.boot["app_dir"]))
        except AppLoadError as error:
            cause = error.__cause__
            logs.error("app.load_failed", reason=str(error), exception=_trace(cause))
            self.channel.call("indexed", {"failure": str(error)}).result(timeout=10)
            return False
        self.functions = {function.name: function for function in indexed}
        self.channel.call("indexed", {"functions": [function.describe() for function in indexed]}).result(timeout=30)
        return True

    def _handle(self, method: str, body: dict[str, Any], payload: bytes, answer: Answer) -> None:
        raise NotImplementedError

    def _host_gone(self) -> None:
        """Nothing that runs here can be reported any more; the keeper clears up below."""
        os._exit(3)


def _thread_count() -> int:
    text = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    return min(32, (os.cpu_count() or 1) + 4)


def _trace(error: BaseException | None) -> str | None:
    import traceback

    return None if error is None else "".join(traceback.format_exception(error))
