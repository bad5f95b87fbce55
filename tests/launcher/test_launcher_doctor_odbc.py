"""What `doctor` says of ODBC drivers, on machines that have some, none, or the wrong one."""

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.doctor import Finding, State, examine
from launcher.places import PROJECT_DIR, Place
from shared.erp.odbc import drivers as odbc_drivers
from shared.platform import free_ports

DRIVERS = """
[ODBC Drivers]
Ours = Installed

[PostgreSQL Unicode]
Description=PostgreSQL ODBC driver
Driver=psqlodbcw.so

[FreeTDS]
Driver=libtdsodbc.so
Description=100% TDS

[ODBC]
Trace=no
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that unixODBC's variables name as the place of its lists; there are no other lists."""
    monkeypatch.setenv("ODBCSYSINI", str(tmp_path))
    monkeypatch.delenv("ODBCINSTINI", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(odbc_drivers, "OTHER_PLACES", ())
    return tmp_path


def findings(tmp_path: Path) -> dict[str, Finding]:
    port, first = free_ports(2)
    found = examine(Place(data_dir=tmp_path / "data"), port=port, storage_port=first)
    return {finding.part: finding for finding in found}


def test_each_system_has_its_drivers_or_a_remedy_for_both_kinds_of_machine(machine: Path) -> None:
    (machine / "odbcinst.ini").write_text(DRIVERS)
    found = findings(machine)
    assert found["ODBC driver for PostgreSQL"].state is State.OK
    assert found["ODBC driver for PostgreSQL"].detail == "PostgreSQL Unicode"
    assert found["ODBC driver for SQL Server"].detail == "FreeTDS"
    for system, package in (("Access", "odbc-mdbtools"), ("SQLite", "libsqliteodbc")):
        missing = found[f"ODBC driver for {system}"]
        assert missing.state is State.OPTIONAL
        assert package in missing.remedy
        assert "Windows" in missing.remedy
    assert "ERP connection" not in found


def test_a_users_own_list_of_drivers_counts(machine: Path) -> None:
    (machine / "home").mkdir()
    (machine / "home" / ".odbcinst.ini").write_text("[SQLite3]\nDriver=libsqlite3odbc.so\n")
    assert odbc_drivers.installed_drivers() == ("SQLite3",)


@pytest.mark.parametrize("content", ["", "no ini file at all", "[unfinished\nx", "[A]\nx=1\n[A]\nx=2\n"])
def test_a_list_that_is_damaged_is_no_reason_to_fall(machine: Path, content: str) -> None:
    (machine / "odbcinst.ini").write_text(content)
    assert odbc_drivers.installed_drivers() == (("A",) if "[A]" in content else ())


@pytest.mark.parametrize(
    ("connection", "state", "said"),
    [
        ("Driver={PostgreSQL Unicode};Server=x;Uid=u;Pwd=hunter2", State.OK, "PostgreSQL Unicode"),
        ("server=x;DRIVER=freetds;pwd=hunter2", State.OK, "freetds"),
        ("DSN=erp;Pwd=hunter2", State.OK, "data source"),
        ("Driver={ODBC Driver 18 for SQL Server};Server=x;Pwd=hunter2", State.MISSING, "ODBC Driver 18"),
        ("Driver=/nowhere/libmsodbcsql.so;Pwd=hunter2", State.MISSING, "libmsodbcsql"),
    ],
)
def test_the_driver_of_the_erp_connection_has_to_be_there(
    machine: Path, monkeypatch: pytest.MonkeyPatch, connection: str, state: State, said: str
) -> None:
    (machine / "odbcinst.ini").write_text(DRIVERS)
    monkeypatch.setenv("ROUTING_ERP_CONNECTION", connection)
    monkeypatch.setattr("launcher.doctor.ctypes.util.find_library", lambda name: f"lib{name}.so.2")
    found = findings(machine)["ERP connection"]
    assert found.state is state
    assert said in found.detail
    assert "hunter2" not in repr(found)
    if state is State.MISSING:
        assert "FreeTDS, PostgreSQL Unicode" in found.remedy
        assert "msodbcsql18" in found.remedy


def test_an_erp_connection_needs_the_driver_manager(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_ERP_CONNECTION", "Driver={FreeTDS};Server=x;Pwd=hunter2")
    monkeypatch.setattr("launcher.doctor.ctypes.util.find_library", lambda name: None)
    monkeypatch.setattr("launcher.checks.IS_WINDOWS", False)
    found = findings(machine)
    assert found["ODBC"].state is State.OPTIONAL
    assert found["ERP connection"].state is State.MISSING
    assert "unixodbc" in found["ERP connection"].remedy


def test_drivers_are_listed_by_the_standard_library_alone() -> None:
    program = "import sys; import launcher.doctor; print({'pydantic', 'polars', 'pyodbc'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=PROJECT_DIR, capture_output=True, text=True)
    assert done.stdout.strip() == "none", done.stderr


def test_what_is_listed_is_what_the_driver_manager_knows() -> None:
    pyodbc = pytest.importorskip("pyodbc", reason="needs unixODBC (apt install unixodbc)", exc_type=ImportError)
    assert set(pyodbc.drivers()) <= set(odbc_drivers.installed_drivers())
