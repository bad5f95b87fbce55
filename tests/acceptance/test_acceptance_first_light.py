"""A stranger's first five minutes, from `up` to a version that was retrained, dropped, refused, killed and restored."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from launcher.environment import with_recorded_storage
from tests.acceptance.acceptance_chaos_support import Drops
from tests.acceptance.acceptance_support import RunningInstance, eventually
from tests.cli.conftest import run_here

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

FINAL = {"succeeded", "failed", "cancelled", "skipped"}


def _ended(instance: RunningInstance, path: str) -> dict[str, Any] | None:
    row = instance.get(path)
    return row if row["state"] in FINAL else None


def _a_made_item(instance: RunningInstance) -> str:
    """An item with routings and work orders, as a planner would pick one."""
    for row in instance.get("items?limit=200")["items"]:
        item = instance.get(f"items/{row['item_code']}")
        if item["routings"] and item["work_orders"] >= 3:
            return str(row["item_code"])
    raise AssertionError("no made item among the first 200")


def test_the_line_that_up_prints_gives_a_routing_with_times_and_evidence(newcomer: RunningInstance) -> None:
    line = eventually(lambda: next((text for text in newcomer.lines() if text.startswith("curl ")), None), 60)
    done = subprocess.run([*shlex.split(line), "-s"], capture_output=True, text=True, timeout=30, check=True)
    answer = json.loads(done.stdout)
    candidate = answer["predictions"][0]["candidates"][0]
    assert answer["model_version"]
    assert candidate["operations"]
    first = candidate["operations"][0]
    assert first["optimistic_minutes"] <= first["order_minutes"]["value"] <= first["safe_minutes"]
    assert candidate["evidence"] or first["evidence"]


def test_an_item_is_predicted_as_if_it_were_unknown(newcomer: RunningInstance) -> None:
    code = _a_made_item(newcomer)
    known = newcomer.predict(code).json()["predictions"][0]
    unknown = newcomer.predict(code, as_if_unknown=True).json()["predictions"][0]
    assert known["candidates"][0]["source"] == "erp"
    assert all(candidate["source"] == "predicted" for candidate in unknown["candidates"])
    supporters = {near["item_code"] for candidate in unknown["candidates"] for near in candidate["evidence"]}
    assert code not in supporters


def test_an_unknown_code_leaves_the_others_answered(newcomer: RunningInstance) -> None:
    code = _a_made_item(newcomer)
    body = {"items": [{"item_code": "NO-SUCH-ITEM"}, {"item_code": code}]}
    answer = httpx.post(f"{newcomer.address}/api/predictions", json=body, timeout=30)
    assert answer.status_code == 200
    assert [p["status"] for p in answer.json()["predictions"]] == ["unknown_item", "ok"]
    assert answer.headers["x-model-version"] == answer.json()["model_version"]


def test_the_quality_cycle_fired_by_hand_measures_and_says_how_many(newcomer: RunningInstance) -> None:
    before = newcomer.get("quality/cycles")["total"]
    newcomer.fire("start_quality_cycle")
    eventually(lambda: newcomer.get("quality/cycles")["total"] > before)
    cycle_id = newcomer.get("quality/cycles")["items"][0]["id"]
    cycle = eventually(lambda: _ended(newcomer, f"quality/cycles/{cycle_id}"))
    assert cycle["state"] == "succeeded", cycle
    assert cycle["evaluated"] > 0
    mae = cycle["metrics"]["overall"]["mae"]
    assert mae["n"] > 0
    assert mae["low"] <= mae["value"] <= mae["high"]
    for form in ("json", "csv", "md", "html"):
        report = httpx.get(f"{newcomer.address}/api/quality/cycles/{cycle_id}/report.{form}", timeout=30)
        assert report.status_code == 200
        assert report.content


def test_a_posted_job_ends_as_a_pending_version_and_serves_once_activated(demo: RunningInstance) -> None:
    job = demo.post("training/jobs", {"kind": "refit"})
    ended = eventually(lambda: _ended(demo, f"training/jobs/{job['job_id']}"))
    assert ended["state"] == "succeeded", ended
    version = ended["model_version"]
    assert version, ended["result"]
    assert demo.get(f"models/{version}")["state"] == "pending"
    demo.post(f"models/{version}/activate", {"reason": "acceptance"}, status=200)
    code = _a_made_item(demo)
    eventually(lambda: demo.predict(code).json()["model_version"] == version, 60)
    assert demo.get(f"models/{version}/lineage")["job_id"] == job["job_id"]
    demo.post("models/rollback", {"reason": "acceptance"}, status=200)
    eventually(lambda: demo.predict(code).json()["model_version"] != version, 60)


@pytest.fixture(scope="module")
def package(demo: RunningInstance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete signed package, made on the command line and registered nowhere."""
    folder = tmp_path_factory.mktemp("packages") / "package"
    done = demo.manage("train", "--output", str(folder), "--label", "dropped-one", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "manifest.json").exists()
    assert all(row["version"] != "dropped-one" for row in demo.get("models")["items"])
    return folder


