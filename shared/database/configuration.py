"""The live configuration's versions: the newest row is in force, the shipped defaults before there is one."""

import threading
from builtins import list as list_of
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.configuration import Configuration, default_configuration
from shared.database.engine import reading, writing
from shared.database.tables import ConfigurationVersion
from shared.errors import Conflict, InvalidInput, SetupError

log = structlog.get_logger()
Document = dict[str, Any]
MOST_FIELDS = 50


class ConfigurationStore:
    """Reads the configuration in force and changes it, one validated version after the other."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep versions in `engine`'s database."""
        self._engine = engine
        self._clock = clock
        self._known: tuple[int, Configuration] = (0, default_configuration())
        self._knowing = threading.Lock()

    def current(self) -> tuple[int, Configuration]:
        """Return the version number and configuration in force; number 0 is the shipped defaults.

        Raises:
            SetupError: the stored document breaks a rule of this release.
        """
        with reading(self._engine) as session:
            newest = session.exec(select(func.max(ConfigurationVersion.version))).one() or 0
            with self._knowing:
                known = self._known
            if newest == known[0]:
                return known
            row = session.get(ConfigurationVersion, newest)
        found = (0, default_configuration()) if row is None else (row.version, _configuration_of(row))
        with self._knowing:
            self._known = found
        return found

    def known(self) -> Configuration:
        """Return the configuration as this process last read or changed it, without asking the database."""
        with self._knowing:
            return self._known[1]

    def known_version(self) -> int:
        """Return the number of that version; 0 is the shipped defaults, -1 that it is to be read again."""
        with self._knowing:
            return self._known[0]

    def forget(self) -> None:
        """Read the stored document again at the next `current`; until then what is known stays known."""
        with self._knowing:
            self._known = (-1, self._known[1])

    def patch(self, changes: Document, actor: str) -> tuple[int, Configuration]:
        """Merge nested `changes` into the configuration in force and make the result the next version.

        A null removes a key of a free mapping (a feature's weight). Changes that change nothing make no version.

        Raises:
            InvalidInput: an unknown field or a value against its rule; `facts["errors"]` names each field.
            Conflict: somebody else changed it at the same moment.
        """
        number, now_in_force = self.current()
        before = now_in_force.model_dump(mode="json")
        after = _validated(_merged(before, changes))
        document = after.model_dump(mode="json")
        differences = _differences(before, document)
        if not differences:
            return number, now_in_force
        row = ConfigurationVersion(
            version=number + 1, document=document, changes=differences, actor=actor[:128], created_at=self._clock()
        )
        try:
            with writing(self._engine) as session:
                _refuse_if_newer(session, number)
                session.add(row)
                note(
                    session, "configuration.changed", number + 1, actor=actor,
                    before={"version": number} | {path: change["before"] for path, change in differences.items()},
                    after={"version": number + 1} | {path: change["after"] for path, change in differences.items()},
                )  # fmt: skip
        except IntegrityError as error:
            raise _changed_meanwhile() from error
        with self._knowing:
            self._known = (number + 1, after)
        log.info("configuration.changed", version=number + 1, actor=actor, changes=differences)
        return number + 1, after

    def changed_since(self, moment: datetime, prefixes: tuple[str, ...]) -> bool:
        """Return whether a field whose path begins with one of `prefixes` was changed after `moment`."""
        later = select(ConfigurationVersion.changes).where(ConfigurationVersion.created_at > moment)
        with reading(self._engine) as session:
            return any(path.startswith(prefixes) for changes in session.exec(later).all() for path in changes)

    def history(self, *, limit: int = 50, offset: int = 0) -> tuple[list_of[ConfigurationVersion], int]:
        """Return the versions, newest first, with actor, time and before/after of each change, and their number."""
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(ConfigurationVersion)).one()
            newest_first = select(ConfigurationVersion).order_by(col(ConfigurationVersion.version).desc())
            rows = session.exec(newest_first.limit(limit).offset(offset)).all()
        return list_of(rows), total


def _configuration_of(row: ConfigurationVersion) -> Configuration:
    """Read a stored document; fields that came with a later release take their shipped defaults."""
    try:
        return Configuration.model_validate(_merged(default_configuration().model_dump(mode="json"), row.document))
    except ValidationError as error:
        raise SetupError(
            f"Version {row.version} of the live configuration breaks a rule of this release: "
            f"{_listed(_problems(error))}.",
            remedy="Run the release that wrote it, or remove that row from configuration_versions.",
        ) from error


def _validated(document: Document) -> Configuration:
    try:
        return Configuration.model_validate(document, strict=True)
    except ValidationError as error:
        problems = _problems(error)
        raise InvalidInput(
            f"The configuration was not changed: {_listed(problems)}.",
            remedy="GET /api/config and `manage.py config show` show every field with its value.",
            errors=problems,
        ) from error


def _problems(error: ValidationError) -> list_of[dict[str, str]]:
    """Name the first fields of a document that break a rule; a caller's own names may be long and many."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_FIELDS]
    return [
        {"field": ".".join(str(part)[:100] for part in e["loc"]), "message": _why(e["type"], e["msg"])} for e in found
    ]


def _why(kind: str, message: str) -> str:
    return "There is no such field" if kind == "extra_forbidden" else message


def _listed(problems: list_of[dict[str, str]]) -> str:
    return "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems[:5])


def _merged(base: Document, changes: Document) -> Document:
    merged = dict(base)
    for name, value in changes.items():
        kept = merged.get(name)
        if isinstance(value, dict) and isinstance(kept, dict):
            merged[name] = _merged(kept, value)
        elif value is None and name in merged and not isinstance(kept, dict):
            del merged[name]  # a required field is then reported as missing
        else:
            merged[name] = value
    return merged


def _differences(before: Document, after: Document, prefix: str = "") -> Document:
    found: Document = {}
    for name in sorted(before.keys() | after.keys()):
        path, old, new = f"{prefix}{name}", before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= _differences(old, new, f"{path}.")
        elif old != new:
            found[path] = {"before": old, "after": new}
    return found


def _refuse_if_newer(session: Session, number: int) -> None:
    if (session.exec(select(func.max(ConfigurationVersion.version))).one() or 0) != number:
        raise _changed_meanwhile()


def _changed_meanwhile() -> Conflict:
    return Conflict(
        "The configuration was changed by somebody else at the same moment.",
        remedy="Look at the current values, and ask again.",
    )
