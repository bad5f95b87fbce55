"""A storage account of its own for each test's names: one Azurite, fresh queue names."""

import uuid

import pytest

from shared.azurite.service import Azurite
from shared.storage.clients import Storage


@pytest.fixture
def storage(azurite: Azurite) -> Storage:
    return Storage(azurite.connection_string)


@pytest.fixture
def queue_name() -> str:
    return f"q-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def version() -> str:
    return f"version_{uuid.uuid4().hex[:12]}"
