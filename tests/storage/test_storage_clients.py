"""The client factory: pings, refusals with a remedy, and no secret in any text."""

import base64

import pytest

from shared.azurite.service import Azurite
from shared.errors import SetupError, StorageUnavailable
from shared.storage.clients import Storage


@pytest.mark.azurite
def test_ping_passes_on_a_running_service(storage: Storage) -> None:
    """Both services answer."""
    storage.ping()


@pytest.mark.azurite
def test_api_version_is_sent_when_given(azurite: Azurite) -> None:
    """The optional setting reaches the service, which echoes the version that it was asked for."""
    seen: list[str] = []
    storage = Storage(azurite.connection_string, api_version="2021-12-02")
    storage.blobs.get_service_properties(
        raw_response_hook=lambda r: seen.append(r.http_response.headers["x-ms-version"])
    )
    storage.queues.get_service_properties(
        raw_response_hook=lambda r: seen.append(r.http_request.headers["x-ms-version"])
    )
    assert seen[1] == "2021-12-02"
    assert storage.blobs.api_version == "2021-12-02"


@pytest.mark.azurite
def test_wrong_key_is_named_without_showing_any_key(azurite: Azurite) -> None:
    """A refused key tells what to check and quotes no key."""
    wrong = base64.b64encode(b"another key altogether").decode()
    parts = dict(part.split("=", 1) for part in azurite.connection_string.strip(";").split(";"))
    right = parts["AccountKey"]
    parts["AccountKey"] = wrong
    with pytest.raises(StorageUnavailable, match="key") as caught:
        Storage(";".join(f"{name}={value}" for name, value in parts.items())).ping()
    assert wrong not in str(caught.value)
    assert right not in str(caught.value)


def test_unreadable_connection_string_is_a_setup_error_that_does_not_quote_it() -> None:
    """A slip in a secret setting must not put the secret into a log."""
    storage = Storage("AccountName=a;AccountKey=c2VjcmV0;Nonsense")
    with pytest.raises(SetupError) as caught:
        storage.ping()
    assert "c2VjcmV0" not in str(caught.value)
    assert "c2VjcmV0" not in repr(storage)
    assert caught.value.__cause__ is None
