"""An installation's audit on a real SQLite file, sealed as a running installation seals it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.database.audit import Audit
from shared.database.engine import make_engine
from tests.databases import set_up


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    set_up(url)
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def audit(engine: Engine, tmp_path: Path) -> Audit:
    audit = Audit(engine, tmp_path / "keys")
    audit.follow()
    return audit