def _drop(demo: RunningInstance, folder: Path, version: str) -> None:
    """Upload as any Azure SDK client would, the manifest last."""
    connection = demo.manage("storage", "connection-string").stdout.strip()
    with BlobServiceClient.from_connection_string(connection) as client:
        container = client.get_container_client("model-drop")
        if not container.exists():
            container.create_container()
        files = sorted((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.name == "manifest.json")
        for file in files:
            name = f"{version}/{file.relative_to(folder).as_posix()}"
            container.upload_blob(name, file.read_bytes(), overwrite=True)


def _registration(demo: RunningInstance, version: str) -> dict[str, Any] | None:
    rows = [r for r in demo.get("registrations")["items"] if r["version"] == version]
    return rows[0] if rows and rows[0]["state"] in {"installed", "rejected"} else None


def test_a_dropped_package_ends_pending(demo: RunningInstance, package: Path) -> None:
    _drop(demo, package, "dropped-one")
    row = eventually(lambda: _registration(demo, "dropped-one"))
    assert row["state"] == "installed", row
    assert demo.get("models/dropped-one")["state"] == "pending"
    assert (demo.data_dir / "models" / "dropped-one" / "manifest.json").exists()


def test_a_dropped_package_with_a_wrong_hash_is_rejected_with_the_reason(
    demo: RunningInstance, package: Path, tmp_path: Path
) -> None:
    tampered = tmp_path / "tampered"
    shutil.copytree(package, tampered)
    victim = tampered / "feature_weights.json"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    # Another version name needs another signed manifest: the same drop under its own name stays another registration.
    manifest = (tampered / "manifest.json").read_bytes().replace(b'"dropped-one"', b'"dropped-two"')
    (tampered / "manifest.json").write_bytes(manifest)
    _drop(demo, tampered, "dropped-two")
    row = eventually(lambda: _registration(demo, "dropped-two"))
    assert row["state"] == "rejected"
    assert "signature" in row["error"].lower()
    assert not (demo.data_dir / "models" / "dropped-two").exists()


def test_one_flipped_byte_in_a_truly_signed_package_is_rejected(demo: RunningInstance, package: Path) -> None:
    version, folder = Drops(demo, package).next()
    victim = folder / "encoder.joblib"
    content = bytearray(victim.read_bytes())
    content[-20] ^= 1
    victim.write_bytes(content)
    _drop(demo, folder, version)
    row = eventually(lambda: _registration(demo, version))
    assert row["state"] == "rejected"
    assert "encoder.joblib" in row["error"]
    assert not (demo.data_dir / "models" / version).exists()


def test_a_manifest_that_is_not_json_is_rejected(demo: RunningInstance, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "manifest.json").write_text("this is not JSON")
    _drop(demo, folder, "broken")
    row = eventually(lambda: _registration(demo, "broken"))
    assert row["state"] == "rejected"
    assert "JSON" in row["error"]


def test_a_cleared_cache_reloads_the_model_in_every_process_and_costs_no_answer(demo: RunningInstance) -> None:
    code = _a_made_item(demo)
    before = demo.get("health")["parts"]["model"]["loaded_at"]
    done = demo.manage("cache", "clear", "--reason", "acceptance", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model" in json.loads(done.stdout)["caches"]

    def reloaded() -> bool:
        assert demo.predict(code).status_code == 200
        return bool(demo.get("health")["parts"]["model"]["loaded_at"] > before)

    eventually(reloaded, 60)
    asked = 1

    def followed_beside_http() -> bool:
        """Each asked for once by HTTP and told by it once: whatever is told more often, the event worker tells."""
        nonlocal asked
        asked += 1
        demo.post("caches/clear", {"reason": "acceptance", "caches": ["drops"]}, status=200)
        demo.fire("sweep")
        time.sleep(0.5)
        return sum('"caches.cleared"' in line for line in demo.log_lines()) > asked

    eventually(followed_beside_http, 60)


def test_a_message_that_is_no_job_ends_buried_with_its_reason(demo: RunningInstance) -> None:
    connection = demo.manage("storage", "connection-string").stdout.strip()
    with QueueClient.from_connection_string(
        connection, "retraining", message_encode_policy=TextBase64EncodePolicy()
    ) as queue:
        queue.send_message("not a job")
    buried = eventually(lambda: [p for p in demo.get("poison")["items"] if p["body"] == "not a job"])
    assert len(buried) == 1
    assert "JSON" in buried[0]["reason"]
    assert any(alert["kind"] == "poison-message" for alert in demo.get("alerts?state=open")["items"])


def test_everything_killed_and_started_again_has_lost_and_doubled_nothing(demo: RunningInstance) -> None:
    job = demo.post("training/jobs", {"kind": "refit", "label": "after-the-cut"})
    eventually(lambda: demo.get(f"training/jobs/{job['job_id']}")["state"] == "running")
    versions = {row["version"] for row in demo.get("models?limit=500")["items"]}
    active = demo.get("models/active")["version"]
    cycles = demo.get("quality/cycles")["total"]
    demo.kill_everything()
    demo.up()
    assert demo.get("models/active")["version"] == active
    assert demo.get("quality/cycles")["total"] == cycles
    ended = eventually(lambda: _ended(demo, f"training/jobs/{job['job_id']}"))
    assert ended["state"] == "succeeded", ended
    after = [row["version"] for row in demo.get("models?limit=500")["items"]]
    assert len(after) == len(set(after))
    assert set(after) == versions | {"after-the-cut"}
    assert sum(row["state"] == "active" for row in demo.get("models?limit=500")["items"]) == 1


def test_a_second_up_on_the_same_data_says_that_it_runs_already(demo: RunningInstance) -> None:
    done = demo.manage("up", "--port", str(demo.port), "--storage-port", str(demo.storage_port))
    assert done.returncode != 0
    assert re.search(r"already running", done.stdout + done.stderr)
    assert demo.predict(_a_made_item(demo)).status_code == 200


def test_every_command_of_the_command_line_speaks_json(demo: RunningInstance) -> None:
    started = demo.manage("predict", _a_made_item(demo), "--json")  # the others run in this process, to be quicker
    assert started.returncode == 0, (started.stdout, started.stderr)
    assert json.loads(started.stdout)["predictions"][0]["status"] == "ok"
    environment = with_recorded_storage({"ROUTING_DATA_DIR": str(demo.data_dir)})
    for words in (
        ("quality", "run", "--sample-size", "20"),
        ("quality", "list"),
        ("models", "list"),
        ("models", "verify", demo.get("models/active")["version"]),
        ("jobs", "list"),
        ("data", "quality"),
        ("data", "snapshots"),
        ("keys", "list"),
        ("settings",),
    ):
        done = run_here(environment, *words, "--json")
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        json.loads(done.stdout)


assert sys.platform.startswith("linux"), "these tests read /proc"
