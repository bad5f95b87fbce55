"""A factory and the product beside it, one simulated day after the other, through the real services.

Orders are finished and reported, the ERP is read, a quality cycle runs, and what it enqueues is done: the functions
that the app's queues call, in their order, with a database, model packages and a training child that are real. Only
the clock and the queues are the story's own.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from shared.bootstrap import Services
from shared.database.engine import migrate
from shared.database.tables import QualityCycle, TrainingJob
from shared.erp.demo.changes import change_demo
from shared.erp.demo.generate import generate_demo
from shared.erp.demo.world import LAST_DAY
from shared.first_light import make_first_model
from shared.settings import Settings

EVENING = time(22)  # when the day's orders are reported, the ERP is read and the cycle runs
ACTOR = "a person in the story"


@dataclass
class Clock:
    """The time of the story."""

    now: datetime

    def __call__(self) -> datetime:
        """Return the story's time."""
        return self.now


@dataclass
class Queues:
    """Stands in for queue storage: keeps what was rung until the story does it."""

    waiting: deque[tuple[str, str]] = field(default_factory=deque)

    def try_ring(self, queue: str, ids: Collection[str], *, delay_seconds: float = 0.0) -> list[str]:
        """Keep a message for each id; the story's queues know no delay."""
        del delay_seconds
        self.waiting.extend((queue, one) for one in ids)
        return list(ids)


@dataclass(frozen=True, kw_only=True)
class Day:
    """What a day brought."""

    day: date
    version: str  # the model that the cycle judged
    cycle: QualityCycle
    jobs: tuple[TrainingJob, ...]  # that the day's messages led to, ended
    activated: str | None  # the version that serves from now on
    broken: bool  # the change holds

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """The findings that raised an alert."""
        return [finding for finding in self.findings if finding["evident"]]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Every threshold crossed and every rise, evident or not."""
        found: list[dict[str, Any]] = (self.cycle.metrics or {}).get("quality", {}).get("alerts", [])
        return found

    def figure(self, name: str) -> dict[str, Any]:
        """Return one of the cycle's overall figures: value, n, low, high."""
        return (self.cycle.metrics or {}).get("overall", {}).get(name) or {"value": None, "n": 0}


@dataclass(frozen=True, kw_only=True)
class Script:
    """What happens."""

    kind: str
    items: int = 2_000
    orders_a_day: float = 300.0
    steady_days: int = 5
    most_broken_days: int = 14  # until an alarm
    days_after: int = 4  # of the activation
    seed: int = 42
    configuration: dict[str, Any] = field(default_factory=dict)


class Story:
    """A script, acted day by day."""

    def __init__(self, folder: Path, script: Script, tell: Callable[[str], None] = lambda _: None) -> None:
        """Make the factory and the product's first model in `folder`."""
        self.script = script
        self._tell = tell
        self.clock = Clock(datetime.combine(LAST_DAY, EVENING, UTC))
        self.queues = Queues()
        settings = Settings(data_dir=folder, models_dir=folder / "models")
        self.services = Services(settings, clock=self.clock)
        self.services.__dict__["doorbells"] = self.queues
        migrate(settings.database)
        generate_demo(settings.source_folder, items=script.items, seed=script.seed)
        self.services.keys.ensure()
        changes = {"quality": {"sample_size": 500}, "training": {"auto_activate": True, "cooldown_minutes": 0}}
        self.services.configuration_store.patch(_merged(changes, script.configuration), ACTOR)
        make_first_model(self.services, lambda _percent, step: tell(f"first model: {step}"))
        self.services.serving.refresh()

    def act(self) -> Iterator[Day]:
        """Yield the days: steady ones, then broken ones until a new model was activated, then some more."""
        for _ in range(self.script.steady_days):
            yield self._day(broken=False)
        since_activation = None
        for number in range(self.script.most_broken_days + self.script.days_after):
            day = self._day(broken=True, kind=self.script.kind if number == 0 else "none")
            yield day
            if day.activated is not None:
                since_activation = 0
            elif since_activation is not None:
                since_activation += 1
            if since_activation == self.script.days_after:
                return
            if since_activation is None and number + 1 >= self.script.most_broken_days:
                return

    def close(self) -> None:
        """Let the database go."""
        self.services.serving.stop()
        self.services.engine.dispose()

    def _day(self, *, broken: bool, kind: str = "none") -> Day:
        services = self.services
        change_demo(services.settings.source_folder, kind=kind, days=1, orders_a_day=self.script.orders_a_day)
        self.clock.now += timedelta(days=1)
        day = self.clock.now.date()
        before = services.model_versions.active()
        assert before is not None
        self._tell(f"{day}: reading the ERP")
        services.snapshots.take_now(reason="the story's day")
        self._tell(f"{day}: quality cycle")
        cycle = services.quality_cycles.run_now("the story's day")
        jobs = tuple(self._deliver(day))
        after = services.model_versions.active()
        assert after is not None
        services.serving.refresh()
        moved = after.version if after.version != before.version else None
        return Day(day=day, version=before.version, cycle=cycle, jobs=jobs, activated=moved, broken=broken)

    def _deliver(self, day: date) -> Iterator[TrainingJob]:
        """Do what the day's messages say."""
        while self.queues.waiting:
            queue, row_id = self.queues.waiting.popleft()
            if queue == TrainingJob.QUEUE:
                self._tell(f"{day}: training job {row_id}")
                self.services.training_jobs.run(row_id)
                yield self.services.training_jobs.get(row_id)


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in more.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
