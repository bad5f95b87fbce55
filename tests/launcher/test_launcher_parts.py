"""Leftovers, roles, hosts and the instance's environment, each by itself."""

import base64
import io
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from launcher.asking import first_command
from launcher.checks import clear_leftovers
from launcher.environment import (
    STORAGE_BIND_ADDRESS,
    host_id,
    instance_environment,
    storage_from_elsewhere,
    with_recorded_storage,
)
from launcher.hosts import BUNDLE, BUNDLE_PATH_SETTING, host_choices
from launcher.places import PROJECT_DIR, Place
from launcher.preparation import ensure_administrator_key
from launcher.problems import SetupProblem
from launcher.programs import last_error
from launcher.roles import BACKGROUND_FUNCTIONS, disabling_settings
from launcher.storage import OwnStorage
from shared.azurite.account import WELL_KNOWN_ACCOUNT, StorageAccount, StorageKey
from shared.azurite.service import Azurite
from shared.platform import note_process

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(data_dir=tmp_path / "data")
    made.run.mkdir(parents=True)
    return made


def test_only_the_very_process_that_was_left_over_is_ended(place: Place) -> None:
    leftover, foreign = subprocess.Popen(SLEEPER), subprocess.Popen(SLEEPER)
    try:
        note_process(place.run / "azurite.json", leftover.pid)
        note_process(place.run / "host.json", foreign.pid)
        note = json.loads((place.run / "host.json").read_bytes())
        (place.run / "host.json").write_text(json.dumps({**note, "identity": "of an earlier process"}))
        assert clear_leftovers(place) == ["azurite"]
        assert leftover.wait(timeout=30) != 0
        assert foreign.poll() is None
        assert list(place.run.glob("*.json")) == []
    finally:
        for process in (leftover, foreign):
            process.kill()
            process.wait()


def test_files_that_were_torn_while_they_were_written_are_removed(place: Place) -> None:
    """A process killed in mid-write leaves a temporary file, of a secret too; one that is being written stays."""
    place.keys.mkdir()
    torn, young = place.keys / ".administrator.key.abc.tmp", place.run / ".host.json.def.tmp"
    for path in (torn, young, place.administrator_key):
        path.write_bytes(b"half")
    for path in (torn, place.administrator_key):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    clear_leftovers(place)
    assert not torn.exists()
    assert young.exists()
    assert place.administrator_key.exists()


def test_an_account_is_made_once_and_is_its_owners_alone(place: Place) -> None:
    first = StorageAccount.kept_in(place.storage_account)
    assert StorageAccount.kept_in(place.storage_account) == first
    assert first.name != WELL_KNOWN_ACCOUNT
    assert len(base64.b64decode(first.keys[0].value)) * 8 == 512
    assert stat.S_IMODE(place.storage_account.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.keys.stat().st_mode) == 0o700
    assert first.keys[0].value not in repr(first)


def test_an_account_of_the_first_releases_is_read_and_the_well_known_one_replaced(place: Place) -> None:
    place.keys.mkdir()
    key = StorageKey.random().value
    place.storage_account.write_text(json.dumps({"account": "routing01234567", "key": key}))
    kept = StorageAccount.kept_in(place.storage_account)
    assert (kept.name, [one.value for one in kept.keys]) == ("routing01234567", [key])
    place.storage_account.write_text(json.dumps({"account": WELL_KNOWN_ACCOUNT, "key": key}))
    own = StorageAccount.kept_in(place.storage_account)
    assert own.name != WELL_KNOWN_ACCOUNT
    assert not own.accepts(StorageKey(value=key))
    assert StorageAccount.kept_in(place.storage_account) == own


def test_a_rotated_account_takes_two_keys_and_no_third(place: Place) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    first = StorageAccount.random(day)
    second = first.rotated(now=day + timedelta(days=1))
    assert second.name == first.name
    assert second.keys[1:] == first.keys
    third = second.rotated(now=day + timedelta(days=2))
    assert third.keys[1:] == second.keys[:1]
    assert [third.accepts(key) for key in (*first.keys, *second.keys[:1], *third.keys[:1])] == [False, True, True]
    assert third.rotated(now=day, at_once=True).keys[1:] == ()
    third.keep_in(place.storage_account)
    assert StorageAccount.kept_in(place.storage_account) == third


