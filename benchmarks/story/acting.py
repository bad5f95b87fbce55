"""A factory and the product beside it, one simulated day after the other, through the real services.

Orders are finished and reported, the ERP is read, a quality cycle runs, and what it enqueues is done: the functions
that the app's queues call, in their order, with a database, model packages and a training child that are real. Only
the clock, the queues and the person are the story's own. The person looks at alerts, and where another unit is
suspected states it in the profile, knowing no more than the alert says.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml

from shared.bootstrap import Services
from shared.database.engine import migrate
from shared.database.tables import Alert, AlertState, QualityCycle, TrainingJob
from shared.erp.demo.changes import change_demo
from shared.erp.demo.generate import generate_demo
from shared.erp.demo.world import LAST_DAY
from shared.erp.profiles.model import PROFILES_DIR, load_profile
from shared.erp.units import MINUTES_PER, TimeUnit
from shared.first_light import make_first_model
from shared.quality.unit_alerts import UNIT_SUSPECTED
from shared.settings import Settings

EVENING = time(22)  # when the day's orders are reported, the ERP is read and the cycle runs
ACTOR = "a person in the story"
Phase = Literal["before", "during", "after"]  # the change; after: a new model serves, or the person has stated the unit


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
    jobs: tuple[TrainingJob, ...]  # that the day's messages led to, ended; and a scheduled one that was refused
    activated: str | None  # the version that serves from now on
    phase: Phase
    closed: tuple[Alert, ...] = ()  # alerts that the day's cycle closed
    person: str = ""  # what the person did in the morning

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """The findings that raised an alert."""
        return [finding for finding in self.findings if finding["evident"]]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Every threshold crossed and every rise, evident or not."""
        found: list[dict[str, Any]] = (self.cycle.metrics or {}).get("quality", {}).get("alerts", [])
        return found

    @property
    def retraining(self) -> dict[str, Any]:
        """What the cycle asked for, or why nothing."""
        return (self.cycle.metrics or {}).get("quality", {}).get("metadata", {}).get("retraining") or {}

    def figure(self, name: str, operation: str = "") -> dict[str, Any]:
        """Return one of the cycle's figures, of all orders or of an operation's: value, n, low, high."""
        metrics = self.cycle.metrics or {}
        group = metrics.get("by_operation", {}).get(operation, {}) if operation else metrics.get("overall", {})
        return group.get(name) or {"value": None, "n": 0}


@dataclass(frozen=True, kw_only=True)
class Script:
    """What happens."""

    kind: str
    items: int = 2_000
    orders_a_day: float = 300.0
    steady_days: int = 10
    most_broken_days: int = 30  # until an alarm
    days_after: int = 4  # of the activation, or of the profile's repair
    days_until_repair: int = 3  # after the alert of a suspected unit
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
        self.profile = folder / "factory.yaml"
        self.profile.write_bytes((PROFILES_DIR / "demo.yaml").read_bytes())
        settings = Settings(data_dir=folder, models_dir=folder / "models", profile=str(self.profile))
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
        """Yield the days: steady ones, broken ones until the loop or the person has helped, then some more."""
        for _ in range(self.script.steady_days):
            yield self._day("before")
        yield from self._noticed_by_unit() if self.script.kind == "units" else self._learned()

    def _learned(self) -> Iterator[Day]:
        for number in range(self.script.most_broken_days):
            day = self._day("during", kind=self.script.kind if number == 0 else "none")
            yield day
            if day.activated is not None:
                break
        else:
            return
        for _ in range(self.script.days_after):
            yield self._day("after")

    def _noticed_by_unit(self) -> Iterator[Day]:
        for number in range(self.script.most_broken_days):
            yield self._day("during", kind=self.script.kind if number == 0 else "none")
            if self._suspicions():
                break
        else:
            return
        for number in range(1, self.script.days_until_repair):
            yield self._day("during", weekly=number == 1)
        yield self._day("after", person=self._state_the_unit())
        for number in range(1, self.script.days_after):
            yield self._day("after", weekly=number == self.script.days_after - 1)

    def close(self) -> None:
        """Let the database go."""
        self.services.serving.stop()
        self.services.engine.dispose()

    def _day(self, phase: Phase, *, kind: str = "none", person: str = "", weekly: bool = False) -> Day:
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
        closed = tuple(a for a in services.alerts.list(state=AlertState.CLOSED)[0] if a.closed_at == self.clock.now)
        refused = self._weekly_refit() if weekly else []
        jobs = (*refused, *self._deliver(day))
        after = services.model_versions.active()
        assert after is not None
        services.serving.refresh()
        moved = after.version if after.version != before.version else None
        return Day(
            day=day, version=before.version, cycle=cycle, jobs=jobs, activated=moved, phase=phase, closed=closed,
            person=person,
        )  # fmt: skip

    def _deliver(self, day: date) -> Iterator[TrainingJob]:
        """Do what the day's messages say."""
        while self.queues.waiting:
            queue, row_id = self.queues.waiting.popleft()
            if queue == TrainingJob.QUEUE:
                self._tell(f"{day}: training job {row_id}")
                self.services.training_jobs.run(row_id)
                yield self.services.training_jobs.get(row_id)

    def _weekly_refit(self) -> list[TrainingJob]:
        """Let the schedule ask for its refit; return its row where it was refused."""
        job = self.services.training_jobs.enqueue_scheduled(self.clock.now.isoformat(), "weekly refit")
        return [job] if job is not None and job.state in TrainingJob.FINAL else []

    def _suspicions(self) -> list[Alert]:
        return self.services.alerts.list(kind=UNIT_SUSPECTED, state=AlertState.OPEN)[0]

    def _state_the_unit(self) -> str:
        """State in the profile what the open alerts of suspected units say; return what was written."""
        read_in = MINUTES_PER[load_profile(self.profile).work_results.time_unit]
        changes = []
        for alert in self._suspicions():
            told = alert.details or {}
            meant = min(TimeUnit, key=lambda unit: abs(MINUTES_PER[unit] * told["factor"] - read_in))
            changes.append({"since": told["since"], "time_unit": meant.value, "operations": [alert.subject]})
        document = yaml.safe_load(self.profile.read_text(encoding="utf-8"))
        document["work_results"]["unit_changes"] = changes
        self.profile.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return f"profile: unit_changes {changes}"


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in more.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
