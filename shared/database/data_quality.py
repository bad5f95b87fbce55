"""How good the data of each snapshot was: measured once, kept after the snapshot itself is gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import DataQuality

KEPT = 400  # snapshots of a profile whose figures are kept: a year of nights


@dataclass(frozen=True, kw_only=True)
class KeyFigures:
    """What a history shows of one snapshot."""

    snapshot_id: str
    data_as_of: datetime
    figures: dict[str, Any]


class DataQualityRows:
    """The table of data quality documents (`shared.erp.quality.summary.summarise` makes them)."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep rows in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def store(self, document: Mapping[str, Any]) -> None:
        """Keep a snapshot's document; one that is there already is replaced."""
        row = DataQuality(
            snapshot_id=document["snapshot"],
            profile=document["profile"],
            data_as_of=datetime.fromisoformat(document["data_as_of"]),
            fingerprint=document["fingerprint"],
            schema_version=document["schema_version"],
            figures=dict(document["figures"]),
            document=dict(document),
            created_at=self._clock(),
        )
        try:
            self._merge(row)
        except IntegrityError:  # another process stored it between our look and our insert
            self._merge(row)

    def _merge(self, row: DataQuality) -> None:
        newest_first = (col(DataQuality.data_as_of).desc(), col(DataQuality.snapshot_id).desc())
        of_profile = select(DataQuality.snapshot_id).where(col(DataQuality.profile) == row.profile)
        with writing(self._engine) as session:
            session.merge(DataQuality(**row.model_dump()))
            session.flush()
            outlived = session.exec(of_profile.order_by(*newest_first).offset(KEPT).limit(KEPT)).all()
            if outlived:
                session.exec(delete(DataQuality).where(col(DataQuality.snapshot_id).in_(outlived)))

    def find(self, snapshot_id: str) -> DataQuality | None:
        """Return one snapshot's row, or None when its data was never measured."""
        with reading(self._engine) as session:
            return session.get(DataQuality, snapshot_id)

    def history(self, profile: str, *, limit: int, until: datetime | None = None) -> list[KeyFigures]:
        """Return the key figures of a profile's snapshots, newest data first, none of them newer than `until`."""
        wanted = [col(DataQuality.profile) == profile]
        if until is not None:
            wanted.append(col(DataQuality.data_as_of) <= until)
        newest_first = (col(DataQuality.data_as_of).desc(), col(DataQuality.snapshot_id).desc())
        columns = select(DataQuality.snapshot_id, DataQuality.data_as_of, DataQuality.figures)  # not the documents
        with reading(self._engine) as session:
            rows = session.exec(columns.where(*wanted).order_by(*newest_first).limit(limit)).all()
        return [KeyFigures(snapshot_id=id_, data_as_of=at, figures=dict(figures)) for id_, at, figures in rows]
