"""A package dropped into blob storage: noticed once, fetched, verified, and then pending or rejected with a reason."""

import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobClient, ContainerClient

from shared.azurite.service import Azurite
from shared.database.tables import ModelVersion, Registration, RegistrationState, VersionState
from shared.errors import NotFound, StorageUnavailable
from shared.registry.build import sign_folder
from shared.registry.manifest import MANIFEST_NAME, parse_manifest, sha256_hex
from shared.registry.registrations import Registrations
from shared.registry.signing import Keys
from shared.settings import PROJECT_DIR
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells
from shared.storage.packages import CONTAINER, Packages
from shared.storage.signatures import UploadSignatures
from shared.storage.uploads import SignedUpload
from tests.registry.registry_support import Instance

pytestmark = pytest.mark.azurite


@dataclass(frozen=True, kw_only=True)
class Drop:
    """An instance with a drop container of its own in a real Azurite."""

    instance: Instance
    storage: Storage
    packages: Packages
    registrations: Registrations

    @property
    def container(self) -> ContainerClient:
        return self.storage.blobs.get_container_client(CONTAINER)

    def upload(self, folder: Path, *, as_version: str | None = None, skip: tuple[str, ...] = ()) -> bytes:
        """Upload with the ordinary SDK as a stranger would, and return the manifest."""
        for path in sorted(folder.iterdir()):
            if path.name not in skip:
                self.container.upload_blob(
                    f"{as_version or folder.name}/{path.name}", path.read_bytes(), overwrite=True
                )
        return (folder / MANIFEST_NAME).read_bytes()

    def notice_and_register(self, version: str, manifest: bytes) -> Registration:
        return self.registrations.register(self.registrations.notice(version, manifest).id)

    def count(self) -> int:
        return self.instance.work.list(Registration)[1]

    def nothing_was_installed(self, version: str) -> None:
        assert self.instance.versions.find(version) is None
        assert not self.instance.store.names()
        self.quarantine_is_empty()

    def quarantine_is_empty(self) -> None:
        quarantine = self.instance.settings.quarantine
        assert not quarantine.exists() or not any(quarantine.iterdir())


@pytest.fixture
def drop(azurite: Azurite, instance: Instance) -> Drop:
    storage = Storage(azurite.connection_string)
    packages = Packages(storage)
    packages.ensure_container()
    container = storage.blobs.get_container_client(CONTAINER)
    for blob in container.list_blobs():
        container.delete_blob(blob.name)
    registrations = Registrations(
        instance.settings,
        instance.engine,
        instance.work,
        Doorbells(storage),
        packages,
        keys=instance.keys,
        clock=instance.clock,
    )
    return Drop(instance=instance, storage=storage, packages=packages, registrations=registrations)


def test_a_good_drop_ends_pending(drop: Drop, package: Path) -> None:
    manifest = drop.upload(package)
    row = drop.notice_and_register("pilot", manifest)
    assert (row.state, row.error) == (RegistrationState.INSTALLED, None)
    version = drop.instance.versions.get("pilot")
    assert (version.state, version.manifest_sha256) == (VersionState.PENDING, sha256_hex(manifest))
    assert drop.instance.versions.events("pilot")[0].actor == "registration"
    assert drop.instance.lifecycle.verify("pilot")["ok"]
    drop.quarantine_is_empty()


def test_noticing_rings_the_bell_of_the_row(drop: Drop, package: Path) -> None:
    queue = drop.storage.queue(Registration.QUEUE)
    Doorbells(drop.storage).ensure(Registration.QUEUE)
    queue.clear_messages()
    row = drop.registrations.notice("pilot", drop.upload(package))
    assert row.state == RegistrationState.RECEIVED
    assert row.rung_at == drop.instance.clock()
    message = queue.receive_message()
    assert message is not None
    assert row.id in message.content


def test_the_same_drop_noticed_ten_times_at_once_is_one_row(drop: Drop, package: Path) -> None:
    manifest = drop.upload(package)
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(drop.registrations.notice("pilot", manifest).id)) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 10
    assert len(set(ids)) == 1
    assert drop.count() == 1
    for id_ in ids:
        assert drop.registrations.register(id_).state == RegistrationState.INSTALLED
    assert len(drop.instance.versions.events("pilot")) == 1


