"""The suite's own PostgreSQL leaves nothing behind, however its test process ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgresql import PostgreSql, missing_for_postgresql, running_postgresql

START_AND_DIE = """
import os, signal
from tests.postgresql import running_postgresql
with running_postgresql() as server:
    print(server.process_id, os.readlink(f"/proc/{server.process_id}/cwd"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_ends_with_the_process_that_started_it_even_when_that_is_killed() -> None:
    if missing_for_postgresql() is not None or not Path("/proc/self/cwd").exists():
        pytest.skip(f"needs Linux and {missing_for_postgresql()}")
    done = subprocess.run([sys.executable, "-c", START_AND_DIE], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    process_id, folder = done.stdout.split(maxsplit=1)
    data = Path(folder.strip())
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and (Path("/proc", process_id).exists() or data.parent.exists()):
        time.sleep(0.05)
    assert not Path("/proc", process_id).exists()
    assert not data.parent.exists()


def test_databases_are_apart_and_a_password_is_needed(postgresql: PostgreSql) -> None:
    one, other = postgresql.new_database(), postgresql.new_database()
    with one.connect() as session:
        session.execute("CREATE TABLE 한글 (a int)")
        assert session.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    with other.connect() as session, pytest.raises(psycopg.errors.UndefinedTable):
        session.execute("SELECT * FROM 한글")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(one.conninfo.replace(one.password, "wrong"))


def test_a_server_that_was_killed_is_cleared_away() -> None:
    if missing_for_postgresql() is not None:
        pytest.skip(f"needs {missing_for_postgresql()}")
    with running_postgresql() as server:
        os.kill(server.process_id, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        server.connect(connect_timeout=2)
