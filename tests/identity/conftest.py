"""Keys and users of a migrated database: a SQLite file, and a PostgreSQL where a test asks for both."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.database.engine import make_engine, migrate
from shared.identity.api_keys import ApiKeys
from shared.identity.users import Users
from tests.database.database_support import MovableClock


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    else:
        url = request.getfixturevalue("postgresql").new_database().url
    migrate(url)
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "administrator.key"


@pytest.fixture
def keys(engine: Engine, key_file: Path, clock: MovableClock) -> ApiKeys:
    return ApiKeys(engine, key_file, clock=clock)


@pytest.fixture
def users(engine: Engine, clock: MovableClock) -> Users:
    return Users(engine, clock=clock)
