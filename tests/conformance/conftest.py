"""The host that the scenarios are tried on, chosen by `--host`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.azurite.service import Azurite
from tests.conformance.account import Account
from tests.conformance.hosts import ASKED_ELSEWHERE, missing_for
from tests.conformance.workshop import Workshop


@pytest.fixture(scope="session")
def kind(pytestconfig: pytest.Config) -> str:
    """The kind of host under test; a kind that this machine has not ends the run instead of skipping all of it."""
    chosen = str(pytestconfig.getoption("--host"))
    missing = missing_for(chosen)
    if missing is not None:
        pytest.exit(f"--host {chosen} needs {missing}", returncode=pytest.ExitCode.USAGE_ERROR)
    return chosen


@pytest.fixture(autouse=True)
def _asked_of_this_kind(request: pytest.FixtureRequest, kind: str) -> None:
    marker = request.node.get_closest_marker("embedded")
    if marker is not None and kind != "embedded":
        pytest.skip(f"{ASKED_ELSEWHERE}: {marker.args[0]}")


@pytest.fixture
def account(azurite: Azurite) -> Iterator[Account]:
    made = Account(azurite.connection_string)
    yield made
    made.close()


@pytest.fixture
def workshop(tmp_path: Path, account: Account, kind: str) -> Iterator[Workshop]:
    made = Workshop(tmp_path, account, kind)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_account(azurite: Azurite) -> Iterator[Account]:
    """The storage of all tests of one file that share a host."""
    made = Account(azurite.connection_string)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory: pytest.TempPathFactory, shared_account: Account, kind: str) -> Iterator[Workshop]:
    """Runs the host that the tests of one file share: a start costs more than most of the questions."""
    made = Workshop(tmp_path_factory.mktemp("shared"), shared_account, kind)
    yield made
    made.end()
