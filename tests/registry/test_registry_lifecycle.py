"""Installing, activating, going back, and the repair of what a crash left."""

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.azurite.service import Azurite
from shared.bootstrap import Services
from shared.database.tables import VersionState
from shared.errors import Conflict, InvalidInput, NoActiveModel, NotFound, PackageRejected
from shared.registry.apart import load_apart, loading_apart
from shared.registry.dry_run import STATE_CHECK
from shared.registry.legacy import LegacyPackages
from shared.registry.lifecycle import Lifecycle
from shared.registry.lineage import Lineage
from shared.registry.manifest import MANIFEST_NAME
from shared.registry.repair import FELL_BACK, MISSING_FOLDER, UNKNOWN_FOLDER, Repair, RepairReport
from shared.registry.serving import ALERT_KIND as NOT_SERVABLE
from shared.registry.verify import CHECKS, check_package
from tests.registry.registry_support import Instance


def lineage(instance: Instance) -> Lineage:
    return Lineage(instance.settings, instance.engine, instance.versions)


def repair(instance: Instance) -> RepairReport:
    return Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys, clock=instance.clock).run()


def open_alerts(instance: Instance, kind: str) -> list[str]:
    return [alert.subject for alert in instance.alerts.list(state="open", kind=kind)[0]]


def damage(instance: Instance, version: str) -> None:
    path = instance.store.folder(version) / "metrics.json"
    path.write_bytes(path.read_bytes() + b" ")


# ------------------------------------------------------------------------------------------------------- installing


def test_a_local_package_becomes_a_pending_version_and_stays_where_it_was(instance: Instance) -> None:
    folder = instance.package_of("first")
    row = instance.installer.register_local(folder, actor="ada", reason="pilot")
    assert (row.version, row.state) == ("first", VersionState.PENDING)
    assert row.manifest_sha256 == instance.store.manifest_sha256("first")
    assert [(event.actor, event.to_state, event.reason) for event in instance.versions.events("first")] == [
        ("ada", "pending", "pilot")
    ]
    assert (folder / MANIFEST_NAME).is_file()
    assert not any(instance.settings.quarantine.iterdir())


def test_registering_the_same_package_twice_is_the_same_as_once(instance: Instance) -> None:
    folder = instance.package_of("first")
    first = instance.installer.register_local(folder, actor="ada", reason="pilot")
    again = instance.installer.register_local(folder, actor="bob", reason="again")
    assert again == first
    assert len(instance.versions.events("first")) == 1


def test_another_package_under_a_taken_name_is_refused_and_the_installed_one_untouched(instance: Instance) -> None:
    instance.install("first")
    before = instance.store.manifest_sha256("first")
    with pytest.raises(Conflict, match="not touched"):
        instance.installer.register_local(instance.build_another("first"), actor="ada", reason="other")
    assert instance.store.manifest_sha256("first") == before
    assert not any(instance.settings.quarantine.iterdir())


def test_a_name_that_differs_in_case_only_is_refused(instance: Instance) -> None:
    (instance.settings.models / "First").mkdir(parents=True)
    with pytest.raises(Conflict, match="case"):
        instance.install("first")


def test_a_damaged_local_package_installs_nothing(instance: Instance) -> None:
    folder = instance.build_another("first")
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(PackageRejected):
        instance.installer.register_local(folder, actor="ada", reason="pilot")
    assert instance.store.names() == []
    assert instance.versions.find("first") is None
    assert not any(instance.settings.quarantine.iterdir())


def test_free_names_avoid_rows_and_folders(instance: Instance) -> None:
    (instance.settings.models / "pilot").mkdir(parents=True)
    assert instance.installer.free_version_name("pilot") == "pilot_2"
    instance.install("pilot_2")
    assert instance.installer.free_version_name("pilot") not in {"pilot", "pilot_2"}
    assert instance.installer.free_version_name() == "version_20260201_120000"


# ------------------------------------------------------------------------------------------------------- activating


