"""Many hands on one registry, some killed in mid-change: one version is active at every moment.

The same play in full is `python -m benchmarks.activations`.
"""

from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.activations.playing import faults_of_history, play
from benchmarks.activations.worker import add_version
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from tests.databases import set_up
from tests.postgresql import PostgreSql


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database."""
    found = f"sqlite:///{tmp_path / 'routing.db'}"
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql").new_database()
        found = server.url
    set_up(found)
    return found


def test_one_version_is_active_whatever_several_processes_do_and_die_of(url: str) -> None:
    changes = play(url, calls=150, workers=3, seed=7, kill_every=40)
    assert changes.wrong_looks == []
    assert changes.faults == []
    assert changes.kills >= 1
    assert changes.calls["_activate done"] > 10
    assert changes.looks > 20


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'routing.db'}"
    set_up(address)
    engine = make_engine(address)
    versions = ModelVersions(engine)
    for name in ("one", "other"):
        add_version(versions, name)
    versions.transition("one", "active", actor="test", reason="a test")
    assert faults_of_history(engine) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE model_versions SET state = 'pending'"))
    assert faults_of_history(engine) == ["one is pending, its events say active"]
    versions.transition("other", "active", actor="test", reason="beside the first")
    assert any("active at once" in fault for fault in faults_of_history(engine))
    engine.dispose()
