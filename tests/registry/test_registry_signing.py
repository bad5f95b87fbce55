"""Keys: who may vouch for a package here."""

import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from shared.errors import PackageRejected, SetupError
from shared.registry.manifest import Manifest, canonical_bytes, parse_manifest
from shared.registry.signing import Keys


def a_manifest() -> Manifest:
    return parse_manifest(
        canonical_bytes(
            {
                "schema_version": "routing-ml/manifest@2",
                "version": "pilot",
                "created_at": "2026-01-31T08:15:00.000000Z",
                "model_kind": "neighbours",
                "artifacts": [{"path": "a.json", "role": "r", "sha256": "a" * 64, "bytes": 1}],
                "runtime": {"python": "3", "numpy": "2", "scikit_learn": None, "joblib": "1", "hnswlib": None},
                "training": {
                    "profile": "demo",
                    "fingerprint": "f",
                    "data_as_of": "2026-01-30T00:00:00.000000Z",
                    "rows": {},
                    "job_id": None,
                    "parent": None,
                },
                "metrics": {},
            }
        )
    )


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def refused(keys: Keys, manifest: Manifest) -> str:
    with pytest.raises(PackageRejected) as caught:
        keys.verify(manifest)
    assert caught.value.facts["check"] == "signature"
    return str(caught.value)


def test_the_first_key_is_a_development_key_and_says_so(tmp_path: Path) -> None:
    key = Keys(tmp_path).ensure()
    assert key.development
    assert key.label == "development"
    assert Keys(tmp_path).ensure() == key
    assert Keys(tmp_path).list() == [key]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX modes")
def test_only_the_owner_may_read_the_private_half(tmp_path: Path) -> None:
    key = Keys(tmp_path).ensure()
    private = tmp_path / "signing" / f"{key.key_id}.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    public = (tmp_path / "trusted" / f"{key.key_id}.json").read_text()
    assert "PRIVATE" not in public


def test_several_first_starts_at_once_make_one_key(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [Thread(target=lambda: made.append(Keys(tmp_path).ensure().key_id)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1


def test_a_start_killed_between_the_two_files_keeps_its_key(tmp_path: Path) -> None:
    key = Keys(tmp_path).ensure()
    (tmp_path / "trusted" / f"{key.key_id}.json").unlink()
    assert Keys(tmp_path).ensure().key_id == key.key_id


def test_what_was_signed_here_is_accepted_here_and_nowhere_else(tmp_path: Path) -> None:
    here, elsewhere = Keys(tmp_path / "here"), Keys(tmp_path / "elsewhere")
    elsewhere.ensure()
    signed = here.sign(a_manifest())
    assert here.verify(signed) == here.ensure()
    assert "not trusted" in refused(elsewhere, signed)
    key = here.ensure()
    elsewhere.trust(key.public, label="the plant next door")
    accepted = elsewhere.verify(signed)
    assert (accepted.label, accepted.development) == ("the plant next door", False)


def test_an_unsigned_manifest_is_refused(tmp_path: Path) -> None:
    assert "not signed" in refused(Keys(tmp_path), a_manifest())


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    signed = keys.sign(a_manifest())
    assert "changed" in refused(keys, signed.model_copy(update={"version": "other"}))
    assert signed.signature is not None
    for place in range(0, 128, 7):
        value = signed.signature.value
        digit = "0" if value[place] != "0" else "1"
        forged = signed.signature.model_copy(update={"value": value[:place] + digit + value[place + 1 :]})
        refused(keys, signed.model_copy(update={"signature": forged}))


def test_another_key_under_a_trusted_name_is_not_believed(tmp_path: Path) -> None:
    """A file in the trusted folder counts only when its name is the fingerprint of the key in it."""
    keys, attacker = Keys(tmp_path / "keys"), Keys(tmp_path / "attacker")
    key, wrong = keys.ensure(), attacker.ensure()
    path = tmp_path / "keys" / "trusted" / f"{key.key_id}.json"
    document = json.loads(path.read_text())
    path.write_bytes(canonical_bytes({**document, "public": wrong.public}))
    signed = attacker.sign(a_manifest())
    assert signed.signature is not None
    posing = signed.signature.model_copy(update={"key_id": key.key_id})
    refused(keys, signed.model_copy(update={"signature": posing}))
    assert keys.list() == []


def test_a_new_key_signs_and_the_old_one_is_still_trusted(tmp_path: Path) -> None:
    keys = Keys(tmp_path, clock=Clock())
    old = keys.sign(a_manifest())
    new_key = keys.new_key(label="production")
    new = keys.sign(a_manifest())
    assert keys.verify(new) == new_key
    assert not new_key.development
    assert keys.verify(old).development


def test_trusting_a_key_again_does_not_make_an_old_key_the_newest(tmp_path: Path) -> None:
    keys = Keys(tmp_path, clock=Clock())
    first = keys.ensure()
    second = keys.new_key(label="production")
    keys.trust(first.public, label="renamed")
    assert keys.signing_key() == second
    assert {key.label for key in keys.list()} == {"renamed", "production"}


@pytest.mark.parametrize("public", ["", "zz", "00", "g" * 64, "a" * 63])
def test_what_is_no_public_key_is_refused(public: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        Keys(tmp_path).trust(public, label="x")


def test_a_damaged_private_key_is_named(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    key = keys.ensure()
    path = tmp_path / "signing" / f"{key.key_id}.pem"
    path.write_bytes(os.urandom(40))
    with pytest.raises(SetupError, match=key.key_id):
        keys.sign(a_manifest())
