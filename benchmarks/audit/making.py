"""An audit to attack: made by the product's own transactions, then copied to where nothing guards it."""

import random
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from shared.audit.acting import acting_as
from shared.audit.events import EVENTS, STORED
from shared.audit.recording import note
from shared.audit.seal import Seal
from shared.database.audit import Audit
from shared.database.engine import make_engine, migrate, writing

ACTORS = ("anna", "bert", "command line", "system")
ACTIONS = ("model.active", "configuration.changed", "alert.acknowledged", "training-job.requested")
AT_ONCE = 1_000


def make_audit(folder: Path, events: int, seed: int) -> tuple[Engine, Audit]:
    """Make a SQLite database with so many events, sealed, and return its engine and audit."""
    url = f"sqlite:///{(folder / 'audit.db').as_posix()}"
    migrate(url)
    engine = make_engine(url)
    audit = Audit(engine, folder / "keys")
    audit.follow()
    dice = random.Random(seed)
    while events > 0:
        count = min(events, AT_ONCE if events > 2 * AT_ONCE else dice.randrange(1, 4))
        with (
            acting_as(dice.choice(ACTORS), role="operator", origin="http 10.0.0.7", request_id=f"{dice.random():.16f}"),
            writing(engine) as session,
        ):
            for _ in range(count):
                number = dice.randrange(10_000)
                note(
                    session, dice.choice(ACTIONS), f"version_{number}", before={"state": "pending", "pinned": False},
                    after={"state": "active", "pinned": False, "event": number}, reason=f"better by {number} minutes",
                )  # fmt: skip
        events -= count
    return engine, audit


class Copy:
    """A copy of an audit in memory, in a table without key, index or trigger: its attacker owns the database."""

    def __init__(self, original: Engine, keys: Path) -> None:
        """Copy the rows; the seal stays where it is, in `keys`."""
        self.engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        raw: Any = self.engine.raw_connection().driver_connection
        self._raw = raw
        columns = ", ".join(f'"{name}"' for name in STORED)
        self._raw.execute(f"CREATE TABLE audit_events ({columns})")
        with original.connect() as connection, self.engine.begin() as copy:
            rows = connection.execute(select(EVENTS).order_by(EVENTS.c.sequence)).mappings().all()
            copy.execute(insert(EVENTS), [dict(row) for row in rows])
        self.seal = Seal(self.engine, keys)
        self.rows = [tuple(row[name] for name in STORED) for row in rows]
        self._columns = ", ".join("?" * len(STORED))

    def put(self, rows: list[tuple[object, ...]]) -> None:
        """Let the copy hold these rows instead."""
        self._raw.execute("DELETE FROM audit_events")
        self._raw.executemany(f"INSERT INTO audit_events VALUES ({self._columns})", rows)
        self._raw.commit()
