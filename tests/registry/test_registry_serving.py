"""Serving: the active version answers, exchanges happen beside the requests, a bad version changes nothing."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.database.configuration import ConfigurationStore
from shared.database.tables import VersionState
from shared.errors import NoActiveModel, PackageRejected
from shared.prediction.answers import ItemQuery, Status
from shared.prediction.model import RoutingModel
from shared.registry.serving import ALERT_KIND, Serving
from shared.settings import PROJECT_DIR
from tests.registry.registry_support import Instance

POLL_SECONDS = 0.05


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Return after how many seconds `condition` held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - started


def activate(instance: Instance, *versions: str) -> None:
    for version in versions:
        instance.install(version)
        instance.lifecycle.activate(version, actor="test", reason="a test")


def damage(instance: Instance, version: str) -> None:
    path = instance.store.folder(version) / "metrics.json"
    path.write_bytes(path.read_bytes() + b" ")


def alerts(instance: Instance) -> list[tuple[str, int]]:
    return [(alert.subject, alert.count) for alert in instance.alerts.list(state="open", kind=ALERT_KIND)[0]]


def test_without_an_active_version_the_error_says_what_to_do(instance: Instance) -> None:
    with pytest.raises(NoActiveModel) as caught:
        instance.serving.active()
    assert "manage.py" in str(caught.value.remedy)
    assert instance.serving.status()["ready"] is False


def test_the_active_version_is_loaded_at_its_first_use(instance: Instance, model: RoutingModel) -> None:
    activate(instance, "first")
    served = instance.serving.active()
    assert served.version == "first"
    assert instance.serving.active() is served
    query = ItemQuery(item_code=model.search_items("", limit=1, offset=0)[0][0]["item_code"])
    assert served.model.predict([query]) == model.predict([query])
    status = instance.serving.status()
    assert (status["active_version"], status["serving_version"]) == ("first", "first")
    assert status["manifest_check"] == "passed"
    assert status["watching"] is False
    json.dumps(status)


def test_the_watcher_follows_activation_and_rollback(instance: Instance) -> None:
    activate(instance, "first")
    instance.serving.start()
    assert instance.serving.ensure_loaded(5).version == "first"
    held = instance.serving.active()
    activate(instance, "second")
    wait_for(lambda: instance.serving.active().version == "second", 5)
    assert held.version == "first", "a request that began before keeps its model"
    instance.lifecycle.rollback(actor="test", reason="back")
    wait_for(lambda: instance.serving.active().version == "first", 5)


def test_requests_never_fail_and_never_see_two_versions_while_versions_change(
    instance: Instance, model: RoutingModel
) -> None:
    activate(instance, "first", "second")
    instance.serving.start()
    instance.serving.ensure_loaded(5)
    query = ItemQuery(item_code=model.search_items("", limit=1, offset=0)[0][0]["item_code"])
    expected = model.predict([query])
    stop, faults, seen = threading.Event(), list[BaseException](), set[str]()

    def ask() -> None:
        try:
            while not stop.is_set():
                served = instance.serving.active()
                assert served.model.predict([query]) == expected
                assert served.manifest.version == served.version
                seen.add(served.version)
                time.sleep(0.005)
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for number in range(3):
        wanted = ("first", "second")[number % 2]
        instance.lifecycle.activate(wanted, actor="test", reason="to and fro")
        wait_for(lambda wanted=wanted: instance.serving.active().version == wanted)  # type: ignore[misc]
    stop.set()
    for client in clients:
        client.join()
    assert faults == []
    assert seen == {"first", "second"}


def test_a_broken_new_version_leaves_the_old_one_serving_and_alerts_once(instance: Instance) -> None:
    activate(instance, "first")
    instance.serving.ensure_loaded(1)
    activate(instance, "second")
    damage(instance, "second")
    instance.serving.start()
    wait_for(lambda: instance.serving.status()["last_error"] is not None)
    time.sleep(POLL_SECONDS * 8)
    assert instance.serving.active().version == "first"
    assert alerts(instance) == [("second", 1)]
    status = instance.serving.status()
    assert status["manifest_check"] == "failed"
    assert (status["active_version"], status["serving_version"]) == ("second", "first")


def test_the_alert_closes_when_a_good_version_serves_again(instance: Instance) -> None:
    activate(instance, "first")
    instance.serving.ensure_loaded(1)
    activate(instance, "second")
    damage(instance, "second")
    instance.serving.refresh()
    assert alerts(instance) == [("second", 1)]
    instance.lifecycle.rollback(actor="test", reason="back")
    instance.serving.refresh()
    assert alerts(instance) == []
    assert instance.serving.status()["last_error"] is None


def test_a_process_that_starts_on_a_broken_version_says_which(instance: Instance) -> None:
    activate(instance, "first")
    damage(instance, "first")
    with pytest.raises(NoActiveModel, match="first") as caught:
        instance.serving.active()
    assert "rollback" in str(caught.value.remedy)


def test_a_repaired_version_is_served_without_another_activation(instance: Instance) -> None:
    activate(instance, "first")
    path = instance.store.folder("first") / "metrics.json"
    good = path.read_bytes()
    path.write_bytes(b"{}")
    instance.serving.start()
    wait_for(lambda: instance.serving.status()["last_error"] is not None)
    path.write_bytes(good)
    assert instance.serving.ensure_loaded(10).version == "first"
    assert alerts(instance) == []


def test_waiting_for_a_model_ends_in_time(instance: Instance) -> None:
    started = time.monotonic()
    with pytest.raises(NoActiveModel):
        instance.serving.ensure_loaded(0.3)
    assert 0.3 <= time.monotonic() - started < 3


FOLLOW = """
import sys, time
from shared.database.alerts import Alerts
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.registry.serving import Serving
from shared.settings import Settings

