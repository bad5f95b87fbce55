"""What every test of the suite stands on: a real Azurite, a clean environment, loopback only, and honest skips."""

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from threadpoolctl import threadpool_limits

from launcher.environment import THREAD_LIMITS
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, missing_for_azurite, start_azurite, wait_until_ready
from shared.platform import free_ports
from tests.conformance.hosts import KINDS
from tests.conformance.report import ScenarioReport
from tests.postgresql import postgresql  # noqa: F401 - a fixture, for every test that asks for it
from tests.scheduling import FilesOfAFolderTogether, begin_with_the_longest
from tests.skips import NOT_ON_THIS_MACHINE

# A slow machine is no defect: no example has a deadline.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# For what a test starts, and for libraries that are not loaded yet; `_one_numeric_thread` is for those that are.
os.environ.update(THREAD_LIMITS)

OWN_VARIABLES = ("ROUTING_", "AzureWebJobs", "AzureFunctions", "FUNCHOST_", "FUNCTIONS_", "AZURITE_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require", choices=["all"], help="all: a test that would be skipped fails instead")
    parser.addoption("--host", choices=KINDS, default=KINDS[0], help="which Functions host `tests/conformance` tries")
    parser.addoption("--scenarios", type=Path, metavar="FILE", help="write how the Functions host's scenarios went")


def pytest_configure(config: pytest.Config) -> None:
    """Note the scenarios' results in the process that hears of all tests."""
    path = config.getoption("--scenarios")
    if path is None or hasattr(config, "workerinput"):
        return
    if config.getoption("keyword") or config.getoption("markexpr"):
        raise pytest.UsageError("--scenarios tells how whole scenarios went: leave out -k and -m")
    config.pluginmanager.register(ScenarioReport(path, str(config.getoption("--host"))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Beside `--dist loadfile`: the tests with a browser run in one process, since they share one instance."""
    return FilesOfAFolderTogether(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After the order was shuffled: the files that take minutes begin."""
    begin_with_the_longest(items)


# ------------------------------------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A real Azurite on free ports with an account of its own; it ends with the test process, however that ends."""
    missing = missing_for_azurite()
    if missing is not None:
        pytest.skip(f"needs Azurite: {missing}")
    running = start_azurite(tmp_path_factory.mktemp("azurite"), StorageAccount.random(), free_ports(3))
    wait_until_ready(running)
    yield running
    running.stop()


@pytest.fixture(autouse=True, scope="session")
def _one_numeric_thread() -> Iterator[None]:
    """Small matrices are solved slower by many threads that fight over few cores."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the settings of the shell it was started from, nor those of another test."""
    for name in list(os.environ):
        if name.startswith(OWN_VARIABLES):
            monkeypatch.delenv(name)
    _forget_settings()
    yield
    _forget_settings()


def _forget_settings() -> None:
    settings = sys.modules.get("shared.settings")
    if settings is not None:
        settings.current_settings.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """A test that reaches for the network fails and says where it wanted to go."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
        yield


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_unless_loopback(address[0])
        return connect(self, address)

    return guarded


def _guarded_lookup(lookup: Any) -> Any:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host:  # no host means a server's own address
            _refuse_unless_loopback(host.decode() if isinstance(host, bytes) else host)
        return lookup(host, *args, **kwargs)

    return guarded


def _refuse_unless_loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        allowed = ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        allowed = False
    if not allowed:
        raise RuntimeError(f"Tests speak to loopback only; this one wanted {host}.")


# ---------------------------------------------------------------------------------------------------------- skips


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    return _failed_instead(item.config, report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    return _failed_instead(collector.config, report)


def _failed_instead(config: pytest.Config, report: Any) -> Any:
    """Under `--require all` turn a skip into a failure with its reason, but for what not every machine has."""
    left_out = report.skipped and not hasattr(report, "wasxfail")
    if config.getoption("--require") == "all" and left_out and not _reason(report).startswith(NOT_ON_THIS_MACHINE):
        report.outcome = "failed"
        report.longrepr = f"Skipped although everything is required: {_reason(report)}"
    return report


def _reason(report: Any) -> str:
    text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if not hasattr(report, "wasxfail")]
    terminalreporter.section("skipped tests", sep="-")
    for report in skipped:
        terminalreporter.write_line(f"{report.nodeid}: {_reason(report)}")
    terminalreporter.write_line(f"{len(skipped)} skipped")