def test_activation_and_rollback_leave_exactly_one_active_version_and_its_history(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
    instance.lifecycle.activate("first", actor="ada", reason="start")
    instance.lifecycle.activate("second", actor="ada", reason="better", expected_active="first")
    row = instance.lifecycle.rollback(actor="bob", reason="worse after all")
    assert row.version == "first"
    active = instance.versions.active()
    assert active is not None
    assert active.version == "first"
    assert instance.versions.get("second").state == VersionState.RETIRED
    history = lineage(instance).of("first")["events"]
    assert [(event["to_state"], event["actor"]) for event in history] == [
        ("pending", "test"), ("active", "ada"), ("retired", "ada"), ("active", "bob"),
    ]  # fmt: skip


def test_a_version_whose_folder_was_damaged_is_not_activated(instance: Instance) -> None:
    instance.install("first")
    damage(instance, "first")
    with pytest.raises(PackageRejected) as caught:
        instance.lifecycle.activate("first", actor="ada", reason="start")
    assert caught.value.facts["check"] == "files"
    assert instance.versions.get("first").state == VersionState.PENDING


def test_a_folder_exchanged_for_another_good_package_is_not_activated(instance: Instance) -> None:
    instance.install("first")
    shutil.rmtree(instance.store.folder("first"))
    shutil.copytree(instance.build_another("first"), instance.store.folder("first"))
    with pytest.raises(PackageRejected, match="another package"):
        instance.lifecycle.activate("first", actor="ada", reason="start")


def test_a_damaged_previous_version_is_not_gone_back_to(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
        instance.lifecycle.activate(version, actor="ada", reason="start")
    damage(instance, "first")
    with pytest.raises(PackageRejected):
        instance.lifecycle.rollback(actor="ada", reason="back")
    active = instance.versions.active()
    assert active is not None
    assert active.version == "second"


def test_a_rejected_version_cannot_be_activated_and_an_active_one_not_rejected(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
    instance.lifecycle.reject("first", actor="ada", reason="wrong data")
    with pytest.raises(Conflict) as caught:
        instance.lifecycle.activate("first", actor="ada", reason="start")
    assert caught.value.facts["state"] == VersionState.REJECTED
    instance.lifecycle.activate("second", actor="ada", reason="start")
    with pytest.raises(Conflict):
        instance.lifecycle.reject("second", actor="ada", reason="no")


def test_changes_need_a_reason_an_existing_version_and_the_expected_one(instance: Instance) -> None:
    instance.install("first")
    with pytest.raises(InvalidInput):
        instance.lifecycle.activate("first", actor="ada", reason="  ")
    with pytest.raises(NotFound):
        instance.lifecycle.activate("none", actor="ada", reason="start")
    with pytest.raises(Conflict):
        instance.lifecycle.activate("first", actor="ada", reason="start", expected_active="other")
    with pytest.raises(Conflict, match="No version served before"):
        instance.lifecycle.rollback(actor="ada", reason="back")
    assert instance.versions.active() is None


def test_a_dry_run_names_the_first_check_that_would_fail(instance: Instance) -> None:
    instance.install("first")
    good = instance.lifecycle.verify("first")
    assert good["ok"]
    assert [check["check"] for check in good["checks"]] == [STATE_CHECK, *CHECKS]
    assert good["difference"] is None, "nothing is active"
    damage(instance, "first")
    bad = instance.lifecycle.verify("first")
    assert not bad["ok"]
    assert [check["ok"] for check in bad["checks"]] == [True, True, True, False, None, None, None]
    assert "metrics.json" in bad["checks"][3]["detail"]
    shutil.rmtree(instance.store.folder("first"))
    assert not instance.lifecycle.verify("first")["ok"]
    with pytest.raises(NotFound):
        instance.lifecycle.verify("none")
    json.dumps([good, bad])


def test_a_dry_run_tells_what_would_be_other_than_with_the_active_version(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
    instance.lifecycle.activate("first", actor="test", reason="a test")
    report = instance.lifecycle.verify("second")
    found = report["difference"]
    assert found["active"] == "first"
    assert found["rows"] == found["runtime"] == found["metrics"] == {}, "the same model, made twice"
    assert found["files"]["added"] == found["files"]["removed"] == []
    same = instance.lifecycle.verify("first")
    assert same["ok"]
    assert same["difference"]["files"]["changed"] == []
    json.dumps(report)


def test_a_dry_run_fails_where_the_state_forbids_the_activation(instance: Instance) -> None:
    instance.install("first")
    instance.lifecycle.reject("first", actor="test", reason="not wanted")
    report = instance.lifecycle.verify("first")
    assert not report["ok"]
    assert [check["check"] for check in report["checks"] if not check["ok"]] == [STATE_CHECK]
    assert "rejected" in report["checks"][0]["detail"]
    with pytest.raises(Conflict):
        instance.lifecycle.activate("first", actor="test", reason="even so")
    shutil.copytree(instance.package_of("second"), instance.store.folder("second"))
    assert not instance.lifecycle.verify("second")["ok"], "a folder without a row cannot be activated"


def test_lineage_tells_the_training_and_the_ancestors(instance: Instance) -> None:
    instance.install("first")
    line = lineage(instance).of("first")
    assert line["training"]["profile"] == "demo"
    assert line["ancestors"] == []
    with pytest.raises(NotFound):
        lineage(instance).of("none")
    json.dumps(line)


# ----------------------------------------------------------------------------------------------------------- repair


def test_a_folder_installed_before_a_crash_gets_its_row(instance: Instance) -> None:
    shutil.copytree(instance.package_of("first"), instance.store.folder("first"))
    assert repair(instance).adopted == ["first"]
    assert instance.versions.get("first").state == VersionState.PENDING
    assert instance.versions.events("first")[0].actor == "repair"
    assert repair(instance) == RepairReport()


def test_a_bad_or_legacy_folder_is_reported_and_never_adopted(instance: Instance) -> None:
    shutil.copytree(instance.package_of("first"), instance.store.folder("first"))
    damage(instance, "first")
    (instance.settings.models / "legacy").mkdir()
    (instance.settings.models / "legacy" / "encoder.joblib").write_bytes(b"\x80\x04N.")
    (instance.settings.models / "Strange Name").mkdir()
    report = repair(instance)
    assert report.adopted == report.unsigned == []
    assert set(report.refused) == {"first", "legacy", "Strange Name"}
    assert sorted(open_alerts(instance, UNKNOWN_FOLDER)) == ["Strange Name", "first", "legacy"]
    assert instance.versions.list()[1] == 0


def without_manifest(instance: Instance, version: str, *, age_seconds: float = 3600.0) -> Path:
    """Put a package's files into a version's place, all but the manifest, as if copied so long ago."""
    folder = instance.store.folder(version)
    shutil.copytree(instance.package_of(version), folder)
    (folder / "manifest.json").unlink()
    then = time.time() - age_seconds
    for path in folder.iterdir():
        os.utime(path, (then, then))
    return folder


def legacy(instance: Instance) -> LegacyPackages:
    return LegacyPackages(instance.keys, instance.store, instance.versions, clock=instance.clock)


def test_a_folder_without_a_manifest_gets_a_row_that_cannot_serve_until_a_person_signs_it(instance: Instance) -> None:
    without_manifest(instance, "first")
    assert repair(instance).unsigned == ["first"]
    row = instance.versions.get("first")
    assert (row.state, row.model_kind) == (VersionState.PENDING, "legacy")
    assert "models sign" in row.notes
    assert repair(instance) == RepairReport()
    with pytest.raises(PackageRejected, match="manifest"):
        instance.lifecycle.activate("first", actor="test", reason="unsigned")
    assert not instance.lifecycle.verify("first")["ok"]
    signed = legacy(instance).sign("first", actor="ann", reason="copied from the old server")
    assert signed.manifest_sha256 == instance.store.manifest_sha256("first")
    assert instance.lifecycle.activate("first", actor="ann", reason="checked").state == VersionState.ACTIVE
    assert [event.to_state for event in instance.versions.events("first")] == ["pending", "signed", "active"]
    with pytest.raises(Conflict):
        legacy(instance).sign("first", actor="ann", reason="again")


def test_a_copy_that_is_under_way_is_not_taken_for_an_old_folder(instance: Instance) -> None:
    without_manifest(instance, "first", age_seconds=5)
    report = repair(instance)
    assert report.unsigned == []
    assert set(report.refused) == {"first"}


@pytest.mark.parametrize("damage", ["hostile", "strange", "other"])
def test_a_folder_of_an_older_product_is_not_signed_and_nothing_in_it_runs(
    damage: str, instance: Instance, tmp_path: Path
) -> None:
    folder = without_manifest(instance, "first")
    repair(instance)
    canary = tmp_path / "canary"
    if damage == "hostile":
        (folder / "encoder.joblib").write_bytes(b"cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR.")
    elif damage == "strange":
        (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    else:
        (folder / "metrics.json").write_bytes(b"[]")
        (folder / "similarity_engine.joblib").write_bytes(b"\x80\x04}.")
    with pytest.raises(PackageRejected) as caught:
        legacy(instance).sign("first", actor="ann", reason="by mistake")
    assert "manage.py train" in str(caught.value.remedy)
    assert not canary.exists()
    assert not (folder / "manifest.json").exists()


def test_a_death_between_manifest_and_row_is_completed(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    without_manifest(instance, "first")
    repair(instance)
    with monkeypatch.context() as patch:
        patch.setattr(LegacyPackages, "vouch", lambda *_, **__: pytest.fail("the process died here"))
        with pytest.raises(pytest.fail.Exception):
            legacy(instance).sign("first", actor="ann", reason="cut off")
    assert repair(instance).adopted == ["first"]
    assert instance.lifecycle.verify("first")["ok"]


def test_the_last_checks_may_run_in_another_process(instance: Instance, package: Path) -> None:
    lifecycle = Lifecycle(instance.settings, instance.versions, keys=instance.keys, loading=loading_apart)
    instance.install("first")
    assert lifecycle.activate("first", actor="test", reason="checked apart").state == VersionState.ACTIVE
    checked = check_package(instance.store.folder("first"), instance.keys)
    (instance.store.folder("first") / "golden.json").write_text("{}")
    with pytest.raises(PackageRejected, match="golden") as caught:
        load_apart(checked)
    assert caught.value.facts["check"] == "load"
    assert caught.value.remedy
    shutil.rmtree(package)
    with pytest.raises(PackageRejected) as vanished:
        load_apart(dataclasses.replace(checked, folder=package))
    assert vanished.value.facts["check"] in ("load", "manifest")


def test_where_the_active_folder_is_gone_the_last_good_version_serves_again(instance: Instance) -> None:
    for version in ("first", "second", "third"):
        instance.install(version)
        instance.clock.advance(60)
        instance.lifecycle.activate(version, actor="test", reason="a test")
    damage(instance, "second")
    shutil.rmtree(instance.store.folder("third"))
    assert repair(instance).fell_back_to == "first", "the second does not verify"
    assert instance.serving.active().version == "first"
    assert open_alerts(instance, FELL_BACK) == ["first"]
    assert instance.versions.events("first")[-1].actor == "repair"
    assert repair(instance).fell_back_to is None
    states = {row.version: row.state for row in instance.versions.list()[0]}
    assert states == {"first": "active", "second": "retired", "third": "retired"}
    instance.install("fourth")
    instance.lifecycle.activate("fourth", actor="test", reason="the one that is meant to serve")
    repair(instance)
    assert open_alerts(instance, FELL_BACK) == []


def test_where_the_active_version_was_damaged_the_last_good_one_serves_again(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
        instance.clock.advance(60)
        instance.lifecycle.activate(version, actor="test", reason="a test")
    damage(instance, "second")
    assert repair(instance).fell_back_to is None, "a folder is read anew only once somebody could not load it"
    with pytest.raises(NoActiveModel):
        instance.serving.active()  # as a start does, which then alerts
    assert open_alerts(instance, NOT_SERVABLE) == ["second"]
    assert repair(instance).fell_back_to == "first"
    assert instance.serving.active().version == "first"
    assert open_alerts(instance, FELL_BACK) == ["first"]
    assert "metrics.json" in instance.versions.events("first")[-1].reason
    repair(instance)
    assert open_alerts(instance, NOT_SERVABLE) == []


@pytest.mark.azurite
def test_the_sweep_sees_at_every_round_that_a_version_can_serve(instance: Instance, azurite: Azurite) -> None:
    connection = SecretStr(azurite.connection_string)
    settings = instance.settings.model_copy(update={"storage_connection": connection})
    services = Services(settings)
    for version in ("first", "second"):
        instance.install(version)
        instance.clock.advance(60)
        instance.lifecycle.activate(version, actor="test", reason="a test")
    assert services.sweep.run()["mended"] == 0
    damage(instance, "second")
    instance.alerts.raise_alert(NOT_SERVABLE, "second", "it does not load")
    assert services.sweep.run()["mended"] == 1
    active = instance.versions.active()
    assert active is not None
    assert active.version == "first"
    services.engine.dispose()


def test_an_active_version_that_another_process_could_not_load_and_that_verifies_stays(instance: Instance) -> None:
    for version in ("first", "second"):
        instance.install(version)
        instance.clock.advance(60)
        instance.lifecycle.activate(version, actor="test", reason="a test")
    instance.alerts.raise_alert(NOT_SERVABLE, "second", "no memory for it")
    assert repair(instance).fell_back_to is None
    assert open_alerts(instance, NOT_SERVABLE) == ["second"]


def test_where_no_version_is_active_the_last_one_is_and_before_the_first_nobody(instance: Instance) -> None:
    instance.install("first")
    assert repair(instance).fell_back_to is None, "nobody has approved of it"
    instance.lifecycle.activate("first", actor="test", reason="a test")
    with instance.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE model_versions SET state = 'retired'")  # as a restored database may hold it
    assert repair(instance).fell_back_to == "first"
    assert open_alerts(instance, FELL_BACK) == ["first"]


def test_a_missing_folder_raises_an_alert_until_it_is_back(instance: Instance, tmp_path: Path) -> None:
    instance.install("first")
    folder = instance.store.folder("first")
    shutil.move(folder, tmp_path / "away")
    assert repair(instance).missing == ["first"]
    assert open_alerts(instance, MISSING_FOLDER) == ["first"]
    shutil.move(tmp_path / "away", folder)
    assert repair(instance) == RepairReport()
    assert open_alerts(instance, MISSING_FOLDER) == []
