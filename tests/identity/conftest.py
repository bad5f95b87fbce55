"""Keys and users of a migrated database: a SQLite file, and a PostgreSQL where a test asks for both."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from shared.database.engine import make_engine
from shared.identity.api_keys import ApiKeys
from shared.identity.users import Users
from tests.database.database_support import MovableClock
from tests.databases import set_up
from tests.postgresql import PostgreSql


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def server_engine(postgresql: PostgreSql) -> Iterator[Engine]:
    """One migrated database of the server for all tests, each of which leaves it empty."""
    url = postgresql.new_database().url
    set_up(url)
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgresql":
        engine = request.getfixturevalue("server_engine")
        yield engine
        with engine.begin() as connection:
            for table in ("browser_sessions", "api_keys", "user_roles", "users"):
                connection.execute(text(f"DELETE FROM {table}"))
        return
    url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    set_up(url)
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
