"""The watch over the factory's data: a snapshot that grew too old, or data that got much worse, raises an alert."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.configuration import DataConfiguration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.data_quality import DataQualityRows, KeyFigures
from shared.database.snapshots import SnapshotRows
from shared.database.tables import Alert
from shared.operations.data_trend import Change, fallen, recovered
from shared.settings import Settings

SNAPSHOT_OLD = "snapshot-old"
DATA_QUALITY_DROP = "data-quality-drop"
LOOK_EVERY = timedelta(minutes=1)
_ACTOR = "sweep"
_NAMED = 5  # figures that a sentence names


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How old the newest snapshot of this instance's profile is."""

    profile: str
    snapshot_id: str | None
    data_as_of: datetime | None
    age: timedelta | None  # of the data; without a snapshot, since an extract was first asked for
    limit: timedelta

    @property
    def too_old(self) -> bool:
        """Whether it is older than the configuration allows."""
        return self.age is not None and self.age > self.limit

    @property
    def sentence(self) -> str:
        """What is wrong, when it is too old."""
        hours = 0.0 if self.age is None else self.age.total_seconds() / 3600
        allowed = f"at most {self.limit.total_seconds() / 3600:g} hours are allowed"
        if self.data_as_of is None:
            return (
                f"There is no snapshot of {self.profile}, {hours:.0f} hours after the first was asked for; {allowed}."
            )
        as_of = f"{self.data_as_of:%Y-%m-%d %H:%M} UTC"
        return f"The newest snapshot of {self.profile} is of {as_of}, {hours:.0f} hours ago; {allowed}."


REMEDY = (
    "`manage.py data extract` reads the ERP now; GET /api/data/extracts says why the last ones did not."
    " data.maximum_age_hours in the configuration is the limit."
)


class DataWatch:
    """Looks at the snapshots of the instance's own profile; one object a process."""

    def __init__(self, settings: Settings, engine: Engine, clock: Clock = utc_now) -> None:
        """Watch the data that `settings` name."""
        self._settings = settings
        self._clock = clock
        self._snapshots = SnapshotRows(engine, clock)
        self._quality = DataQualityRows(engine, clock)
        self._alerts = Alerts(engine, clock)
        self._configuration = ConfigurationStore(engine, clock)
        self._looked_at: datetime | None = None

    def freshness(self) -> Freshness:
        """Return how old the newest snapshot is.

        A new installation is given as long for its first snapshot, from the first extract that was asked for, as a
        snapshot may be old.

        Raises:
            ProfileError: the instance's profile cannot be read.
        """
        profile = self._profile()
        newest = self._snapshots.current(profile)
        since = newest.data_as_of if newest else self._snapshots.first_asked_for(self._settings.profile)
        return Freshness(
            profile=profile,
            snapshot_id=newest.id if newest else None,
            data_as_of=newest.data_as_of if newest else None,
            age=None if since is None else self._clock() - since,
            limit=timedelta(hours=self._limits().maximum_age_hours),
        )

    def run(self) -> int:
        """Raise what has to be raised and close what is over, at most once a minute; return how many alerts changed."""
        now = self._clock()
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY:  # a clock may be set back
            return 0
        self._looked_at = now
        return self._watch_age() + self._watch_quality()

    def _profile(self) -> str:
        from shared.erp.profiles.model import load_profile

        return load_profile(self._settings.profile).name

    def _limits(self) -> DataConfiguration:
        return self._configuration.current()[1].data

    def _watch_age(self) -> int:
        state = self.freshness()
        if not state.too_old:
            return self._alerts.close_matching(SNAPSHOT_OLD, state.profile, _ACTOR)
        if self._alerts.standing(SNAPSHOT_OLD, state.profile) is not None:
            return 0
        as_of = None if state.data_as_of is None else state.data_as_of.isoformat()
        details = {"snapshot_id": state.snapshot_id, "data_as_of": as_of, "remedy": REMEDY}
        self._alerts.raise_alert(SNAPSHOT_OLD, state.profile, state.sentence, details=details)
        return 1

    def _watch_quality(self) -> int:
        """Judge the newest figures once: what fell since the snapshot before, beside what fell earlier and still is."""
        profile = self._profile()
        newest_two = self._quality.history(profile, limit=2)
        if not newest_two:
            return 0
        newest, standing = newest_two[0], self._alerts.standing(DATA_QUALITY_DROP, profile)
        if self._was_judged(newest, profile):
            return 0
        limit = self._limits().maximum_drop
        known = _changes_of(standing)
        down = {change.figure: change for change in known if not recovered(change, newest.figures, limit)}
        for change in fallen(newest_two[1].figures, newest.figures, limit) if len(newest_two) > 1 else []:
            down.setdefault(change.figure, change)
        if down:
            self._raise_drop(profile, newest, list(down.values()), limit)
            return 1
        return self._alerts.close_matching(DATA_QUALITY_DROP, profile, _ACTOR)

    def _was_judged(self, newest: KeyFigures, profile: str) -> bool:
        """Return whether an alert, closed or not, was raised about these very figures: a person may have closed it."""
        alerts, _total = self._alerts.list(kind=DATA_QUALITY_DROP, limit=20)
        about = [alert.details or {} for alert in alerts if alert.subject == profile]
        return any(details.get("snapshot_id") == newest.snapshot_id for details in about)

    def _raise_drop(self, profile: str, newest: KeyFigures, down: list[Change], limit: float) -> None:
        named = ", ".join(change.sentence for change in down[:_NAMED])
        more = f" and {len(down) - _NAMED} more" if len(down) > _NAMED else ""
        details: dict[str, Any] = {
            "snapshot_id": newest.snapshot_id,
            "data_as_of": newest.data_as_of.isoformat(),
            "fallen": [change.as_json() for change in down],
            "remedy": "`manage.py data quality --history 5` shows since when; ask what changed in the ERP.",
        }
        self._alerts.raise_alert(
            DATA_QUALITY_DROP,
            profile,
            f"The data of {profile} lost more than {100 * limit:g} % in: {named}{more}.",
            details=details,
        )


def _changes_of(alert: Alert | None) -> list[Change]:
    told = (alert.details or {}).get("fallen", []) if alert is not None else []
    return [Change(**entry) for entry in told]