def test_two_workers_on_one_drop_install_it_once(drop: Drop, package: Path) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))
    states: list[str] = []
    threads = [
        threading.Thread(target=lambda: states.append(drop.registrations.register(row.id).state)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drop.instance.work.get(Registration, row.id).state == RegistrationState.INSTALLED
    assert set(states) <= {RegistrationState.INSTALLED, RegistrationState.VERIFYING}
    assert len(drop.instance.versions.events("pilot")) == 1


def test_two_versions_dropped_at_once_each_have_their_row_and_outcome(drop: Drop, package: Path) -> None:
    rows = [drop.registrations.notice("first", drop.upload(drop.instance.package_of("first")))]
    change_a_file(package)
    rows.append(drop.registrations.notice("pilot", drop.upload(package)))
    threads = [threading.Thread(target=drop.registrations.register, args=(row.id,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good, bad = (drop.instance.work.get(Registration, row.id) for row in rows)
    assert (good.state, good.reason, good.error) == (RegistrationState.INSTALLED, "", None)
    assert (bad.state, bad.step) == (RegistrationState.REJECTED, "files")
    assert "encoder.joblib" in bad.reason
    assert drop.instance.store.names() == ["first"]
    drop.quarantine_is_empty()


# --------------------------------------------------------------------------------------------------------- rejected


def change_a_file(folder: Path) -> None:
    path = folder / "encoder.joblib"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def lengthen_a_file(folder: Path) -> None:
    path = folder / "encoder.joblib"
    path.write_bytes(path.read_bytes() + b"x")


def change_the_manifest(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    path.write_bytes(path.read_bytes().replace(b'"role":"report"', b'"role":"rapport"', 1))


def no_json(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_bytes(b"hello")


def unsigned(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    path.write_bytes(parse_manifest(path.read_bytes()).model_copy(update={"signature": None}).to_bytes())


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (change_a_file, "encoder.joblib"),
        (lengthen_a_file, "encoder.joblib"),
        (change_the_manifest, "signature"),
        (no_json, "not JSON"),
        (unsigned, "not signed"),
    ],
)
def test_a_bad_drop_is_rejected_with_its_reason_and_nothing_is_decoded(
    damage: Callable[[Path], None], reason: str, drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a file of a refused package was decoded")

    monkeypatch.setattr("shared.registry.safe_loading.decode_joblib", refuse)
    damage(package)
    row = drop.notice_and_register("pilot", drop.upload(package))
    assert row.state == RegistrationState.REJECTED
    assert reason in row.reason
    assert row.error
    drop.nothing_was_installed("pilot")
    assert drop.registrations.register(row.id).state == RegistrationState.REJECTED


@pytest.mark.parametrize("version", ["active", "con", "UPPER", "inner/pilot", "a b", "x" * 100])
def test_a_drop_under_an_impossible_name_is_rejected(version: str, drop: Drop, package: Path) -> None:
    row = drop.notice_and_register(version, drop.upload(package, as_version=version))
    assert row.state == RegistrationState.REJECTED
    assert "cannot be the name" in row.reason
    drop.nothing_was_installed("pilot")


def test_a_drop_under_another_name_than_its_manifest_bears_is_rejected(drop: Drop, package: Path) -> None:
    row = drop.notice_and_register("other", drop.upload(package, as_version="other"))
    assert row.state == RegistrationState.REJECTED
    assert "pilot" in row.reason


def test_a_drop_never_touches_the_installed_version_of_its_name(drop: Drop, package: Path) -> None:
    drop.instance.install("pilot")
    before = drop.instance.store.manifest_sha256("pilot")
    row = drop.notice_and_register("pilot", drop.upload(package))
    assert row.state == RegistrationState.REJECTED
    assert "installed already" in row.reason
    assert drop.instance.store.manifest_sha256("pilot") == before
    assert drop.instance.lifecycle.verify("pilot")["ok"]


def test_a_drop_of_the_installed_package_itself_is_installed(drop: Drop, package: Path) -> None:
    drop.instance.installer.register_local(package, actor="ada", reason="pilot")
    row = drop.notice_and_register("pilot", drop.upload(package))
    assert row.state == RegistrationState.INSTALLED
    assert len(drop.instance.versions.events("pilot")) == 1


def test_a_bad_drop_does_not_block_a_good_one_of_the_same_name(drop: Drop, package: Path) -> None:
    good = (package / MANIFEST_NAME).read_bytes()
    no_json(package)
    assert drop.notice_and_register("pilot", drop.upload(package)).state == RegistrationState.REJECTED
    (package / MANIFEST_NAME).write_bytes(good)
    assert drop.notice_and_register("pilot", drop.upload(package)).state == RegistrationState.INSTALLED
    assert drop.count() == 2


def test_a_drop_damaged_on_its_way_is_taken_in_when_it_is_dropped_again_whole(drop: Drop, package: Path) -> None:
    whole = (package / "encoder.joblib").read_bytes()
    change_a_file(package)
    rejected = drop.notice_and_register("pilot", drop.upload(package))
    assert rejected.state == RegistrationState.REJECTED
    (package / "encoder.joblib").write_bytes(whole)
    row = drop.notice_and_register("pilot", drop.upload(package))
    assert (row.id, row.state, row.reason) == (rejected.id, RegistrationState.INSTALLED, "")
    assert drop.count() == 1


def test_a_stranger_s_drop_is_taken_in_when_it_is_dropped_again_after_the_key_was_trusted(
    drop: Drop, package: Path, shared_keys: Keys, tmp_path: Path
) -> None:
    stranger = Keys(tmp_path / "stranger")
    sign_folder(package, stranger)
    manifest = drop.upload(package)
    assert drop.notice_and_register("pilot", manifest).state == RegistrationState.REJECTED
    drop.instance.keys.trust(stranger.ensure().public, label="the plant next door")
    assert drop.notice_and_register("pilot", manifest).state == RegistrationState.INSTALLED


def test_a_drop_that_can_never_be_good_is_not_looked_at_again(drop: Drop, package: Path) -> None:
    no_json(package)
    manifest = drop.upload(package)
    row = drop.notice_and_register("pilot", manifest)
    again = drop.notice_and_register("pilot", manifest)
    assert again == row


def test_a_manifest_that_was_replaced_is_a_drop_of_its_own(drop: Drop, package: Path) -> None:
    row = drop.registrations.notice("pilot", b"an earlier manifest")
    manifest = drop.upload(package)
    assert drop.registrations.register(row.id).state == RegistrationState.REJECTED
    assert drop.notice_and_register("pilot", manifest).state == RegistrationState.INSTALLED


# ---------------------------------------------------------------------------------------------------------- waiting


def test_files_may_arrive_after_the_manifest(drop: Drop, package: Path) -> None:
    late = ("golden.json", "encoder.joblib")
    row = drop.notice_and_register("pilot", drop.upload(package, skip=late))
    assert row.state == RegistrationState.WAITING
    assert row.error is not None
    assert "2 of" in row.error
    assert row.not_before == drop.instance.clock() + timedelta(seconds=10)
    drop.nothing_was_installed("pilot")
    drop.instance.clock.advance(5)
    assert drop.registrations.register(row.id).state == RegistrationState.WAITING, "not yet"
    drop.upload(package)
    drop.instance.clock.advance(6)
    assert drop.registrations.register(row.id).state == RegistrationState.INSTALLED


def test_a_waiting_drop_that_is_dropped_again_is_looked_at_at_once(drop: Drop, package: Path) -> None:
    """Storage that was killed forgets its last seconds; who sends the files again need not wait for the next look."""
    row = drop.notice_and_register("pilot", drop.upload(package, skip=("encoder.joblib",)))
    assert row.state == RegistrationState.WAITING
    assert drop.registrations.register(row.id).state == RegistrationState.WAITING, "not yet"
    manifest = drop.upload(package)
    again = drop.notice_and_register("pilot", manifest)
    assert (again.id, again.state) == (row.id, RegistrationState.INSTALLED)
    assert drop.count() == 1


def test_each_further_look_waits_longer_and_the_deadline_ends_it(drop: Drop, package: Path) -> None:
    row = drop.notice_and_register("pilot", drop.upload(package, skip=("golden.json",)))
    clock, waits = drop.instance.clock, []
    for _ in range(40):
        row = drop.registrations.register(row.id)
        if row.state == RegistrationState.REJECTED:
            break
        assert row.not_before is not None
        waits.append((row.not_before - clock()).total_seconds())
        clock.now = row.not_before
    assert row.state == RegistrationState.REJECTED
    assert "golden.json" in row.reason
    assert "deadline" in row.reason
    assert clock() >= row.deadline
    assert waits[:7] == [10, 20, 40, 80, 160, 320, 600]
    assert max(waits) == 600
    drop.nothing_was_installed("pilot")


def test_a_drop_that_was_removed_waits_and_does_not_fail(drop: Drop, package: Path) -> None:
    manifest = drop.upload(package)
    drop.container.delete_blob(f"pilot/{MANIFEST_NAME}")
    assert drop.notice_and_register("pilot", manifest).state == RegistrationState.WAITING


# ---------------------------------------------------------------------------------------------- faults and accidents


def test_a_death_between_folder_and_row_is_repaired_by_the_next_worker(
    drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(drop.instance.work, "finish", die)
        with pytest.raises(Killed):
            drop.registrations.register(row.id)
    assert drop.instance.store.has("pilot")
    assert drop.instance.versions.find("pilot") is None
    assert drop.instance.work.get(Registration, row.id).state == RegistrationState.VERIFYING
    drop.instance.clock.advance(drop.instance.settings.lease_seconds + 1)
    assert drop.registrations.register(row.id).state == RegistrationState.INSTALLED
    assert drop.instance.versions.get("pilot").state == VersionState.PENDING


def test_a_fault_of_storage_or_disk_is_tried_again(drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))
    for fault in (StorageUnavailable("away"), OSError(28, "No space left on device")):
        with monkeypatch.context() as patch:

            def fail(*_: Any, fault: Exception = fault) -> None:
                raise fault

            patch.setattr(drop.packages, "stream_file", fail)
            with pytest.raises(StorageUnavailable) as caught:
                drop.registrations.register(row.id)
        assert caught.value.retryable
        assert drop.instance.work.get(Registration, row.id).state == RegistrationState.RECEIVED
        drop.nothing_was_installed("pilot")
    assert drop.registrations.register(row.id).state == RegistrationState.INSTALLED


def test_a_package_larger_than_the_free_disk_is_not_fetched(
    drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))
    usage = shutil.disk_usage(package)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(StorageUnavailable, match="1000 are free"):
            drop.registrations.register(row.id)
    drop.nothing_was_installed("pilot")


def test_a_full_disk_leaves_the_old_state_and_room_is_enough_to_go_on(
    drop: Drop, package: Path, azurite: Azurite
) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))
    drop.instance.engine.dispose()
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-m", "tests.registry.full_disk"]
    command += [str(drop.instance.settings.data_dir), row.id, "pilot"]
    done = subprocess.run(
        command, cwd=PROJECT_DIR, input=azurite.connection_string, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    for step in ("quarantine", "models"):
        assert "No space left on device" in told[step]["fault"], told
        assert "No space left on device" in told[step]["error"]
        assert (told[step]["state"], told[step]["folder"], told[step]["known"]) == ("received", False, False)
    assert told["room again"] == {"fault": "", "state": "installed", "error": None, "folder": True, "known": True}
    assert "full" in told["database"]["fault"]
    assert (told["database"]["state"], told["database"]["events"]) == ("pending", 1)
    assert told["database again"] == {"fault": "", "state": "active", "events": 2}


def test_a_worker_that_lost_its_lease_changes_nothing(
    drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = drop.registrations.notice("pilot", drop.upload(package))
    fetch = drop.packages.stream_file

    def slow(*arguments: Any) -> Any:
        drop.instance.clock.advance(1000)
        drop.instance.work.claim(Registration, row.id, worker="other", lease_seconds=3600)
        return fetch(*arguments)

    monkeypatch.setattr(drop.packages, "stream_file", slow)
    after = drop.registrations.register(row.id)
    assert (after.state, after.worker) == (RegistrationState.VERIFYING, "other")
    assert drop.instance.versions.find("pilot") is None


def test_an_unknown_row_is_not_found(drop: Drop) -> None:
    with pytest.raises(NotFound):
        drop.registrations.register("reg_unknown")


# ------------------------------------------------------------------------------------------------------------ sweep


def test_the_sweep_notices_what_no_message_told_of_and_reads_it_once(
    drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.upload(package)
    drop.container.upload_blob(f"huge/{MANIFEST_NAME}", b" " * (1024 * 1024 + 1))
    assert sorted(drop.registrations.note_missed_drops()) == ["huge", "pilot"]
    monkeypatch.setattr(drop.packages, "read_manifest", lambda *_: pytest.fail("read again"))
    assert drop.registrations.note_missed_drops() == []
    states = {row.version: row.state for row in drop.instance.work.list(Registration)[0]}
    assert states == {"huge": RegistrationState.REJECTED, "pilot": RegistrationState.RECEIVED}


def test_a_drop_that_could_not_be_read_is_tried_at_the_next_sweep(
    drop: Drop, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.upload(package)

    def away(*_: Any) -> bytes:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(drop.packages, "read_manifest", away)
        with pytest.raises(StorageUnavailable):
            drop.registrations.note_missed_drops()
    assert drop.registrations.note_missed_drops() == ["pilot"]


def test_the_sweep_clears_old_quarantine_only(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import time

    quarantine = drop.instance.settings.quarantine
    for name, age in (("old", 7 * 3600), ("new", 60)):
        (quarantine / name).mkdir(parents=True)
        os.utime(quarantine / name, (time.time() - age, time.time() - age))
    assert drop.registrations.remove_stale_quarantine() == ["old"]
    assert [path.name for path in quarantine.iterdir()] == ["new"]


def test_a_removed_version_comes_back_when_its_package_is_dropped_again(drop: Drop, package: Path) -> None:
    manifest = drop.upload(package)
    assert drop.notice_and_register("pilot", manifest).state == RegistrationState.INSTALLED
    installed = drop.registrations.notice("pilot", manifest)
    assert installed.state == RegistrationState.INSTALLED, "a repeated event does nothing while it lies installed"
    drop.instance.versions.transition("pilot", VersionState.REMOVED, actor="ann", reason="superseded")
    shutil.rmtree(drop.instance.store.folder("pilot"))
    row = drop.notice_and_register("pilot", manifest)
    assert (row.id, row.state) == (installed.id, RegistrationState.INSTALLED)
    assert drop.instance.versions.get("pilot").state == VersionState.PENDING
    assert drop.instance.lifecycle.verify("pilot")["ok"]


def test_packages_pushed_by_the_product_are_taken_in(drop: Drop, package: Path) -> None:
    drop.packages.upload_package(package, "pilot")
    assert drop.registrations.note_missed_drops() == ["pilot"]
    rows: list[Registration] = drop.instance.work.list(Registration)[0]
    assert drop.registrations.register(rows[0].id).state == RegistrationState.INSTALLED
    version: ModelVersion = drop.instance.versions.get("pilot")
    assert version.profile == "demo"


@pytest.mark.parametrize("only_for", [None, "pilot"])
def test_a_package_pushed_with_a_signature_is_taken_in_and_its_holder_can_do_no_harm(
    only_for: str | None, drop: Drop, package: Path, tmp_path: Path
) -> None:
    """As files, or as the archive of the one version. Later uploads change neither the installed version nor a row."""
    signatures = UploadSignatures(drop.storage, drop.packages, tmp_path / "lock")
    signatures.revoke_all()
    url = signatures.make(hours=1, version=only_for).url
    SignedUpload(url).push(package, "pilot")
    [row] = register_all(drop)
    assert (row.state, row.is_zip) == (RegistrationState.INSTALLED, only_for is not None)
    before = drop.instance.store.manifest_sha256("pilot")
    if only_for is None:
        with ContainerClient.from_container_url(url) as holder:
            holder.upload_blob("pilot/golden.json", b"harm", overwrite=True)
            holder.upload_blob("pilot/manifest.json", b"harm", overwrite=True)
    else:
        with BlobClient.from_blob_url(url) as blob:
            blob.upload_blob(b"harm", overwrite=True)
    states = sorted(each.state for each in register_all(drop))
    assert states == [RegistrationState.INSTALLED, RegistrationState.REJECTED]
    assert drop.instance.store.manifest_sha256("pilot") == before
    assert drop.instance.lifecycle.verify("pilot")["ok"]


# ------------------------------------------------------------------------------------------------------------- archives


def zipped(folder: Path, *, below: str = "") -> bytes:
    """Return the files of a folder as a zip archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{below}{file.relative_to(folder).as_posix()}")
    return written.getvalue()


def register_all(drop: Drop) -> list[Registration]:
    """Do what the sweep and the workers do."""
    drop.registrations.note_missed_drops()
    rows, _ = drop.instance.work.list(Registration)
    return [drop.registrations.register(row.id) for row in rows]


@pytest.mark.parametrize("below", ["", "pilot/"])
def test_a_zip_ends_pending_and_leaves_nothing_behind(below: str, drop: Drop, package: Path) -> None:
    drop.container.upload_blob("pilot.zip", zipped(package, below=below))
    [row] = register_all(drop)
    assert (row.state, row.is_zip) == (RegistrationState.INSTALLED, True)
    assert drop.instance.lifecycle.verify("pilot")["ok"]
    drop.quarantine_is_empty()
    assert [again.id for again in register_all(drop)] == [row.id], "the same archive is one drop"


def test_a_zip_of_an_installed_package_and_one_of_another_leave_it_as_it_is(drop: Drop, package: Path) -> None:
    drop.notice_and_register("pilot", drop.upload(package))
    before = drop.instance.store.manifest_sha256("pilot")
    drop.container.upload_blob("pilot.zip", zipped(package))
    assert [row.state for row in register_all(drop)] == [RegistrationState.INSTALLED] * 2
    other = drop.instance.build_another("pilot")
    drop.container.upload_blob("pilot.zip", zipped(other), overwrite=True)
    assert sorted(row.state for row in register_all(drop)) == [
        RegistrationState.INSTALLED, RegistrationState.INSTALLED, RegistrationState.REJECTED
    ]  # fmt: skip
    assert drop.instance.store.manifest_sha256("pilot") == before


def test_a_zip_whose_upload_was_cut_off_is_rejected_and_taken_in_when_dropped_again(drop: Drop, package: Path) -> None:
    whole = zipped(package)
    drop.container.upload_blob("pilot.zip", whole[: len(whole) // 2])
    [row] = register_all(drop)
    assert (row.state, row.step) == (RegistrationState.REJECTED, "archive")
    drop.nothing_was_installed("pilot")
    drop.container.upload_blob("pilot.zip", whole, overwrite=True)
    assert {each.state for each in register_all(drop)} == {RegistrationState.REJECTED, RegistrationState.INSTALLED}


def test_a_zip_of_a_stranger_is_rejected(drop: Drop, package: Path, tmp_path: Path) -> None:
    sign_folder(package, Keys(tmp_path / "stranger"))
    drop.container.upload_blob("pilot.zip", zipped(package))
    [row] = register_all(drop)
    assert (row.state, row.step) == (RegistrationState.REJECTED, "signature")
    drop.nothing_was_installed("pilot")


def test_a_zip_that_vanished_waits_and_one_that_was_replaced_is_a_drop_of_its_own(drop: Drop, package: Path) -> None:
    drop.container.upload_blob("pilot.zip", b"nonsense")
    drop.registrations.note_missed_drops()
    [row] = drop.instance.work.list(Registration)[0]
    drop.container.delete_blob("pilot.zip")
    assert drop.registrations.register(row.id).state == RegistrationState.WAITING
    drop.container.upload_blob("pilot.zip", zipped(package))
    drop.instance.clock.advance(3600)
    assert drop.registrations.register(row.id).state == RegistrationState.REJECTED
    assert RegistrationState.INSTALLED in {each.state for each in register_all(drop)}
