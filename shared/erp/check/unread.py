"""Which tables of the source the profile does not read, and which of those look as if they belonged to one it reads."""

import re
from collections.abc import Iterator, Sequence

from shared.erp.findings import Finding, Severity
from shared.erp.profiles.model import Profile, SourceTable
from shared.erp.sources.source import Source
from shared.errors import SourceError, SourceUnavailable

_MOST_COMPARED = 100  # tables whose columns are asked for
_ALIKE = 0.8  # the share of their columns that two tables must have in common to be parts of one
_LEAST_COLUMNS = 3
_SHORTEST_STEM = 3
_SHOWN = 12
_ANY = "*"


def unread_tables(profile: Profile, tables: Sequence[str]) -> list[str]:
    """Return the source's tables that no part of the profile reads, in the source's order."""
    read = {name for mapping in _mappings(profile).values() for name in _read(mapping, tables)}
    return [name for name in tables if name not in read]


def check_unread(source: Source, profile: Profile, unread: Sequence[str]) -> Iterator[Finding]:
    """Yield a warning for each unread table that looks like a used one, and a hint with the names of all."""
    if not unread:
        return
    tables = source.tables
    columns = {name: _columns(source, name) for name in unread[:_MOST_COMPARED]}
    alike: dict[str, tuple[str, str]] = {}
    for field, mapping in _mappings(profile).items():
        for used in _read(mapping, tables):
            known = _columns(source, used)
            for name, its in columns.items():
                if _belongs(name, used, its, known):
                    alike.setdefault(name, (field, used))
    for name, (field, used) in alike.items():
        yield Finding(
            severity=Severity.WARNING,
            field=field,
            message=f"{name} looks like {used} and is not read.",
            remedy=f"If its rows count too, list both in {field}.tables; else leave it.",
        )
    shown = ", ".join(unread[:_SHOWN]) + (", …" if len(unread) > _SHOWN else "")
    message = f"{len(unread)} table(s) of the source are not read: {shown}."
    remedy = "Make sure that none of them holds items, planned steps or reported work."
    yield Finding(severity=Severity.HINT, field="source", message=message, remedy=remedy)


def _mappings(profile: Profile) -> dict[str, SourceTable]:
    return {"items": profile.items, "routings": profile.routings, "work_results": profile.work_results}


def _read(mapping: SourceTable, tables: Sequence[str]) -> list[str]:
    """Return the source's tables that a mapping reads: those listed or named in its query, or the first that is there.

    A table's name may go without its schema.
    """
    if mapping.sql is not None:
        return [name for name in tables if re.search(rf"(?<!\w){re.escape(_bare(name))}(?!\w)", mapping.sql, re.I)]
    if mapping.tables is not None:
        return [name for wanted in mapping.tables for name in _named(wanted, tables)]
    return next(filter(None, (_named(wanted, tables) for wanted in mapping.table or ())), [])


def _named(wanted: str, tables: Sequence[str]) -> list[str]:
    fits = re.compile(re.escape(wanted).replace(re.escape(_ANY), ".*"), re.IGNORECASE).fullmatch
    return [name for name in tables if fits(name)] or [name for name in tables if fits(_bare(name))]


def _bare(name: str) -> str:
    return name.rpartition(".")[2] or name


def _columns(source: Source, name: str) -> list[str]:
    try:
        return source.columns(SourceTable(table=(name,)))
    except SourceUnavailable:
        raise
    except SourceError:
        return []


def _belongs(name: str, used: str, columns: Sequence[str], known: Sequence[str]) -> bool:
    if len(_stem(name)) >= _SHORTEST_STEM and _stem(name) == _stem(used):
        return True
    mine, its = ({column.casefold() for column in each} for each in (columns, known))
    return len(mine & its) >= max(_LEAST_COLUMNS, _ALIKE * len(mine | its))


def _stem(name: str) -> str:
    """Return a table's name without digits and punctuation: `REPORTS_2023` and `reports 2024-25` are one."""
    return re.sub(r"[\W\d_]+", "", name).casefold()
