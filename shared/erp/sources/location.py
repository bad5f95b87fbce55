"""Where an ERP's data lies: a folder of files, or a database behind ODBC; told apart and shown without secrets."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from shared.errors import SetupError
from shared.settings import Settings

_ATTRIBUTE = re.compile(r"\s*([^=;{}]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|$)")
_CONNECTION = re.compile(r"(?i)^\s*(driver|dsn|filedsn|server)\s*=")
# What a connection string may show of itself; user names, passwords and whatever else stays hidden.
ODBC_PREFIX = "ODBC "
_SHOWN = ("driver", "dsn", "filedsn", "server", "servername", "host", "port", "database", "dbq")


@dataclass(frozen=True)
class FolderLocation:
    """A folder of CSV, Parquet and XLSX files."""

    folder: Path

    @property
    def shown(self) -> str:
        """The folder's path."""
        return str(self.folder)


@dataclass(frozen=True)
class OdbcLocation:
    """A database behind an ODBC connection string."""

    connection: SecretStr

    @property
    def shown(self) -> str:
        """The connection string without its user, password and unusual attributes: safe to store and to log."""
        attributes = connection_attributes(self.connection.get_secret_value())
        return ODBC_PREFIX + ";".join(f"{name}={value}" for name, value in attributes.items() if name in _SHOWN)


Location = FolderLocation | OdbcLocation


def connection_attributes(connection: str) -> dict[str, str]:
    """Return a connection string's attributes by lower-case name, braces around values kept; the first one counts."""
    attributes: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(connection):
        attributes.setdefault(name.casefold(), value.strip())
    return attributes


def location_of(text: str) -> Location:
    """Return the location that a person named: an ODBC connection string, or else a folder's path."""
    if _CONNECTION.match(text):
        return OdbcLocation(SecretStr(text.strip()))
    return FolderLocation(Path(text))


def own_location(settings: Settings) -> Location:
    """Return where this instance's ERP lies.

    Raises:
        SetupError: both a folder and a connection are set.
    """
    connection = settings.erp_connection.get_secret_value().strip()
    if not connection:
        return FolderLocation(settings.source_folder)
    if settings.source:
        raise SetupError(
            "ROUTING_SOURCE names a folder and ROUTING_ERP_CONNECTION a database: only one can be read.",
            remedy="Unset one of them.",
        )
    return OdbcLocation(SecretStr(connection))
