"""Changes of keys: what a new key leaves in service, and what no longer trusting one takes out of it."""

import pytest

from shared.errors import Conflict, NotFound, PackageRejected
from shared.registry.key_changes import KeyChanges
from shared.registry.signing import Keys
from shared.registry.verify import verify_folder
from tests.registry.registry_support import Instance


@pytest.fixture
def changes(instance: Instance) -> KeyChanges:
    return KeyChanges(instance.keys, instance.store, instance.versions)


def signer(instance: Instance, version: str) -> str:
    package = verify_folder(instance.store.folder(version), instance.keys)
    assert package.signed_by is not None
    return package.signed_by.key_id


def test_a_new_key_signs_and_the_old_one_keeps_its_versions_in_service(instance: Instance, changes: KeyChanges) -> None:
    instance.install("first")
    old = signer(instance, "first")
    rotation = changes.rotate("of this year")
    assert instance.keys.ensure() == rotation.key
    assert not rotation.key.development
    assert rotation.still_needed == {old: ["first"]}
    instance.lifecycle.activate("first", actor="test", reason="still trusted")


def test_a_key_that_a_version_needs_is_kept_unless_it_must_go(instance: Instance, changes: KeyChanges) -> None:
    instance.install("first")
    old = signer(instance, "first")
    with pytest.raises(Conflict, match="first") as caught:
        changes.distrust(old)
    assert caught.value.facts["versions"] == ["first"]
    verify_folder(instance.store.folder("first"), instance.keys)
    assert changes.distrust(old, even_if_used=True) == ["first"]
    with pytest.raises(PackageRejected, match="not trusted"):
        verify_folder(instance.store.folder("first"), instance.keys)


def test_a_rejected_version_needs_no_key(instance: Instance, changes: KeyChanges) -> None:
    instance.install("first")
    old = signer(instance, "first")
    instance.lifecycle.reject("first", actor="test", reason="not wanted")
    assert changes.distrust(old) == []
    assert old not in {key.key_id for key in instance.keys.list()}


def test_a_distrusted_key_does_not_come_back_with_the_next_start(instance: Instance, changes: KeyChanges) -> None:
    own = instance.keys.ensure()
    changes.distrust(own.key_id)
    again = Keys(instance.settings.keys).ensure()
    assert again.key_id != own.key_id
    assert own.key_id not in {key.key_id for key in instance.keys.list()}


def test_a_key_that_is_not_there_cannot_be_distrusted(changes: KeyChanges) -> None:
    for name in ("0" * 32, "../signing/x", ""):
        with pytest.raises(NotFound):
            changes.distrust(name)
