"""Commands on a data directory of their own: in this process, or in one of their own as a shell starts them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from cli.__main__ import app
from shared import bootstrap
from shared.bootstrap import Services
from shared.settings import Settings, current_settings
from tests.databases import set_up

PROJECT = Path(__file__).resolve().parents[2]
Command = Callable[..., Result]
Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services of a data directory with an empty database, which commands use too."""
    made = Services(Settings(data_dir=tmp_path))
    set_up(made.settings.database)
    monkeypatch.setattr(bootstrap, "current_services", lambda: made)
    yield made
    made.engine.dispose()


@pytest.fixture
def command(services: Services) -> Command:
    """Return what runs one command line; its result has the exit code, `stdout` and `stderr`."""

    def run(*words: str) -> Result:
        with capture_logs():  # a program of its own would write them to standard error, if at all
            return CliRunner().invoke(app, words)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Return what runs one command line in a process of its own, on `tmp_path`, which no `up` has set up.

    It takes a second or two to start: for what only a process shows, such as everything that reaches standard error.
    """

    def run(*words: str, **variables: str) -> Ended:
        environment = {"PATH": "", "PYTHONUTF8": "1", "COLUMNS": "200", **_environment(tmp_path, variables)}
        command = [sys.executable, "-m", "cli", *words]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs one command line as `process` does, but here: its settings and services are made anew."""

    return lambda *words, **variables: run_here(_environment(tmp_path, variables), *words)


def run_here(environment: dict[str, str], *words: str) -> Ended:
    """Run one command line in this process, as if it began with these variables."""
    with _anew(environment), capture_logs():
        done = CliRunner().invoke(app, words)
    return Ended(words, done.exit_code, done.stdout, done.stderr)


def _environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    return {"ROUTING_DATA_DIR": str(folder)} | variables


@contextmanager
def _anew(environment: dict[str, str]) -> Iterator[None]:
    """Let the services of the block be made from `environment`, as at the start of a process, and end with it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        current_settings.cache_clear()
        bootstrap.current_services.cache_clear()
        try:
            yield
        finally:
            if bootstrap.current_services.cache_info().currsize:
                bootstrap.current_services().engine.dispose()
            bootstrap.current_services.cache_clear()
            current_settings.cache_clear()
