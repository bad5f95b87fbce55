"""The process that a training job computes in: `python -m shared.training.child SPEC.json`.

It runs at lower priority and leaves one core alone, so that predictions beside it stay fast, and it ends when the
worker that started it ends. On standard output it writes JSON lines: progress and messages, then one result or one
error. It touches nothing but the folder it was given; claiming, registering and deciding about retries is the
worker's part.
"""

from shared.cores import work_in_background
from shared.platform import die_with_parent, peak_memory_bytes

if __name__ == "__main__":
    die_with_parent()

import json
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict

from shared.configuration import Configuration
from shared.errors import RoutingError
from shared.logs import configure_logging

EXIT_ERROR = 1
MAX_MESSAGE = 1_000
_EVERY_EVENT = ("event", "level", "timestamp", "exception")


class JobSpec(BaseModel):
    """What the worker asks of its child."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    kind: str
    snapshot_folder: Path
    configuration: Configuration
    keys_folder: Path
    allow_unsigned: bool
    active_folder: Path | None
    parent: str | None
    version: str
    package_folder: Path


class _Lines:
    """JSON lines on the real standard output, whatever else prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = (-1.0, "")

    def write(self, **message: Any) -> None:
        self._stream.write(json.dumps(message, allow_nan=False) + "\n")
        self._stream.flush()

    def progress(self, percent: float, step: str) -> None:
        """Pass progress on, at most once a percent or a step."""
        if step != self._last[1] or percent >= self._last[0] + 1:
            self._last = (percent, step)
            self.write(progress=round(percent, 1), step=step)

    def hear(self, _logger: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass a logged event on as a line of the job's log; a processor of structlog."""
        facts = [f"{name}={value}" for name, value in event.items() if name not in _EVERY_EVENT]
        said = f"{event['event']} {' '.join(facts)}".strip()
        self.write(message=said[:MAX_MESSAGE], level=level)
        return event


def run(spec: JobSpec, lines: _Lines) -> dict[str, Any]:
    """Do the job's computing and return the result that the worker stores."""
    from shared.erp.snapshot import open_snapshot
    from shared.registry.signing import Keys
    from shared.registry.verify import verify_folder
    from shared.training.direct import train_now

    lines.progress(1.0, "opening the snapshot")
    snapshot = open_snapshot(spec.snapshot_folder)
    keys = Keys(spec.keys_folder)
    active = None
    if spec.active_folder is not None:
        lines.progress(2.0, "loading the active model")
        active = verify_folder(spec.active_folder, keys, allow_unsigned=spec.allow_unsigned).model
    trained = train_now(
        snapshot,
        spec.configuration,
        spec.package_folder,
        version=spec.version,
        keys=keys,
        kind=spec.kind,
        active=active,
        job_id=spec.job_id,
        parent=spec.parent,
        progress=lines.progress,
    )
    learned_from = {"snapshot_id": snapshot.id, "fingerprint": snapshot.fingerprint}
    return trained.as_json() | learned_from | {"peak_memory_bytes": peak_memory_bytes()}


def main(arguments: list[str]) -> int:
    """Read the specification, run the job, report; 0 when a result was written."""
    lines = _Lines(sys.stdout)
    sys.stdout = sys.stderr  # what a library prints must not end up between the JSON lines
    configure_logging(stream=sys.stderr, heard_by=lines.hear)
    work_in_background()
    try:
        spec = JobSpec.model_validate_json(Path(arguments[0]).read_bytes())
        lines.write(result=run(spec, lines))
    except RoutingError as error:
        lines.write(error={"code": error.code, "detail": str(error), "retryable": error.retryable})
        return EXIT_ERROR
    except MemoryError:
        lines.write(error={"code": "out-of-memory", "detail": "The training ran out of memory.", "retryable": True})
        return EXIT_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
