"""The threads that `def` functions run on."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from funchost import logs


class FunctionThreads:
    """As many threads as work needs at once, up to a limit; they end with the process.

    They do what an executor does without its two futures, locks and callbacks for each piece of work, which cost
    several times what the way to a thread and back does.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._open = 0  # pieces of work that wait or run
        self._lock = threading.Lock()
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` on one of the threads; with all of them busy it waits its turn."""
        with self._lock:
            self._open += 1
            grows = self._started < min(self._open, self._most)
            self._started += grows
            number = self._started
        self._work.put(work)
        if grows:
            threading.Thread(target=self._serve, name=f"function-{number}", daemon=True).start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        """Call `function` on one of the threads; the future belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def work() -> None:
            result, failure = None, None
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who awaits the future
                failure = error
            loop.call_soon_threadsafe(_settle, future, result, failure)

        self.submit(work)
        return future

    def _serve(self) -> None:
        while True:
            work = self._work.get()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the thread serves others after this one
                logs.error("thread.work_failed", exception=repr(error))
            del work  # nor keep alive what it held, until the next one comes
            with self._lock:
                self._open -= 1


def _settle(future: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if future.done():
        return  # nobody waits any more
    if failure is None:
        future.set_result(result)
    elif isinstance(failure, StopIteration):
        future.set_exception(RuntimeError(f"the function raised {failure!r}"))  # a future cannot hold a StopIteration
    else:
        future.set_exception(failure)
