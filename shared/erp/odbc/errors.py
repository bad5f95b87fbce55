"""From a driver's error to the product's: whether trying again may help, what to do, and nothing secret in it."""

import re

from shared.erp.sources.location import connection_attributes
from shared.errors import SourceError, SourceUnavailable

_SECRET = ("pwd", "password", "uid", "user", "user id", "username", "userid", "token", "accesstoken")
_SECRET_ATTRIBUTE = re.compile(rf"(?i)\b({'|'.join(_SECRET)})\s*=\s*(\{{(?:[^}}]|\}}\}})*\}}|[^;\s\"')]*)")
_NOISE = re.compile(r"^\[\w{5}\]\s*|\[[^\]]*\](?=\[)|\s*\(\d+\)(?=\s*(\(\d+\)\s*)?\(SQL\w+\))|\s*\(SQL\w+\)")

# SQLSTATEs, by their beginnings, of a database that does not answer now but may later.
_AWAY = ("08", "HYT0", "HY008", "57", "53", "40001", "40P01", "55P03", "58", "XX000")
_LOGIN = ("28",)
_NO_TABLE = ("42S02", "42P01", "S0002")
_NO_COLUMN = ("42S22", "42703", "S0022")
_FORBIDDEN = ("42501",)
_DRIVER = ("IM",)
_READ_ONLY = ("25006",)

# Drivers give some faults a state that fits badly, or none; the words tell.
_REFUSED = re.compile(
    r"(?i)authentication failed|login failed|no pg_hba\.conf entry|role .* does not exist|database .* does not exist"
    r"|cannot open database|not allowed to connect|no password supplied|permission denied for database"
)
_CERTIFICATE = re.compile(r"(?i)certificate|ssl provider|ssl routines|self.signed")
_CANNOT_LOAD = re.compile(r"(?i)can't open lib|could not be loaded|specified driver|data source name not found")
_WENT_AWAY = re.compile(
    r"(?i)server closed the connection|connection (was |has been )?(lost|reset|closed|refused|terminated|is broken)"
    r"|could not (connect|receive|send)|no connection to the server|communication link|interrupted|time-? ?out"
    r"|timed out|database (table )?is locked|database is busy|terminating connection|deadlock|could not lock file"
    r"|in exclusive mode|already in use|not a valid connection|connection is (bad|dead)|broken pipe|unexpectedly"
)
_FORBIDDEN_WORDS = re.compile(r"(?i)permission (was )?denied|not authorized|readonly database|read-only")


class Scrubber:
    """Takes the user, the password and every attribute like them out of a text."""

    def __init__(self, connection: str) -> None:
        values = {
            value.strip("{}").replace("}}", "}")
            for name, value in connection_attributes(connection).items()
            if name in _SECRET and value.strip("{}")
        }
        raw = {value for name, value in connection_attributes(connection).items() if name in _SECRET and value}
        every = sorted(values | raw, key=len, reverse=True)
        self._values = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in every)) if every else None

    def clean(self, text: str) -> str:
        """Return the text with stars in place of secrets, in one line."""
        text = _SECRET_ATTRIBUTE.sub(r"\1=***", text)
        if self._values is not None:
            text = self._values.sub("***", text)
        return re.sub(r"\s+", " ", text).strip()


def explained(error: BaseException, *, doing: str, name: str, scrubber: Scrubber) -> SourceError:
    """Return the error that says what went wrong while doing something.

    Args:
        error: what pyodbc raised.
        doing: what was done, as the beginning of a sentence: "Connecting to", "Reading items from".
        name: what the source is called.
        scrubber: knows what must not be said.
    """
    state, said = _parts(error)
    words = scrubber.clean(_NOISE.sub("", said)).rstrip(".")
    kind, remedy = _judged(state, said)
    return kind(f"{doing} {name} failed: {words or 'the driver does not say why'}.", remedy=remedy, sqlstate=state)


def _parts(error: BaseException) -> tuple[str, str]:
    """Return the SQLSTATE, empty where there is none, and the driver's words."""
    words = [str(part) for part in error.args]
    if len(words) >= 2 and re.fullmatch(r"\w{5}", words[0]):
        return words[0], words[1]
    return "", " ".join(words) or type(error).__name__


def _judged(state: str, said: str) -> tuple[type[SourceError], str]:
    """Return the class of the error and what to do about it."""
    if state.startswith(_DRIVER) or (state in ("01000", "") and _CANNOT_LOAD.search(said)) or _CANNOT_LOAD.search(said):
        return SourceError, "Install the driver, or correct Driver or DSN in the connection string; docs/ODBC.md helps."
    if state.startswith(_LOGIN) or _REFUSED.search(said):
        return SourceError, "Check user, password, database and the rights of the login."
    if _CERTIFICATE.search(said):
        return (
            SourceError,
            "The server's certificate is not trusted; docs/ODBC.md says what Encrypt and TrustServerCertificate mean.",
        )
    if state.startswith(_NO_TABLE):
        return SourceError, "Check the names of tables and views, and whether the login may see them."
    if state.startswith(_NO_COLUMN):
        return SourceError, "Check the names of columns."
    if state.startswith(_FORBIDDEN + _READ_ONLY) or _FORBIDDEN_WORDS.search(said):
        return SourceError, "The session only reads; the login needs the right to SELECT from what the profile names."
    if state.startswith(_AWAY) or _WENT_AWAY.search(said):
        return SourceUnavailable, "Try again; docs/ODBC.md says which time-outs there are."
    if state.startswith("42"):
        return (
            SourceError,
            "Correct the query in the profile; it runs in the database's own SQL, as a part of another one.",
        )
    return SourceError, "docs/ODBC.md lists common faults of drivers."
