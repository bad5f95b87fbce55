"""One worker: reads a job's id a line, handles it as the queue function does, and answers which messages follow.

The answer is a line of ids: bells that the product rang, and the message itself where its handling ended in an error.

`python -m benchmarks.deliveries.worker DATA_DIR DATABASE_URL small|whole`. A `whole` job is the product's own, with a
child that trains. A `small` one goes through the same claim, heartbeat, registration and end; only its computing takes
a few milliseconds, and its package is a version row of its own, so that doing it twice would leave two.
"""

import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from shared.clock import utc_now
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion
from shared.errors import RoutingError, SourceUnavailable
from shared.training.attempt import Attempt
from shared.training.jobs import TrainingJobs
from shared.training.supervision import Ending, Outcome
from tests.training.training_plant import Plant, open_plant

BREAKS = 0.05  # share of the small attempts that break off and come again
LONGEST_WORK_SECONDS = 0.02


class VersionRows:
    """Registers a package by its row alone, under a name that nothing else has."""

    def __init__(self, versions: ModelVersions) -> None:
        """Insert into the table of versions."""
        self._versions = versions

    def register_local(self, folder: Path, *, actor: str, reason: str) -> ModelVersion:
        """Insert the effect of the job `actor`."""
        row = ModelVersion(
            version=folder.name,
            job_id=actor,
            manifest_sha256="0" * 64,
            model_kind="small",
            schema_version="1",
            registered_at=utc_now(),
        )
        self._versions.insert(row, actor=actor, reason=reason)
        return row

    def finish_installation(self, version: str, **_words: str) -> ModelVersion | None:
        """Return the row of that name, if any: there are no folders whose row could be missing."""
        return self._versions.find(version)

    def free_version_name(self, _label: str | None = None) -> str:
        """Return a name that is used once."""
        return f"effect-{uuid.uuid4().hex}"


def small_jobs(plant: Plant) -> TrainingJobs:
    """Return the service with small jobs."""

    def compute(attempt: Any) -> Outcome:
        attempt._pulse.report(50.0, "computing")
        time.sleep(random.uniform(0, LONGEST_WORK_SECONDS))
        if random.random() < BREAKS:
            raise SourceUnavailable("The attempt broke off, as one in twenty does here.")
        # A new name each time: an effect that was made twice would stand there twice.
        return Outcome(ending=Ending.DONE, result={"packaged": f"effect-{uuid.uuid4().hex}", "reason": "small"})

    Attempt._compute = compute  # type: ignore[method-assign, assignment]
    return TrainingJobs(
        settings=plant.settings,
        work=plant.work,
        doorbells=plant.bells,  # type: ignore[arg-type]
        configuration=plant.configuration,
        snapshots=plant.snapshots,
        versions=plant.versions,
        registrations=VersionRows(plant.versions),
        alerts=plant.alerts,
    )


def main() -> None:
    """Handle messages until the input ends."""
    plant = open_plant(Path(sys.argv[1]), database_url=sys.argv[2])
    jobs = small_jobs(plant) if sys.argv[3] == "small" else plant.jobs
    answers, sys.stdout = sys.stdout, sys.stderr
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        plant.bells.rung.clear()
        try:
            jobs.run(line.strip())
        except RoutingError:
            plant.bells.rung.append(line.strip())
        answers.write(f"{' '.join(plant.bells.rung)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
