"""Databases as `manage.py up` leaves them, without every test waiting for each migration."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from shared.database.engine import migrate


def set_up(url: str) -> None:
    """Bring a database to the newest revision as `migrate` does: a new SQLite file as a copy of one that it made."""
    database = make_url(url).database
    if not url.startswith("sqlite:") or not database or Path(database).exists():
        migrate(url)
        return
    Path(database).parent.mkdir(parents=True, exist_ok=True)
    Path(database).write_bytes(_migrated_file())


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "routing.db")
        migrate(f"sqlite:///{file.as_posix()}")
        assert not file.with_name("routing.db-wal").exists()  # everything is in the file itself
        return file.read_bytes()
