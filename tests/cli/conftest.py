"""Commands run in this process, on a database of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from cli.__main__ import app
from shared import bootstrap
from shared.bootstrap import Services
from shared.database.engine import migrate
from shared.settings import Settings

Command = Callable[..., Result]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services of a data directory with an empty database, which commands use too."""
    made = Services(Settings(data_dir=tmp_path))
    migrate(made.settings.database)
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