settings = Settings(active_poll_seconds=0.05)
engine = make_engine(settings.database)
serving = Serving(settings, ModelVersions(engine), Alerts(engine))
serving.start()
last = None
while True:
    loaded = serving.loaded()
    if loaded is not None and loaded.version != last:
        last = loaded.version
        print(f"<serves {last}>\\n", end="", flush=True)  # in one piece
    time.sleep(0.02)
"""


class Follower:
    """A process that serves what one data directory says is active, and tells each version that it comes to serve."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FOLLOW], cwd=PROJECT_DIR,
            env={name: value for name, value in os.environ.items() if not name.startswith("ROUTING_")}
            | {"ROUTING_DATA_DIR": str(data_dir)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        self.told: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            self.told += re.findall(r"<serves (\S+)>", line)  # a log line of another thread may stand around it

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_several_processes_follow_one_registry_and_stay_with_what_serves_where_the_next_is_broken(
    instance: Instance,
) -> None:
    for version in ("first", "second", "third"):
        instance.install(version)
    instance.lifecycle.activate("first", actor="test", reason="a test")
    followers = [Follower(instance.settings.data_dir) for _ in range(2)]
    try:

        def both_serve(*versions: str) -> bool:
            return all(follower.told == list(versions) for follower in followers)

        wait_for(lambda: both_serve("first"), 60)
        instance.lifecycle.activate("second", actor="test", reason="a test")
        wait_for(lambda: both_serve("first", "second"), 120)
        instance.lifecycle.rollback(actor="test", reason="a test")
        wait_for(lambda: both_serve("first", "second", "first"), 120)
        damage(instance, "third")
        instance.versions.transition("third", VersionState.ACTIVE, actor="test", reason="behind the checks' back")
        wait_for(lambda: len(alerts(instance)) == 1, 120)
        time.sleep(POLL_SECONDS * 20)
        assert both_serve("first", "second", "first")
        assert [subject for subject, _ in alerts(instance)] == ["third"]
        instance.lifecycle.activate("second", actor="test", reason="a test")
        wait_for(lambda: both_serve("first", "second", "first", "second"), 120)
    finally:
        for follower in followers:
            follower.end()
            sys.stdout.writelines(follower.said)  # where the test fails, this says why


def test_a_database_that_stays_away_is_logged_once_and_its_return_once(instance: Instance) -> None:
    with instance.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE model_versions RENAME TO elsewhere")
    try:
        with capture_logs() as logged:
            instance.serving.start()
            wait_for(lambda: bool(logged))
            time.sleep(POLL_SECONDS * 6)
            with instance.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO model_versions")
            wait_for(lambda: len(logged) > 1)
    finally:
        instance.serving.stop()
    assert [entry["event"] for entry in logged] == ["serving.poll_failed", "serving.poll_recovered"]
    assert "SELECT" not in logged[0]["error"]


def test_changed_feature_weights_and_thresholds_act_at_once_and_the_answer_says_so(instance: Instance) -> None:
    activate(instance, "first")
    store = ConfigurationStore(instance.engine)
    serving = Serving(instance.settings, instance.versions, instance.alerts, keys=instance.keys, configuration=store)
    fitted = serving.active().model
    codes = [fitted.knowledge.items.codes[place] for place in fitted.knowledge.routed[:20].tolist()]
    before = [[item.item_code for item in fitted.similar(code, 10)] for code in codes]
    heaviest = max(fitted.knowledge.encoder.weights, key=lambda name: fitted.knowledge.encoder.weights[name])
    store.patch({"prediction": {"feature_weights": {heaviest: 0.0}}}, "test")
    model = serving.active().model
    assert [[item.item_code for item in model.similar(code, 10)] for code in codes] != before
    for item in model.similar(codes[0], 10):
        assert heaviest not in {part["attribute"] for part in item.because}
        assert sum(part["contribution"] for part in item.because) == pytest.approx(item.similarity, abs=1e-4)
    [answer] = model.predict([ItemQuery(item_code=codes[0])], as_if_unknown=True)
    assert heaviest in str(answer.message)
    store.patch({"prediction": {"feature_weights": {heaviest: None}, "minimum_similarity": 1.0}}, "test")
    model = serving.active().model
    assert [[item.item_code for item in model.similar(code, 10)] for code in codes] == before
    [answer] = model.predict([ItemQuery(item_code=codes[0])], as_if_unknown=True)
    assert answer.status is Status.ABSTAINED


def test_a_change_made_by_another_process_is_followed(instance: Instance) -> None:
    activate(instance, "first")
    configuration = ConfigurationStore(instance.engine)
    serving = Serving(
        instance.settings, instance.versions, instance.alerts, keys=instance.keys, configuration=configuration
    )
    serving.start()
    try:
        assert serving.active().model.settings.medium_probability != 0.123
        ConfigurationStore(instance.engine).patch({"prediction": {"medium_probability": 0.123}}, "other")
        wait_for(lambda: serving.active().model.settings.medium_probability == 0.123)
    finally:
        serving.stop()


def test_a_reload_reads_the_folder_again_and_a_damaged_one_leaves_the_old_model_serving(instance: Instance) -> None:
    activate(instance, "first")
    before = instance.serving.active()
    instance.serving.refresh()
    assert instance.serving.active() is before
    instance.serving.reload()
    assert instance.serving.active() is before, "it answers until another one is loaded"
    instance.serving.refresh()
    again = instance.serving.active()
    assert (again.version, again.model is before.model) == ("first", False)
    instance.serving.refresh()
    assert instance.serving.active() is again, "once for one call"

    path = instance.store.folder("first") / "metrics.json"
    good = path.read_bytes()
    damage(instance, "first")
    instance.serving.reload()
    instance.serving.refresh()
    assert instance.serving.active() is again
    assert alerts(instance) == [("first", 1)]
    path.write_bytes(good)
    instance.serving.reload()  # ends the rest after a failure
    instance.serving.refresh()
    assert instance.serving.active() is not again
    assert alerts(instance) == []


def test_a_reload_is_left_to_a_successor_where_the_host_can_raise_one(instance: Instance) -> None:
    activate(instance, "first")
    host = Successors(instance)
    looks: list[None] = []
    instance.serving.start(host.ask, lambda: looks.append(None))
    assert looks, "what is to happen first at each look happens before the first one, too"
    before = instance.serving.ensure_loaded(5)
    instance.serving.reload()
    wait_for(lambda: host.raised is not None)
    assert host.raised is not None
    assert host.raised.active().version == "first"
    assert instance.serving.active() is before
    assert len(looks) > 1


class Successors:
    """A host that raises a successor whenever it is asked: another `Serving`, as another process would hold it."""

    def __init__(self, instance: Instance) -> None:
        self.wishes = 0
        self._instance = instance
        self.raised: Serving | None = None

    def ask(self) -> None:
        self.wishes += 1
        instance = self._instance
        successor = Serving(instance.settings, instance.versions, instance.alerts, keys=instance.keys)
        try:
            successor.take_over()
        except PackageRejected as fault:
            reason = str(fault)
            threading.Thread(target=instance.serving.note_failed_successor, args=(reason,)).start()
        else:
            self.raised = successor


def test_where_the_host_can_another_process_loads_the_next_version(instance: Instance) -> None:
    activate(instance, "first")
    host = Successors(instance)
    instance.serving.start(host.ask)
    instance.serving.ensure_loaded(5)
    assert host.wishes == 0, "the first version is loaded where it is asked for"
    activate(instance, "second")
    wait_for(lambda: host.raised is not None)
    assert host.raised is not None
    assert host.raised.active().version == "second"
    assert instance.serving.active().version == "first", "this process answers as it did until it has handed over"


def test_a_version_that_no_successor_can_load_alerts_once_and_is_tried_again(instance: Instance) -> None:
    activate(instance, "first")
    instance.serving.ensure_loaded(1)
    activate(instance, "second")
    path = instance.store.folder("second") / "metrics.json"
    good = path.read_bytes()
    damage(instance, "second")
    host = Successors(instance)
    instance.serving.start(host.ask)
    wait_for(lambda: host.wishes >= 2)
    assert alerts(instance) == [("second", 1)]
    assert instance.serving.active().version == "first"
    assert instance.serving.status()["last_error"] is not None
    path.write_bytes(good)
    wait_for(lambda: host.raised is not None)
    assert alerts(instance) == []


def test_nobody_can_take_over_with_no_version(instance: Instance) -> None:
    with pytest.raises(NoActiveModel):
        instance.serving.take_over()
