"""How long a cancellation takes, at every stage of a job, by a polite child and by one that will not listen."""

import math
import random
import statistics
import time

from benchmarks.faults.instance import Instance
from shared.database.tables import ModelVersion, TrainingJob, WorkState

SAFE_SECONDS, FORCED_SECONDS = 2.0, 10.0


def measure(instance: Instance, rounds: int) -> int:
    """Cancel `rounds` jobs at random moments and as many whose child ignores the request; 0 when in time, all gone."""
    dice = random.Random(42)
    bad = 0
    for deaf, bound in ((False, SAFE_SECONDS), (True, FORCED_SECONDS)):
        took: list[float] = []
        left: list[str] = []
        for _ in range(rounds):
            seconds, rubbish = _one(instance, dice.uniform(0, 4), deaf=deaf)
            left += rubbish
            if not math.isnan(seconds):
                took.append(seconds)
        kind = "children that ignore SIGTERM" if deaf else "ordinary children"
        print(
            f"{kind}: {len(took)} of {rounds} cancelled while they ran, median {statistics.median(took):.2f} s, "
            f"longest {max(took):.2f} s (at most {bound:g}); left behind: {left or 'nothing'}",
            flush=True,
        )
        bad += bool(left) or max(took) > bound
    return int(bool(bad))


def _one(instance: Instance, after_seconds: float, *, deaf: bool) -> tuple[float, list[str]]:
    """Return the seconds until a running job was cancelled (NaN where it had ended) and what it left."""
    import os
    import signal

    answer = instance.ask("POST", "training/jobs", {"kind": "refit"})
    assert answer is not None
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    jobs = instance.services.work
    instance.eventually(lambda: jobs.get(TrainingJob, job_id).state != WorkState.QUEUED, 60, "the job is taken")
    if deaf:
        children = instance.eventually(instance.children, 60, "a child")
        for pid in children:
            os.kill(pid, signal.SIGSTOP)  # it will not act on SIGTERM, nor on anything else
    time.sleep(after_seconds)
    asked = time.monotonic()
    answer = instance.ask("DELETE", f"training/jobs/{job_id}")
    assert answer is not None
    instance.eventually(lambda: jobs.get(TrainingJob, job_id).state in TrainingJob.FINAL, 60, "it has ended")
    seconds = time.monotonic() - asked
    row = jobs.get(TrainingJob, job_id)
    if row.state != WorkState.CANCELLED:
        return math.nan, []
    deadline = time.monotonic() + FORCED_SECONDS
    while instance.left_lying() and time.monotonic() < deadline:
        time.sleep(0.05)
    versions, _ = instance.services.model_versions.list(limit=10_000)
    of_job = [f"version {row.version}" for row in versions if _job_of(row) == job_id]
    return seconds, instance.left_lying() + of_job


def _job_of(row: ModelVersion) -> str | None:
    return row.job_id