@pytest.mark.azurite
def test_running_storage_goes_on_where_the_file_of_its_keys_is_damaged_or_the_same(
    place: Place, azurite: Azurite
) -> None:
    said = io.StringIO()
    running = OwnStorage(
        place=place, ports=azurite.ports, bind_address="127.0.0.1", console=Console(file=said), azurite=azurite
    )
    assert not running.take_new_keys(), "there is no file"
    azurite.account.keep_in(place.storage_account)
    assert not running.take_new_keys(), "written again with the same keys"
    assert said.getvalue() == ""
    place.storage_account.write_text("{}")
    assert not running.take_new_keys()
    assert "storage.json" in said.getvalue()
    before = len(said.getvalue())
    assert not running.take_new_keys()
    assert len(said.getvalue()) == before, "said once"
    assert azurite.process.poll() is None


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", '{"account": "routing1", "key": ""}', '{"account": "routing1", "key": "no base64"}',
     '{"account": "A;B:C", "key": "a2V5"}', '{"account": "routing1", "keys": []}', "\x00"],
)  # fmt: skip
def test_a_damaged_account_file_is_named_rather_than_replaced(content: str, place: Place) -> None:
    place.keys.mkdir()
    place.storage_account.write_text(content)
    with pytest.raises(ValueError, match=r"storage\.json") as caught:
        StorageAccount.kept_in(place.storage_account)
    assert "base64" not in str(caught.value)
    assert place.storage_account.read_text() == content


def test_the_administrator_key_is_made_once(place: Place) -> None:
    ensure_administrator_key(place)
    first = place.administrator_key.read_bytes()
    ensure_administrator_key(place)
    assert place.administrator_key.read_bytes() == first
    assert len(first.strip()) >= 43  # 32 bytes in base64
    assert stat.S_IMODE(place.administrator_key.stat().st_mode) == 0o600


def test_each_data_directory_has_a_host_id_of_its_own_that_the_host_accepts(tmp_path: Path) -> None:
    ids = {host_id(tmp_path / name) for name in ("a", "b")}
    assert len(ids) == 2
    assert all(len(one) <= 32 and one == one.lower() for one in ids)


def test_storage_set_by_the_caller_wins_unless_everybody_knows_its_key(place: Place) -> None:
    callers = {"AzureWebJobsStorage": "AccountName=callers;AccountKey=a2V5"}
    before = instance_environment(place.data_dir, base={})
    assert with_recorded_storage(before) == before, "there is none before the first start"
    account = StorageAccount.kept_in(place.storage_account)
    note_process(place.instance_note, os.getpid(), storage_ports=[1, 2, 3])
    own = account.connection_string((1, 2, 3))
    for environment, wanted in (
        ({}, own),
        ({"AzureWebJobsStorage": ""}, own),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, own),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage = True;"}, own),
        (callers, callers["AzureWebJobsStorage"]),
    ):
        made = instance_environment(place.data_dir, base=environment)
        assert with_recorded_storage(made)["AzureWebJobsStorage"] == wanted
        assert storage_from_elsewhere(made) is (environment is callers)


def test_commands_look_for_storage_where_it_was_told_to_listen(place: Place) -> None:
    account = StorageAccount.kept_in(place.storage_account)
    for told, host in (("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3"), ("::1", "[::1]")):
        made = with_recorded_storage(instance_environment(place.data_dir, base={STORAGE_BIND_ADDRESS: told}))
        assert f"BlobEndpoint=http://{host}:10000/{account.name}" in made["AzureWebJobsStorage"]
    with pytest.raises(SetupProblem, match=STORAGE_BIND_ADDRESS):
        with_recorded_storage(instance_environment(place.data_dir, base={STORAGE_BIND_ADDRESS: "everywhere"}))


