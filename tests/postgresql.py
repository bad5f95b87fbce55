"""A real PostgreSQL for tests: Debian's own server in a temporary folder, on loopback, gone with the test process.

`postgresql` is a session fixture that any test may ask for; nothing is started before one does. `running_postgresql`
starts a server of a test's own, to be killed or stopped as it likes.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.platform import free_ports

if TYPE_CHECKING:
    import psycopg

DRIVER = "PostgreSQL Unicode"
PATIENCE_SECONDS = 30.0
ROOM_BYTES = 4 * 2**30
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
# Nothing here must survive a crash, and a test must not wait for a disk.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "dynamic_shared_memory_type": "mmap",  # in the folder: a killed server leaves none of it behind elsewhere
}
# Owns the server: ends it, and removes its folder, as soon as its standard input closes, however that came about.
_KEEPER = """
import json, shutil, signal, subprocess, sys
folder, whom, command = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
with open(folder + "/server.log", "wb") as log:
    server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **whom)
print(server.pid, flush=True)
sys.stdin.buffer.read()
server.send_signal(signal.SIGQUIT)
try:
    server.wait(10)
except subprocess.TimeoutExpired:
    server.kill()
    server.wait()
shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True)
class PostgreSql:
    """One database of a running server, and how to reach it."""

    host: str
    port: int
    user: str
    password: str
    database: str
    process_id: int  # of the server's first process; killing it with SIGKILL ends every session

    @property
    def url(self) -> str:
        """The address for SQLAlchemy."""
        return f"postgresql+psycopg://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def odbc(self) -> str:
        """The ODBC connection string."""
        return (
            f"Driver={{{DRIVER}}};Server={self.host};Port={self.port};Database={self.database};"
            f"Uid={self.user};Pwd={self.password}"
        )

    @property
    def conninfo(self) -> str:
        """The connection string of psycopg and of every other libpq client."""
        return f"host={self.host} port={self.port} dbname={self.database} user={self.user} password={self.password}"

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":
        """Return a session that commits every statement."""
        import psycopg  # only tests that ask for a server pay for it

        return psycopg.connect(self.conninfo, autocommit=True, **options)

    def new_database(self) -> "PostgreSql":
        """Return a new, empty database of the same server."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as session:
            session.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return replace(self, database=name)


def missing_for_postgresql() -> str | None:
    """Return what keeps a server from being started here, or None."""
    if sys.platform == "win32":
        return "the fixture starts servers on Linux and macOS only"
    return None if _program("initdb") and _program("postgres") else "PostgreSQL's server (apt install postgresql)"


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found is None:
        root = Path("/")
        places = sorted((path for place in _PLACES for path in root.glob(f"{place[1:]}/{name}")), reverse=True)
        found = str(places[0]) if places else None
    return found


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgreSql]:
    """Start a server of its own; it ends with the block, or with this process, and its folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=_place()))
    whom = _unprivileged()
    if whom:
        os.chown(folder, whom["user"], whom["group"])
    password = secrets.token_hex(16)
    keeper: subprocess.Popen[bytes] | None = None
    try:
        _make_cluster(folder, password, whom)
        port = free_ports(1)[0]
        keeper = _start(folder, port, whom)
        assert keeper.stdout is not None
        server = PostgreSql("127.0.0.1", port, "routing", password, "postgres", int(keeper.stdout.readline()))
        _wait_until_ready(server, folder)
        yield server
    finally:
        if keeper is not None:
            keeper.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path | None:
    """Return a folder in memory where there is room for the databases of a test run, else None: the usual place."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES
    return memory if has_room else None


def _unprivileged() -> dict[str, Any]:
    """Return whom a child runs as where this process is root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _make_cluster(folder: Path, password: str, whom: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    if whom:
        os.chown(secret, whom["user"], whom["group"])
    subprocess.run(
        [str(_program("initdb")), "--pgdata", str(folder / "data"), "--username", "routing", "--pwfile", str(secret),
         "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"],
        cwd=folder, check=True, capture_output=True, timeout=PATIENCE_SECONDS * 4, **whom,
    )  # fmt: skip
    secret.unlink()


def _start(folder: Path, port: int, whom: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = [word for name, value in {**_SETTINGS, "port": str(port)}.items() for word in ("-c", f"{name}={value}")]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER, str(folder), json.dumps(whom),
         str(_program("postgres")), "-D", str(folder / "data"), *settings],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def _wait_until_ready(server: PostgreSql, folder: Path) -> None:
    import psycopg

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with server.connect(connect_timeout=2):
                return
        except psycopg.OperationalError as error:
            if time.monotonic() >= deadline:
                said = (folder / "server.log").read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start: {said[-2000:]}") from error
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A real PostgreSQL that the whole test run shares; a test makes itself a `new_database()` in it."""
    missing = missing_for_postgresql()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    with running_postgresql() as server:
        yield server
