"""A day of the product, on which every function of the app does what it is for; what is seen of it is comparable."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.app_sides import Answer, Side
from tests.conformance.hosts import eventually

REASON = {"reason": "for a test"}
ENDED = {"succeeded", "failed", "skipped", "cancelled", "rejected", "pending"}
COPIES: dict[str, Any] = {
    "model_version": "v7",
    "items": [
        {"item_code": "N-1", "quantity": 12.0, "operations": [
            {"sequence": 10, "operation_code": "SAW", "operation_name": "Saw", "resource_code": "R1", "inside": True,
             "setup_minutes": 0.25, "run_minutes_per_unit": 2.5, "wait_minutes": 0.0, "move_minutes": 1.0,
             "queue_minutes": 0.0},
        ]},
    ],
}  # fmt: skip
_ID = re.compile(
    r"rml_[A-Za-z0-9_-]+|20\d{6}[-_]\d{6}(?:_[0-9a-f]{6,8})?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![.\d])[0-9a-f]{12,}"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?")
_DURATION = re.compile(r"(_ms|_sec|seconds|_age|hours|percent|bytes)$")
# Of the process, and of its Python, which are not the same.
_ITS_OWN = re.compile(r"made with (?:python|hnswlib) [^;]*(?:; )?|(?<=begins on ).*")


class Telling:
    """Goes through the day on one side and keeps what is seen, without ids, times and durations."""

    def __init__(self, side: Side, key: str, auditor_key: str, version: str, package: Path) -> None:
        self.side = side
        self.seen: list[tuple[str, Any]] = []
        self.asked: set[str] = set()
        self._key, self._auditor_key = key, auditor_key
        self._version, self._package = version, package  # what serves; what is dropped as the version `second`

    def see(self, function: str, *, whole: bool = True, status: int = 200, **words: Any) -> Answer:
        """Ask and keep the answer; not `whole` keeps its status and headers, where the text is a process's own."""
        answer = self.side.ask(function, **words)
        assert answer.status == status, (self.side.name, function, answer.status, answer.body[:2000])
        facts = answer.facts()
        if not whole:
            del facts["body"]
        self.asked.add(function)
        self.seen.append((function, self._plain(facts)))
        return answer

    def work_off(self, queue: str, function: str) -> None:
        """Let a queue's messages be worked off."""
        self.asked.add(function)
        self.side.work_off(queue, function)

    def fire(self, function: str) -> None:
        """Fire a timer."""
        self.asked.add(function)
        self.side.fire(function)

    def drop(self, path: str, manifest: bytes) -> None:
        """Drop a package's manifest and let the package be registered."""
        self.asked.add("notice_model_package")
        self.side.drop(path, manifest, "notice_model_package")
        self.work_off("model-registrations", "register_model")

    def bury(self, queue: str, function: str) -> None:
        """Let a message be buried that nobody could read."""
        self.side.send(queue, f"no doorbell for {function}")
        self.work_off(queue, function)

    def ended(self, function: str, row_id: str) -> None:
        """Wait until a row's work has ended."""

        def has_ended() -> bool:
            return self.side.ask(function, params={"id": row_id}).document["state"] in ENDED

        assert eventually(has_ended, seconds=60), self.side.ask(function, params={"id": row_id}).body

    def serves(self, version: str) -> None:
        """Wait until a version answers."""
        assert eventually(
            lambda: self.side.ask("get_readiness").document.get("model_version") == version, seconds=60, every=0.2
        ), (self.side.name, version)

    def _plain(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._plain(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            plain = [self._plain(inner, name) for inner in value]
            return [inner for inner, before in zip(plain, value, strict=True) if inner != "" or before == ""]
        if isinstance(value, float):
            return "<measured>" if _DURATION.search(name) else float(f"{value:.6g}")
        if isinstance(value, int) and not isinstance(value, bool) and _DURATION.search(name):
            return "<measured>"
        if isinstance(value, str):
            return _TIME.sub("<time>", _ID.sub("<id>", _ITS_OWN.sub("", value)))
        return value

    def whole_day(self) -> None:
        """Tell all of it."""
        for part in (
            self._look_around, self._predict, self._let_people_in, self._configure, self._read_the_erp, self._measure,
            self._train, self._take_a_package, self._bury_and_mend,
        ):  # fmt: skip
            part()

    def _look_around(self) -> None:
        self.see("get_liveness")
        self.serves(self._version)
        self.see("get_readiness")
        self.see("get_health", whole=False)
        self.see("get_openapi")
        self.see("get_docs")
        self.see("get_metrics", whole=False)
        self.see("wrong_address", params={"path": "api/nothing/here"}, status=404)
        self.side.ask("get_page", params={"path": "index.html"})
        self.asked.add("get_page")
        item = self.see("list_items", query={"limit": "3"}).document["items"][0]["item_code"]
        for function in ("get_item", "list_item_orders"):
            self.see(function, params={"item_code": item})
        self.see("get_similar_items", params={"item_code": item}, query={"k": "3"})
        self.see("list_operations", query={"limit": "5"})
        self.see("list_attributes")
        self.see("list_models")
        self.see("get_active_model")
        version = {"version": self._version}
        for function in ("get_model", "get_model_bom", "get_model_lineage", "verify_model"):
            self.see(function, params=version)
        self.see("list_snapshots")
        self.see("get_data_quality")

    def _predict(self) -> None:
        items = [{"item_code": row["item_code"]} for row in self.side.ask("list_items").document["items"][:2]]
        asked = {"items": items, "quantity": 20, "as_if_unknown": True}
        prediction = self.see("predict_routings", body=asked).document["prediction_id"]
        place = {"id": prediction}
        self.see("get_prediction", params=place)
        self.see("get_prediction_export", params={**place, "export": "export.csv"})
        decision = {"item_code": items[0]["item_code"], "outcome": "accepted", "reason": "it fits"}
        self.see("decide_prediction", params=place, body=decision, status=201)
        self.see("list_decisions")
        operations = [{"setup_minutes": 10, "run_minutes_per_unit": 2.5}, {"setup_minutes": 5}]
        self.see("summarise_times", body={"operations": operations, "quantity": 8, "include_breakdown": True})
        exported = self.see("export_routings", params={"form": "csv"}, body=COPIES)
        self.see("import_routings", body=exported.body)

    def _let_people_in(self) -> None:
        made = self.see("make_api_key", body={"user": "kim", "role": "planner"}, status=201).document
        rotated = self.see("rotate_api_key", params={"id": made["id"]}, body={"grace_hours": 1}, status=201).document
        self.see("revoke_api_key", params={"id": rotated["id"]})
        self.see("list_api_keys", query={"user": "kim"})
        begun = self.see("begin_session", body={"key": self._key}, status=201)
        cookie = {"cookie": begun.cookies[0], "x-api-key": ""}
        self.see("get_session", headers=cookie)
        self.see("end_session", headers=cookie, status=204)

    def _configure(self) -> None:
        self.see("get_configuration")
        self.see("change_configuration", body={"quality": {"sample_size": 20}})
        self.see("list_configuration_history")
        self.see("clear_caches", body=REASON)

    def _read_the_erp(self) -> None:
        extract = self.see("request_snapshot", body={"reason": "now"}, status=202).document["id"]
        self.work_off("extracts", "run_extract")
        self.ended("get_extract", extract)
        self.see("get_extract", params={"id": extract})
        self.fire("start_extract")
        self.work_off("extracts", "run_extract")
        self.see("list_extracts")

    def _measure(self) -> None:
        cycle = self.see("request_quality_cycle", body={"sample_size": 10, "seed": 1}, status=202).document["id"]
        self.work_off("quality-cycles", "run_quality_cycle")
        self.ended("get_quality_cycle", cycle)
        self.see("get_quality_cycle", params={"id": cycle})
        self.see("get_quality_report", params={"id": cycle, "report": "report.csv"})
        self.fire("start_quality_cycle")
        self.work_off("quality-cycles", "run_quality_cycle")
        self.see("list_quality_cycles", whole=False)  # the timer's has drawn another sample

    def _train(self) -> None:
        """A scheduled refit of data that the model has learned from reads the ERP, and ends there."""
        self.fire("start_training")
        self.work_off("retraining", "retrain_model")
        job = self.side.ask("list_training_jobs").document["items"][0]["id"]
        self.ended("get_training_job", job)
        self.see("get_training_job", params={"id": job})
        self.see("get_training_log", params={"id": job})
        self.see("list_training_jobs")
        asked = self.side.ask("request_training").document["id"]  # a host that listens may have begun it already
        self.asked.add("request_training")
        self.see("cancel_training_job", whole=False, params={"id": asked}, status=202)
        self.work_off("retraining", "retrain_model")
        self.ended("get_training_job", asked)

    def _take_a_package(self) -> None:
        for file in sorted(self._package.iterdir()):
            if file.name != "manifest.json":
                self.side.put(f"model-drop/second/{file.name}", file.read_bytes())
        self.drop("model-drop/second/manifest.json", (self._package / "manifest.json").read_bytes())
        self.see("list_registrations")
        second, third = {"version": "second"}, {"version": "third"}
        self.see("activate_model", params=second, body=REASON)
        self.serves("second")
        self.see("rollback_model", body=REASON)
        self.serves(self._version)
        self.see("pin_model", params=second, body=REASON)
        self.see("unpin_model", params=second, body=REASON)
        self.see("reject_model", params=third, body=REASON)
        self.see("remove_model", params=third, body=REASON)

    def _bury_and_mend(self) -> None:
        buried = {
            "extracts-poison": "bury_extract", "model-registrations-poison": "bury_registration",
            "quality-cycles-poison": "bury_quality_cycle", "retraining-poison": "bury_retraining",
            "webjobs-blobtrigger-poison": "bury_blob",
        }  # fmt: skip
        for queue, function in buried.items():
            self.bury(queue, function)
        self._replay_a_rejected_package()
        alerts = self.see("list_alerts").document["items"]
        self.see("get_alert", params={"id": alerts[0]["id"]})
        self.see("acknowledge_alert", params={"id": alerts[0]["id"]})
        self.see("close_alert", params={"id": alerts[0]["id"]}, body={"note": "mended"})
        self.fire("sweep")
        self.see("list_log_lines", whole=False)
        self.see("download_log", whole=False)
        self.see("list_audit", whole=False, query={"limit": "5"}, headers={"x-api-key": self._auditor_key})

    def _replay_a_rejected_package(self) -> None:
        self.drop("model-drop/broken/manifest.json", b"{}")
        registration = self.side.ask("list_registrations").document["items"][0]["id"]
        self.side.send("model-registrations-poison", json.dumps({"id": registration}))
        self.work_off("model-registrations-poison", "bury_registration")
        buried = self.see("list_poison").document["items"][0]["id"]
        self.see("replay_poison", params={"id": buried})
        self.work_off("model-registrations", "register_model")
        self.see("list_registrations")


def differences(theirs: list[tuple[str, Any]], ours: list[tuple[str, Any]]) -> list[str]:
    """Return where two tellings differ, by function and place within its answer."""
    found = [] if [name for name, _ in theirs] == [name for name, _ in ours] else ["they asked for different things"]
    for (function, their), (_, our) in zip(theirs, ours, strict=False):
        _compare(function, their, our, found)
    return found


def _compare(place: str, their: Any, our: Any, found: list[str]) -> None:
    if isinstance(their, Mapping) and isinstance(our, Mapping):
        for name in sorted({*their, *our}, key=str):
            _compare(f"{place}.{name}", their.get(name), our.get(name), found)
    elif isinstance(their, list) and isinstance(our, list) and len(their) == len(our):
        for number, (one, other) in enumerate(zip(their, our, strict=True)):
            _compare(f"{place}[{number}]", one, other, found)
    elif their != our:
        found.append(f"{place}: {their!r:.300} there, {our!r:.300} here")