def test_the_settings_that_core_tools_read_name_no_storage_and_no_secret() -> None:
    """Core Tools set what they read there only where the environment does not, so the instance's storage is theirs."""
    values = json.loads((PROJECT_DIR / "local.settings.json").read_bytes())["Values"]
    assert "AzureWebJobsStorage" not in values
    assert [name for name, value in values.items() if "=" in value or len(value) > 40] == []


def test_paths_of_the_erp_hold_wherever_the_host_runs(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = instance_environment(place.data_dir, base={"ROUTING_PROFILE": "own.yaml", "ROUTING_SOURCE": "export"})
    assert (made["ROUTING_PROFILE"], made["ROUTING_SOURCE"]) == (str(tmp_path / "own.yaml"), str(tmp_path / "export"))
    shipped = instance_environment(place.data_dir, base={"ROUTING_PROFILE": "demo"})
    assert shipped["ROUTING_PROFILE"] == "demo"
    assert "ROUTING_SOURCE" not in shipped


def test_every_function_of_the_app_has_its_role() -> None:
    code = (
        "import json, function_app\n"
        "print(json.dumps({f.get_function_name(): f.get_trigger().type for f in function_app.app.get_functions()}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    triggers = json.loads(answer.stdout)
    background = {name for name, trigger in triggers.items() if trigger != "httpTrigger"}
    assert background == BACKGROUND_FUNCTIONS
    assert len(disabling_settings("inference", triggers)) == len(background)
    assert len(disabling_settings("training", triggers)) == len(triggers) - len(background)
    assert disabling_settings("all", triggers) == {}
    assert disabling_settings("inference", triggers)["AzureWebJobs.sweep.Disabled"] == "true"


def test_core_tools_are_chosen_only_with_their_bundle(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, bundles = tmp_path / "programs", tmp_path / "bundles"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [choice.name for choice in host_choices("auto", place, 1, "127.0.0.1")] == ["embedded host (funchost)"]
    (programs / "func").write_text("#!/bin/sh\necho 4.9.0\n")
    (programs / "func").chmod(0o755)
    only = host_choices("auto", place, 1, "127.0.0.1")
    assert len(only) == 1
    assert "extension bundle" in only[0].why
    with pytest.raises(SetupProblem, match="extension bundle"):
        host_choices("core-tools", place, 1, "127.0.0.1")
    (bundles / BUNDLE / "4.17.0").mkdir(parents=True)
    monkeypatch.setenv(BUNDLE_PATH_SETTING, str(bundles))
    first, second = host_choices("auto", place, 7099, "127.0.0.1")
    assert first.command == ("func", "start", "--port", "7099", "--enableAuth", "--offline")
    assert "not ready in 30 seconds" in second.why
    assert [choice.why for choice in host_choices("embedded", place, 1, "127.0.0.1")] == ["as asked"]


def test_the_line_to_try_is_a_prediction_where_there_is_an_item() -> None:
    line = first_command("http://127.0.0.1:7071", "A-1")
    assert line.endswith("""-d '{"items": [{"item_code": "A-1"}]}'""")
    assert first_command("http://127.0.0.1:7071", None) == "curl http://127.0.0.1:7071/api/health"


NPM_SAYS = """
npm error code EUSAGE
npm error
npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.
npm error Run "npm help ci" for more info
npm error A complete log of this run can be found in: /home/somebody/.npm/_logs/debug-0.log
"""
PIP_SAYS = """
Looking in links: /wheels
ERROR: Could not find a version that satisfies the requirement one==1 (from versions: none)
ERROR: No matching distribution found for one==1
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (NPM_SAYS, "`npm ci` can only install packages when your package.json and package-lock.json are in sync"),
        ("npm error code E404\nnpm error 404 Not Found: one@1\n", "404 Not Found: one@1"),
        (PIP_SAYS, "No matching distribution found for one==1"),
        ("something else\nwent wrong\n", "went wrong"),
        ("npm error code E1\n", "npm error code E1"),
        ("", "exit code 1"),
    ],
)
def test_what_a_tool_says_of_its_failure_is_told_in_its_most_telling_line(said: str, told: str) -> None:
    assert last_error(subprocess.CompletedProcess(["tool"], 1, said)) == told
