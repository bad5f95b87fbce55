"""The migrated schema is the one that the tables describe, however many processes migrate at once."""

import io
import multiprocessing
import re
import sqlite3
from pathlib import Path

import pytest
import sqlglot
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect, inspect, text
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlglot import exp
from sqlmodel import SQLModel

from shared.clock import utc_now
from shared.database import identity_tables, tables
from shared.database.engine import MIGRATIONS_DIR, make_engine, migrate, ping, reading, set_up_when_new, writing
from shared.errors import SetupError
from tests.postgresql import PostgreSql

MODULES = (identity_tables, tables)  # reading them is what fills the metadata


def url_of(folder: Path) -> str:
    return f"sqlite:///{(folder / 'inner' / 'routing.db').as_posix()}"


def test_migrated_schema_equals_the_tables(tmp_path: Path) -> None:
    """Nothing is left for Alembic to generate after the migrations."""
    migrate(url_of(tmp_path))
    engine = make_engine(url_of(tmp_path))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        assert context.get_current_revision() is not None
    engine.dispose()


def test_a_server_has_the_same_tables(postgresql: PostgreSql) -> None:
    """The migrations make on PostgreSQL what the tables describe."""
    server = postgresql.new_database()
    migrate(server.url)
    engine = make_engine(server.url)
    with engine.connect() as connection:
        found = {table: {column["name"] for column in inspect(connection).get_columns(table)} for table in
                 inspect(connection).get_table_names()}  # fmt: skip
    engine.dispose()
    described = {name: {column.name for column in table.columns} for name, table in SQLModel.metadata.tables.items()}
    assert described.items() <= found.items()


def test_partial_unique_indexes_keep_their_conditions(tmp_path: Path) -> None:
    """The conditions that Alembic does not compare stand in the migrated database word for word."""
    migrate(url_of(tmp_path))
    engine = make_engine(url_of(tmp_path))
    expected = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in SQLModel.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%WHERE%'")).all()
    engine.dispose()
    assert {name: sql.split(" WHERE ")[1] for name, sql in rows} == expected
    assert "uq_model_versions_one_active" in expected


@pytest.mark.parametrize("name", ["postgresql", "mssql"])
def test_tables_can_be_written_for_the_other_databases(name: str) -> None:
    """Every table and index has a form there, and the unique rules keep their conditions."""
    dialect: Dialect = registry.load(name)()
    for table in SQLModel.metadata.sorted_tables:
        assert f"CREATE TABLE {table.name}" in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            ddl = str(CreateIndex(index).compile(dialect=dialect))
            condition = index.dialect_options["sqlite"]["where"]
            assert ddl.endswith(f"WHERE {condition}") if condition is not None else "WHERE" not in ddl


def sql_server_script() -> list[str]:
    """Return what all migrations would run on SQL Server, statement by statement; none was at hand to run it."""
    script = io.StringIO()
    context = MigrationContext.configure(dialect_name="mssql", opts={"as_sql": True, "output_buffer": script})
    with Operations.context(context):
        for revision in reversed(list(ScriptDirectory(str(MIGRATIONS_DIR)).walk_revisions())):
            revision.module.upgrade()
    return [part.strip() for part in re.split(r"^GO$", script.getvalue(), flags=re.MULTILINE) if part.strip()]


def test_the_migrations_are_statements_of_sql_server() -> None:
    statements = sql_server_script()
    long_columns = set()
    for statement in statements:
        if statement.startswith("CREATE TRIGGER"):  # sqlglot does not know THROW
            continue
        [read] = [each for each in sqlglot.parse(statement, read="tsql") if each is not None]
        assert isinstance(read, exp.Create | exp.Alter), statement
        for column in read.find_all(exp.ColumnDef):
            written = f"{read.find(exp.Table)}.{column.name}"
            assert not re.search(r"\b(DATETIME|BOOLEAN|JSON|TEXT)\b", column.sql("tsql")), (
                f"{written} loses or is not known"
            )
            if "MAX" in column.sql("tsql").upper():
                long_columns.add(written)
    indexes = [statement for statement in statements if re.match(r"CREATE (UNIQUE )?INDEX", statement)]
    for statement in indexes:
        found = re.search(r"ON (\w+) \(([^)]*)\)", statement)
        assert found is not None
        columns = {f"{found[1]}.{name.strip()}" for name in found[2].split(",")}
        assert not columns & long_columns, f"no index of SQL Server holds it: {statement}"
    assert long_columns
    one_active = "CREATE UNIQUE INDEX uq_model_versions_one_active ON model_versions (state) WHERE state = 'active';"
    assert one_active in statements


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    """A second start finds the schema current and keeps the rows."""
    migrate(url_of(tmp_path))
    engine = make_engine(url_of(tmp_path))
    with writing(engine) as session:
        session.add(a_prediction())
    migrate(url_of(tmp_path))
    with reading(engine) as session:
        assert session.get(tables.Prediction, 1) is not None
    engine.dispose()


def a_prediction() -> tables.Prediction:
    return tables.Prediction(
        prediction_id="p1",
        item_code="A",
        model_version="v1",
        status="ok",
        quantity=1.0,
        as_if_unknown=False,
        answer={"candidates": []},
        created_at=utc_now(),
    )


def test_processes_that_migrate_at_once_all_succeed(tmp_path: Path) -> None:
    """Several first starts at the same moment leave one complete schema."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=migrate, args=(url_of(tmp_path),)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with sqlite3.connect(tmp_path / "inner" / "routing.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM alembic_version").fetchone() == (1,)
    connection.close()


def test_only_a_new_database_is_set_up_unasked(tmp_path: Path) -> None:
    """Commands make what is missing altogether, and leave another release's database to `up`."""
    engine = make_engine(url_of(tmp_path))
    set_up_when_new(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    with writing(engine) as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
        session.connection().execute(text("DROP TABLE predictions"))
    set_up_when_new(engine)
    with engine.connect() as connection:
        assert not inspect(connection).has_table("predictions")
    engine.dispose()


def test_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """An unknown revision is named, with what to do."""
    migrate(url_of(tmp_path))
    with sqlite3.connect(tmp_path / "inner" / "routing.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    connection.close()
    with pytest.raises(SetupError, match=r"r9999.*newer"):
        migrate(url_of(tmp_path))


def test_connections_are_durable_and_shareable(tmp_path: Path) -> None:
    """Every connection uses the write-ahead log, full syncing, foreign keys and a busy time-out."""
    engine = make_engine(url_of(tmp_path))
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_ping_says_how_long_an_answer_took_and_names_a_broken_database(tmp_path: Path) -> None:
    """A database that cannot be opened is a set-up error with a remedy, not a driver's exception."""
    engine = make_engine(url_of(tmp_path))
    assert ping(engine) > 0
    engine.dispose()
    (tmp_path / "folder.db").mkdir()
    broken = make_engine(f"sqlite:///{(tmp_path / 'folder.db').as_posix()}")
    with pytest.raises(SetupError, match="ROUTING_DATABASE_URL"):
        ping(broken)
    broken.dispose()


def test_url_that_cannot_be_read_is_a_setup_error() -> None:
    """The message names the setting."""
    with pytest.raises(SetupError, match="ROUTING_DATABASE_URL"):
        make_engine("not a url")
