"""Which ODBC drivers a machine has, which ones a database needs, and how to get them; standard library only.

The launcher's doctor reads this before anything is installed.
"""

import configparser
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OTHER_PLACES = ("/usr/local/etc", "/opt/homebrew/etc")  # of unixODBC that was not installed by the system
_ODBCINST = "odbcinst.ini"
_REGISTRY_KEY = r"SOFTWARE\ODBC\ODBCINST.INI\ODBC Drivers"


@dataclass(frozen=True)
class DriverKind:
    """The drivers for one database system, told by parts of their names, and how to install one."""

    system: str
    marks: tuple[str, ...]  # in lower case; one of them stands in the name of every driver for this system
    windows: str
    debian: str

    @property
    def remedy(self) -> str:
        """How to install a driver for it on either system."""
        return f"{self.system}: on Windows {self.windows}; on Debian/Ubuntu {self.debian}."


KINDS = (
    DriverKind(
        "SQL Server",
        ("sql server", "msodbcsql", "freetds", "tdsodbc"),
        "`winget install Microsoft.msodbcsql.18` (its name is then `ODBC Driver 18 for SQL Server`)",
        "`apt install tdsodbc` (its name is then `FreeTDS`), or Microsoft's package msodbcsql18",
    ),
    DriverKind(
        "PostgreSQL",
        ("postgresql", "psqlodbc"),
        "psqlODBC from https://odbc.postgresql.org (its name is then `PostgreSQL Unicode(x64)`)",
        "`apt install odbc-postgresql` (its name is then `PostgreSQL Unicode`)",
    ),
    DriverKind(
        "Access",
        ("access", "mdbtools", "mdbodbc"),
        "the Microsoft Access Database Engine 2016 Redistributable, with as many bits as Python has "
        "(its name is then `Microsoft Access Driver (*.mdb, *.accdb)`)",
        "`apt install odbc-mdbtools` (its name is then `MDBTools`)",
    ),
    DriverKind(
        "SQLite",
        ("sqlite",),
        "the SQLite ODBC driver from http://www.ch-werner.de/sqliteodbc (its name is then `SQLite3 ODBC Driver`)",
        "`apt install libsqliteodbc` (its name is then `SQLite3`)",
    ),
)


def kind_of(driver: str) -> DriverKind | None:
    """Return the kind that a driver's name or library belongs to, or None."""
    folded = driver.casefold()
    return next((kind for kind in KINDS if any(mark in folded for mark in kind.marks)), None)


def driver_in(connection: str) -> str:
    """Return the driver's name or library that a connection string names, without braces; empty where it names none."""
    found = re.search(r"(?i)(?:^|;)\s*driver\s*=\s*(?:\{([^}]*)\}|([^;]*))", connection)
    return (found[1] or found[2] or "").strip() if found else ""


def is_installed(driver: str, installed: Iterable[str]) -> bool:
    """Tell whether a driver is one of those installed, by name in any case, or a library that lies where it says."""
    if "/" in driver or "\\" in driver:
        return Path(driver).is_file()
    return driver.casefold() in {name.casefold() for name in installed}


def driver_remedy(driver: str, installed: Iterable[str]) -> str:
    """Return what to do about a driver that is not installed.

    Args:
        driver: the name that the connection string gives.
        installed: the names of the drivers that this machine has.
    """
    known = ", ".join(installed)
    kind = kind_of(driver)
    advice = kind.remedy if kind else " ".join(kind.remedy for kind in KINDS)
    return f"Installed are: {known or 'none'}. {advice}"


def installed_drivers() -> tuple[str, ...]:
    """Return the names of the drivers that are registered on this machine, sorted."""
    names = _registered() if sys.platform == "win32" else _configured()
    return tuple(sorted(names, key=str.casefold))


def _registered() -> set[str]:
    if sys.platform != "win32":
        return set()
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY_KEY) as key:
            return {winreg.EnumValue(key, index)[0] for index in range(winreg.QueryInfoKey(key)[1])}
    except OSError:
        return set()


def _configured() -> set[str]:
    return {name for file in _driver_files() for name in _sections(file)}


def _driver_files() -> list[Path]:
    """Return unixODBC's lists of drivers: the system's and the user's, wherever its variables moved them."""
    folder = Path(os.environ.get("ODBCSYSINI") or "/etc")
    system = folder / (os.environ.get("ODBCINSTINI") or _ODBCINST)
    others = [Path(place) / _ODBCINST for place in OTHER_PLACES]
    return [system, *others, Path.home() / f".{_ODBCINST}"]


def _sections(file: Path) -> set[str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        return set()
    return {name for name in parser.sections() if name.casefold() not in ("odbc", "odbc drivers")}
