"""The host process: imports no user code; keeps the workers, runs the listeners, stops in order."""

import gc
import socket
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from funchost import logs
from funchost.admin import AdminApi
from funchost.bindingdata import BindingData
from funchost.catalogue import Entry, make_catalogue
from funchost.errors import TIMED_OUT, AppLoadError, ChannelClosed, ConfigurationError, HostError
from funchost.groups import WorkerGroup
from funchost.hostjson import HostJson
from funchost.incarnation import Incarnation
from funchost.keys import Keys, load_keys
from funchost.metrics import Metrics, add_up
from funchost.rpc import Answer, RemoteError, Switchboard
from funchost.server import BACKLOG
from funchost.serving_plan import serving_plan
from funchost.settings import HostSettings
from funchost.state import HostState
from funchost.workers import CrashLoop, WorkerSlot, describe

_START_SECONDS = 90


class Supervisor:
    """Owns everything of one host process."""

    def __init__(self, settings: HostSettings, host_json: HostJson, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._host_json = host_json
        self._environment = environment
        self._state = HostState()
        self._metrics = Metrics()
        self._past = Metrics().document()  # of workers that have handed over and left
        self._lock = threading.Lock()
        self._catalogue: Future[list[Entry]] = Future()
        self._fatal: Future[HostError] = Future()
        self._keys: Keys | None = None
        self._admin: AdminApi | None = None
        self._listeners: Any = None
        self._stop_asked = threading.Event()
        self._stops = 0
        self._http_serving = threading.Event()
        self._socket = _bind(settings)
        self._switchboard = Switchboard()
        self._http = [
            self._slot("http", f"http-{number}" if number else "http") for number in range(settings.http_workers)
        ]
        self._event = WorkerGroup(
            [self._slot("event", f"event-{number}" if number else "event") for number in range(settings.event_workers)]
        )
        self._crashes = CrashLoop(3 * settings.http_workers)

    def _slot(self, role: str, name: str) -> WorkerSlot:
        return WorkerSlot(
            role=role,
            name=name,
            app_dir=self._settings.app_dir,
            switchboard=self._switchboard,
            on_call=self._from_worker,
            on_end=self._http_worker_ended if role == "http" else None,
            listener=self._socket if role == "http" else None,
            log_levels=self._host_json.log_levels,
            log_file=self._settings.log_file,
            leave_seconds=self._settings.grace_seconds,
            spare_after_seconds=self._settings.spare_after_seconds,
        )

    def ask_to_stop(self) -> None:
        """Begin the orderly stop; asked a second time, stop at once."""
        self._stops += 1
        self._stop_asked.set()

    def run(self) -> int:
        """Start, wait for the stop, stop.

        Raises:
            HostError: the app cannot be loaded, or --strict and a function has an error, or HTTP workers end in a loop.
        """
        started = time.monotonic()
        try:
            self._start()
            if not self._stop_asked.is_set():
                self._announce(time.monotonic() - started)
            while not self._stop_asked.wait(1.0):
                continue
        finally:
            self._stop()
        if self._fatal.done():
            raise self._fatal.result()
        return 0

    def _start(self) -> None:
        for slot in (*self._http, *self._event.slots):
            slot.start()
        from funchost import listeners  # the storage SDK loads while the workers load the app

        entries = self._wait_for(self._catalogue)
        if entries is None:
            return
        problems = [f"{entry.name}: {error}" for entry in entries for error in entry.errors]
        for problem in problems:
            logs.error("function.refused", reason=problem)
        for entry in entries:
            if entry.runs and entry.kind == "httpTrigger" and entry.retry is not None:
                logs.warning("function.no_retry", function=entry.name, reason="only timer functions are tried again")
        if problems and self._settings.strict:
            raise ConfigurationError("--strict: " + "; ".join(problems))
        self._listeners = listeners.Listeners(
            settings=self._settings,
            host_json=self._host_json,
            environment=self._environment,
            entries=entries,
            worker=self._event,
            state=self._state,
            metrics=self._metrics,
        )
        self._keys = load_keys(self._settings.state_dir, [entry.name for entry in entries], self._environment)
        self._admin = AdminApi(
            settings=self._settings,
            host_json=self._host_json,
            state=self._state,
            entries=entries,
            fire=self._listeners.fire_by_hand,
            workers=lambda: describe([*self._http, *self._event.slots]),
            metrics=self._all_metrics,
        )
        for slot in self._http:
            slot.release_held()
        deadline = time.monotonic() + _START_SECONDS
        while not self._http_serving.wait(0.05) and not self._stop_asked.is_set():
            if time.monotonic() > deadline:
                raise HostError(f"the HTTP worker did not serve within {_START_SECONDS} s")
        if self._listeners.needs_worker:
            self._listeners.start()
        else:
            threading.Thread(target=self._event.stop, args=(2.0,), daemon=True).start()
        gc.collect()
        gc.freeze()

    def _http_worker_ended(self, lived_seconds: float, code: int | None) -> None:
        """Stop the host where HTTP workers end again and again: whoever started it is to know, and may start it anew.

        Event workers are only started again, ever more slowly: what crashes them must not take HTTP down.
        """
        if code == TIMED_OUT or self._stop_asked.is_set() or not self._crashes.add(lived_seconds):
            return
        if not self._fatal.done():
            self._fatal.set_result(
                HostError(f"{self._crashes.limit} HTTP workers in a row ended soon after their start; see the log")
            )
        self.ask_to_stop()

    def _wait_for(self, future: "Future[list[Entry]]") -> list[Entry] | None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._stop_asked.is_set():
            if self._fatal.done():
                raise self._fatal.result()
            try:
                return future.result(timeout=0.05)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise HostError(f"the app was not loaded within {_START_SECONDS} s") from None
        return None

    def _announce(self, seconds: float) -> None:
        entries = self._catalogue.result()
        shown = f"[{self._settings.address}]" if ":" in self._settings.address else self._settings.address
        logs.info(
            "host.ready",
            url=f"http://{shown}:{self._socket.getsockname()[1]}",
            host_id=self._settings.host_id,
            functions=[entry.name for entry in entries if entry.listens],
            disabled=[entry.name for entry in entries if entry.runs and entry.disabled],
            refused=[entry.name for entry in entries if not entry.runs],
            seconds=round(seconds, 3),
        )

    def _stop(self) -> None:
        logs.info("host.stopping", grace_seconds=self._settings.grace_seconds)
        deadline = time.monotonic() + self._settings.grace_seconds
        self._state.stop()
        self._socket.close()
        stops = [threading.Thread(target=slot.stop, args=(self._settings.grace_seconds,)) for slot in self._http]
        for thread in stops:
            thread.start()
        while time.monotonic() < deadline and self._stops < 2 and not self._state.wait_idle(0.1):
            continue
        if self._state.under_way:
            logs.warning("host.cut", invocations=self._state.under_way, reason="the grace period is over")
            self._event.kill()
        if self._listeners is not None:
            self._listeners.finish(5.0)
        self._event.stop(1.0)
        for thread in stops:
            thread.join(max(0.1, deadline - time.monotonic()) + 6 if self._stops < 2 else 0.1)
        self._switchboard.close()
        logs.info("host.stopped")

    def _all_metrics(self) -> dict[str, Any]:
        documents = [self._metrics.document(), self._past]
        for slot in self._http:
            future, _ = slot.call("metrics", {})
            try:
                documents.append(future.result(timeout=2).body)
            except (TimeoutError, ChannelClosed, RemoteError) as error:
                logs.warning("metrics.incomplete", worker=slot.name, reason=repr(error))
        total = add_up(documents)
        total["counters"]["worker_restarts"] = sum(slot.restarts for slot in (*self._http, *self._event.slots))
        total["underWay"] = self._state.under_way
        return total

    def _from_worker(
        self, slot: WorkerSlot, caller: Incarnation, method: str, body: dict[str, Any], answer: Answer
    ) -> None:
        """Handle a worker's call; runs on the channel's reading thread, so slow work goes to another."""
        if method == "indexed":
            self._indexed(slot, caller, body)
            answer({})
        elif method == "ready_to_serve":
            slot.hold(caller, lambda: answer(self._serving()))
            if self._admin is not None:
                slot.release_held()
        elif method == "serving":
            slot.mark_ready(caller)
            self._http_serving.set()
            answer({})
            if body.get("succession"):
                slot.spare.keep()
        elif method == "wants_successor":
            answer({"begun": slot.raise_successor()})
        elif method == "cannot_take_over":
            caller.complaint = str(body["reason"])
            answer({})
        elif method == "farewell":
            self._past = add_up([self._past, body])
            answer({})
        elif method in ("read", "emit", "admin", "counters"):
            work = {
                "read": self._read, "emit": self._emit, "admin": self._answer_admin,
                "counters": lambda _: self._all_metrics(),
            }[method]  # fmt: skip
            threading.Thread(target=_answering, args=(work, body, answer), daemon=True).start()
        else:
            answer({"error": f"the host does not know {method!r}"})

    def _indexed(self, slot: WorkerSlot, caller: Incarnation, body: Mapping[str, Any]) -> None:
        if "failure" in body:
            caller.complaint = str(body["failure"])
            if not self._catalogue.done() and not self._fatal.done():
                self._fatal.set_result(AppLoadError(str(body["failure"])))
            return
        with self._lock:
            if not self._catalogue.done():
                self._catalogue.set_result(make_catalogue(body["functions"], self._host_json, self._environment))
        if slot in self._event.slots:
            slot.mark_ready(caller)

    def _read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"inputs": self._listeners.reader.read(self._entry(body["function"]), BindingData(body["values"]))}

    def _serving(self) -> dict[str, Any]:
        assert self._keys is not None
        return serving_plan(self._settings, self._host_json, self._catalogue.result(), self._keys, self._environment)

    def _emit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._listeners.emitter.emit(self._entry(body["function"]), body["outputs"], BindingData(body["values"]))
        return {}

    def _entry(self, function: str) -> Entry:
        return next(entry for entry in self._catalogue.result() if entry.name == function)

    def _answer_admin(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._admin is None:
            return {"status": 503, "document": None}
        status, document = self._admin.answer(body["method"], body["path"], body["body"])
        return {"status": status, "document": document}


def _answering(work: Any, body: dict[str, Any], answer: Answer) -> None:
    try:
        answer(work(body))
    except Exception as error:  # noqa: BLE001 - the worker's caller must get an answer in any case
        answer({"error": f"{type(error).__name__}: {error}"})


def _bind(settings: HostSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.address, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {settings.address}:{settings.port}: {error.strerror}; give another with --port"
        ) from error
    return listener
