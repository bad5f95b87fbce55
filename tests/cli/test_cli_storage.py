"""`storage` and `models push` on the command line: one machine lets another one drop packages, and ends it."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from cli import storage as storage_commands
from cli.__main__ import app
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite
from shared.bootstrap import Services
from shared.platform import free_ports
from shared.registry.manifest import canonical_bytes, sha256_hex
from shared.settings import Settings
from shared.storage.packages import Packages
from tests.cli.conftest import Run
from tests.databases import set_up
from tests.registry.test_registry_manifest import document

pytestmark = pytest.mark.azurite


@pytest.fixture
def factory(tmp_path: Path, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The factory's machine: its storage runs, with the account that is kept among its keys."""
    settings = Settings(data_dir=tmp_path / "factory", ROUTING_STORAGE_CONNECTION=azurite.connection_string)
    azurite.account.keep_in(settings.storage_account)
    set_up(settings.database)
    made = Services(settings)
    made.packages.ensure_container()
    made.upload_signatures.revoke_all()
    monkeypatch.setattr(storage_commands, "current_services", lambda: made)
    yield made
    made.upload_signatures.revoke_all()
    made.engine.dispose()


@pytest.fixture
def version() -> str:
    return f"version_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def package(tmp_path: Path, version: str) -> Path:
    """A package as far as an upload looks at one: a manifest, and the file that it names."""
    folder = tmp_path / "package"
    folder.mkdir()
    golden = b"{}"
    (folder / "golden.json").write_bytes(golden)
    named = {"path": "golden.json", "role": "golden", "sha256": sha256_hex(golden), "bytes": len(golden)}
    (folder / "manifest.json").write_bytes(canonical_bytes(document(version=version, artifacts=[named])))
    return folder


@pytest.fixture
def call(factory: Services) -> Callable[..., Result]:
    return invoke


def invoke(*words: str, **more: Any) -> Result:
    with capture_logs():  # a program of its own would write them to standard error, if at all
        return CliRunner().invoke(app, [*words], **more)


def test_the_status_tells_everything_but_secrets(call: Callable[..., Result], factory: Services) -> None:
    made = json.loads(call("storage", "sas", "--hours", "2", "--json").stdout)
    told = call("storage", "status", "--json")
    status = json.loads(told.stdout)
    account = StorageAccount.kept_in(factory.settings.storage_account)
    assert (status["account"], status["own"], status["answers"], status["public_access"]) == (
        account.name, True, True, None,
    )  # fmt: skip
    assert status["known_to_everybody"] is False
    assert [key["fingerprint"] for key in status["keys"]] == [account.keys[0].fingerprint]
    assert [(one["id"], one["expired"]) for one in status["signatures"]] == [(made["id"], False)]
    readable = call("storage", "status")
    assert made["id"] in readable.stdout
    for secret in (account.keys[0].value, made["url"].partition("sig=")[2]):
        assert secret not in told.stdout + readable.stdout + readable.stderr


def test_a_package_travels_with_a_signature_until_it_is_revoked(
    call: Callable[..., Result], factory: Services, package: Path, version: str
) -> None:
    made = json.loads(call("storage", "sas", "--json").stdout)
    pushed = call("models", "push", str(package), "--json", env={"ROUTING_UPLOAD_URL": made["url"]})
    assert (pushed.exit_code, json.loads(pushed.stdout)["version"]) == (0, version), pushed.output
    assert version in {drop.version for drop in Packages(factory.storage).list_drops()}
    again = call("models", "push", str(package), "--sas-url", "-", "--json", input=made["url"] + "\n")
    assert (again.exit_code, json.loads(again.stdout)["code"]) == (5, "conflict")
    assert call("storage", "sas", "revoke", made["id"]).exit_code == 0
    ended = call("models", "push", str(package), "--sas-url", made["url"])
    assert ended.exit_code == 3
    assert "revoked" in ended.stderr
    assert made["url"].partition("sig=")[2] not in pushed.output + again.output + ended.output


def test_the_url_is_said_once_and_alone_on_standard_output(call: Callable[..., Result]) -> None:
    done = call("storage", "sas", "--hours", "1", "--version", "version_20261121_020000")
    (url,) = done.stdout.split()
    assert url.startswith("http://127.0.0.1:")
    assert "/model-drop/version_20261121_020000.zip?" in url
    assert "models push" in done.stderr
    assert "ssh -L" in done.stderr
    assert url not in done.stderr
    assert json.loads(call("storage", "sas", "revoke", "--all", "--json").stdout)["revoked"]


def test_wrong_words_have_their_exit_code(call: Callable[..., Result]) -> None:
    wrong = {
        ("sas", "--hours", "1000"): 2,
        ("sas", "--version", "Not A Version"): 2,
        ("sas", "--ip", "everywhere"): 2,
        ("sas", "revoke"): 2,
        ("sas", "revoke", "upload-00000000", "--all"): 2,
        ("sas", "revoke", "upload-00000000"): 4,
    }
    assert {words: call("storage", *words, "--json").exit_code for words in wrong} == wrong


def test_nothing_is_rotated_where_storage_is_somebody_elses(call: Callable[..., Result], factory: Services) -> None:
    StorageAccount.random().keep_in(factory.settings.storage_account)
    kept = factory.settings.storage_account.read_bytes()
    done = call("storage", "rotate", "--json")
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (5, "storage from elsewhere")
    assert factory.settings.storage_account.read_bytes() == kept
    assert json.loads(call("storage", "status", "--json").stdout)["own"] is False
    factory.settings.storage_account.unlink()
    assert call("storage", "rotate", "--json").exit_code == 20


def test_before_the_first_start_there_is_no_storage_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the well-known account tried, which anybody might listen with."""
    services = Services(Settings(data_dir=tmp_path))
    set_up(services.settings.database)
    monkeypatch.setattr(storage_commands, "current_services", lambda: services)
    status = json.loads(invoke("storage", "status", "--json").stdout)
    assert (status["account"], status["answers"]) == (None, False)
    assert "manage.py up" in status["problem"]
    first = StorageAccount.random()
    first.keep_in(services.settings.storage_account)
    rotated = json.loads(invoke("storage", "rotate", "--json").stdout)
    assert rotated["taken"] is None
    assert [key["fingerprint"] for key in rotated["keys"]][1:] == [first.keys[0].fingerprint]
    assert "refused" in invoke("storage", "rotate", "--at-once").stdout
    assert not StorageAccount.kept_in(services.settings.storage_account).accepts(first.keys[0])
    services.engine.dispose()


def test_a_push_that_reaches_nobody_does_not_quote_its_url(process: Run, package: Path) -> None:
    """Not even to somebody who asked for every log line; what the HTTP library says of it holds the whole URL."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}/x/model-drop?sr=c&sig=c2VjcmV0"
    done = process("models", "push", str(package), "--json", ROUTING_UPLOAD_URL=url, ROUTING_LOG_LEVEL="DEBUG")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (7, "storage-unavailable")
    assert "c2VjcmV0" not in done.stdout + done.stderr
