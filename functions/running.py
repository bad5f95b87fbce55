"""The services of a process that answers requests: the active model is followed by a watcher of its own."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.bootstrap import Services, current_services
from shared.cores import leaving_one_core, run_in_background
from shared.errors import SetupError
from shared.platform import exclusive_lock

log = structlog.get_logger()


def running_services() -> Services:
    """Return the process's services with the active model's watcher running."""
    services = current_services()
    # An installation whose database cannot even be opened still answers that it is alive; whoever needs the database
    # meets the same error again, and says it.
    with contextlib.suppress(SetupError):
        services.serving.start(_succession.ask, services.caches.follow)
    return services


class HostCounters:
    """Shows the counters of a host that offers them; under one that does not, there are none to show."""

    def offer(self, read: Callable[[], dict[str, Any]]) -> None:
        """Take what reads the counters of all the host's processes."""
        _host.read = read


class _Host:
    """What this process's host has told of itself."""

    read: Callable[[], dict[str, Any]] | None = None


_host = _Host()


def host_counters() -> dict[str, Any] | None:
    """Return what the host has counted; None where it offers nothing, or does not answer now."""
    if _host.read is None:
        return None
    try:
        return _host.read()
    except Exception as error:  # noqa: BLE001 - whatever the host's errors are: the metrics go on without its part
        log.warning("metrics.host_silent", reason=repr(error))
        return None


class _Succession:
    """What this process's host can do for the next model, as far as it has told."""

    ask: Callable[[], Any] | None = None


_succession = _Succession()


@contextlib.contextmanager
def _in_turn(lock: Path) -> Iterator[None]:
    """Leave the first core to requests; the last one where another host of this instance loads at the same time."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive_lock(lock, timeout_seconds=0))
            other_loads = False
        except (TimeoutError, OSError):
            other_loads = True
        with leaving_one_core(last=other_loads):
            yield


class ModelSuccession:
    """Another version is loaded by another process, which then takes over: the answers of this one are not held up.

    Reading a model holds the interpreter's lock, a third of a second of it in one piece at full size.
    """

    def offer(self, ask: Callable[[], Any]) -> None:
        """Take what asks the host for a process that is to take over from this one."""
        _succession.ask = ask

    def warm(self) -> None:
        """Import what loads and asks a model, and what answers; nothing is opened."""
        import shared.operations.caches
        import shared.prediction.golden
        import shared.prediction.package
        import shared.registry.safe_loading
        import shared.registry.serving  # noqa: F401

        with contextlib.suppress(ImportError):  # exact search serves without it
            import hnswlib  # noqa: F401

    def prepare(self) -> None:
        """Load the active version before the first request, off the core that the present process answers on.

        Raises:
            NoActiveModel: it cannot be loaded; the present process goes on with what it has.
        """
        import polars

        services = current_services()
        with contextlib.suppress(SQLAlchemyError):
            services.caches.follow()  # what is cleared from here on, the model that is loaded now has not seen
        polars.thread_pool_size()  # starts its threads, which are to keep this process's priority
        with _in_turn(services.settings.data_dir / "run" / "loading.lock"):
            run_in_background(services.serving.take_over)
        running_services()  # its watcher goes on from here: started before, it would load the model, too

    def failed(self, reason: str) -> None:
        """Note why the process that was to take over could not."""
        current_services().serving.note_failed_successor(reason)
