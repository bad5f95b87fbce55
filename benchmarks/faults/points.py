"""Where a process is killed: points in the life of a job and of a quality cycle, in the order that they are met."""

from dataclasses import dataclass
from typing import Any

JOBS, CYCLES = "training_jobs", "quality_cycles"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point: before or after the `nth` call of `target`, for rows of `table` where one is named."""

    name: str
    story: str  # what is going on: job, cancel, poison, cycle
    target: str  # module:Class.function
    when: str = "before"
    table: str = ""
    nth: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return what the hook reads."""
        return {"target": self.target, "when": self.when, "table": self.table, "nth": self.nth}


def _job(name: str, target: str, when: str = "before", *, table: str = "", nth: int = 1) -> Point:
    return Point(name=name, story="job", target=target, when=when, table=table, nth=nth)


def _cycle(name: str, target: str, when: str = "before", *, table: str = "") -> Point:
    return Point(name=name, story="cycle", target=target, when=when, table=table)


_WORK = "shared.database.work:WorkRows"
_BELLS = "shared.storage.doorbells:Doorbells"
_QUEUE = "funchost.queues:QueueListener"

POINTS = (
    # asked for, in the HTTP worker
    _job("job row not yet inserted", f"{_WORK}.insert", table=JOBS),
    _job("job row inserted, bell not rung", f"{_WORK}.insert", "after", table=JOBS),
    _job("bell rung, not noted", f"{_BELLS}.ring", "after"),
    # taken, in the event worker
    _job("before the claim", f"{_WORK}.claim", table=JOBS),
    _job("after the claim", f"{_WORK}.claim", "after", table=JOBS),
    _job("version name reserved", f"{_WORK}.update", "after", table=JOBS),
    _job("extract claimed", f"{_WORK}.claim", "after", table="extracts"),
    _job("in the extract", "shared.erp.extract:extract"),
    _job("snapshot folder whole, row missing", "shared.snapshots.service:Snapshots._register"),
    _job("extract ended", "shared.snapshots.service:Snapshots._register", "after"),
    _job("before the child", "shared.training.attempt:supervise"),
    _job("third heartbeat", f"{_WORK}.heartbeat", table=JOBS, nth=3),
    # in the child
    _job("child begins", "shared.training.direct:train_now"),
    _job("child in mid-fit", "shared.prediction.memory:sister_keys", "after"),
    _job("child has fitted", "shared.prediction.fit:fit_with_lessons", "after"),
    _job("package not yet written", "shared.registry.build:build_package"),
    _job("package written", "shared.registry.build:build_package", "after"),
    # registered, in the event worker
    _job("child has ended", "shared.training.attempt:supervise", "after"),
    _job("before the installation", "shared.registry.installation:Installer.register_local"),
    _job("before the folder is published", "shared.registry.store:ModelStore.install"),
    _job("folder published, row missing", "shared.registry.store:ModelStore.install", "after"),
    _job("version row inserted", "shared.registry.installation:Installer.add_row", "after"),
    _job("before the job's row ends", f"{_WORK}.finish", table=JOBS),
    _job("after the job's row ended", f"{_WORK}.finish", "after", table=JOBS),
    _job("attempt's folder removed", "shared.training.jobs:remove_tree", "after"),
    # around it: the host's message, and the sweep
    _job("message handled, not deleted", f"{_QUEUE}._delete"),
    _job("message deleted", f"{_QUEUE}._delete", "after"),
    _job("in the sweep, before it rings", "shared.operations.sweep:Sweep._ring"),
    _job("in the sweep, after it rang", "shared.operations.sweep:Sweep._ring", "after"),
    _job("in the sweep, while it tidies", "shared.training.tidying:JobTidying.run"),
    # cancelled
    Point(name="cancellation not yet noted", story="cancel", target=f"{_WORK}.request_cancel", table=JOBS),
    Point(name="cancellation noted", story="cancel", target=f"{_WORK}.request_cancel", when="after", table=JOBS),
    Point(name="cancelled, row not ended", story="cancel", target=f"{_WORK}.finish", table=JOBS),
    # buried
    Point(name="before the burial", story="poison", target="shared.operations.burial:Burial.bury"),
    Point(
        name="message kept, alert not raised",
        story="poison",
        target="shared.database.poison:PoisonMessages.bury",
        when="after",
    ),
    Point(
        name="poison message not deleted",
        story="poison",
        target="shared.operations.burial:Burial.bury",
        when="after",
    ),
    # a quality cycle
    _cycle("cycle row inserted, bell not rung", f"{_WORK}.insert", "after", table=CYCLES),
    _cycle("before the cycle's claim", f"{_WORK}.claim", table=CYCLES),
    _cycle("after the cycle's claim", f"{_WORK}.claim", "after", table=CYCLES),
    _cycle("before the cycle evaluates", "shared.quality.evaluate:evaluate"),
    _cycle("cycle has evaluated", "shared.quality.evaluate:evaluate", "after"),
    _cycle("cycle has scored live predictions", "shared.quality.live:score_live", "after"),
    _cycle("cycle has judged", "shared.quality.conclusion:conclude", "after"),
    _cycle("cycle's evidence stored, row not ended", "shared.database.work:_write", table=CYCLES),
    _cycle("evidence and row written, not committed", "shared.database.work:_write", "after", table=CYCLES),
    _cycle("before the cycle's row ends", f"{_WORK}.finish", table=CYCLES),
    _cycle("after the cycle's row ended", f"{_WORK}.finish", "after", table=CYCLES),
)
