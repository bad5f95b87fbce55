"""The log file stays bounded while several processes write it, and no line is lost or torn."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

WRITERS, LINES = 3, 400
WRITER = """
import json, sys, time
from pathlib import Path
from funchost.logfile import LogFile

path, number, lines, moves = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[2] == "0"
log = LogFile(path)
log.take_over()
if moves:
    log.keep_bounded(20_000, 99, every_seconds=0.01)
else:
    log.follow(every_seconds=0.01)
sys.stdout.reconfigure(line_buffering=True)
for line in range(lines):
    filler = "x" * (20_000 if line % 50 == 0 else 60)
    sys.stdout.write(json.dumps({"writer": number, "line": line, "filler": filler}) + "\\n")
    time.sleep(0.001)
"""


def test_processes_that_write_one_log_lose_and_tear_no_line(tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(number), str(LINES)]) for number in range(WRITERS)
    ]
    assert [writer.wait(60) for writer in running] == [0] * WRITERS
    files = sorted(tmp_path.iterdir(), key=lambda file: int(file.suffix.removeprefix(".").replace("log", "0")))
    assert len(files) > 5
    seen: dict[str, list[int]] = {}
    for file in reversed(files):
        for text in file.read_text().splitlines():
            line = json.loads(text)
            seen.setdefault(line["writer"], []).append(line["line"])
    assert seen == {str(number): list(range(LINES)) for number in range(WRITERS)}


@pytest.mark.azurite
def test_a_host_keeps_its_log_bounded_and_its_workers_follow(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "host.log"
    host = workshop.start(
        workshop.write(
            """
            @app.route(route="say")
            def say(req: func.HttpRequest) -> func.HttpResponse:
                print(json.dumps({"said": req.params["what"]}), flush=True)
                return func.HttpResponse("said")
            """
        ),
        settings={
            "FUNCHOST_LOG_FILE": str(log),
            "FUNCHOST_LOG_FILE_MAX_BYTES": "2000",
            "FUNCHOST_LOG_FILES_KEPT": "1",
        },
        ready=False,
    )
    ready = eventually(lambda: log.exists() and [text for text in log.read_text().splitlines() if "host.ready" in text])
    host.url = json.loads(ready[0])["url"]
    for round_number in range(2):
        for number in range(12):
            assert host.get(f"/api/say?what={round_number}-{number}").text == "said"
        assert eventually(partial(_is_without, log, f'"said": "{round_number}-0"'), seconds=15)
    assert eventually(lambda: host.get("/api/say?what=end").text and '"said": "end"' in log.read_text(), seconds=5)
    assert sorted(file.name for file in log.parent.iterdir()) == ["host.log", "host.log.1"]
    for file in log.parent.iterdir():
        assert all(json.loads(text) for text in file.read_text().splitlines())
    assert host.log_text() == ""
    assert host.stop() == 0
    refused = workshop.start(host.app_dir, settings={"FUNCHOST_LOG_FILE": str(log / "below")}, ready=False)
    assert refused.process.wait(20) == 1
    assert "FUNCHOST_LOG_FILE" in refused.log_text()


def _is_without(path: Path, text: str) -> bool:
    return path.exists() and text not in path.read_text()
