"""The fixtures of the host's tests: a storage account's view and a workshop for apps and hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.azurite.service import Azurite
from tests.conformance.account import Account
from tests.conformance.workshop import Workshop


@pytest.fixture
def account(azurite: Azurite) -> Iterator[Account]:
    made = Account(azurite.connection_string)
    yield made
    made.close()


@pytest.fixture
def workshop(tmp_path: Path, account: Account) -> Iterator[Workshop]:
    made = Workshop(tmp_path, account)
    yield made
    made.end()
