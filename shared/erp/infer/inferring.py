"""A first profile for a source that nobody has described: tables, keys, columns, units, each guess with its reason.

What is proposed loads and reads. It is a beginning for a person, who knows what the names mean, and for `profiles
check`, which finds what the guesses got wrong.
"""

import csv
import gzip
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import yaml

from shared.erp import parsing
from shared.erp.check.checking import check_profile
from shared.erp.check.unread import unread_tables
from shared.erp.findings import CheckReport, Severity
from shared.erp.infer.columns import Column, has_decimal_comma, look_at, null_words
from shared.erp.infer.draft import Draft
from shared.erp.infer.items import item_attributes
from shared.erp.infer.joined import joined_tables
from shared.erp.infer.queries import Dialect
from shared.erp.infer.siblings import merged_work, siblings
from shared.erp.infer.steps import Steps, routing_steps, work_steps
from shared.erp.infer.tables import Roles, Table, candidate_columns, find_roles
from shared.erp.infer.text import profile_text
from shared.erp.issues import IssueLog
from shared.erp.profiles.model import DEFAULT_DATE_FORMATS, NAME, SourceRules, SourceTable, parse_profile
from shared.erp.sources.location import FolderLocation, Location
from shared.erp.sources.opening import open_source
from shared.erp.sources.source import Source
from shared.erp.units import MINUTES_PER, TimeUnit
from shared.errors import ProfileError, RoutingError, SourceError

_ROWS_LOOKED_AT = 50_000
_DELIMITERS = ",;\t|"
_HEADER_BYTES = 1 << 16
_NEAR_ONE = math.log(3)  # booked over planned time: nearer to 1 than this, a unit fits
_CHECKED_ROWS = 50_000


@dataclass(frozen=True)
class Proposal:
    """A profile as text, and what a person should know before trusting it."""

    text: str
    notes: list[str]


def propose_profile(location: Location, *, name: str) -> Proposal:
    """Return a first profile for an unknown source.

    Args:
        location: the folder or database.
        name: the new profile's name: lower case, digits, - and _.

    Raises:
        SourceError: the source cannot be opened, or no table in it looks like items.
        ProfileError: the name cannot be a profile's.
    """
    if not re.match(NAME, name):
        raise ProfileError(
            f"{name!r} is no name of a profile.", remedy="Use lower-case letters, digits, - and _, at most 64 of them."
        )
    rules = SourceRules(delimiter=_delimiter(location))
    notes: list[str] = []
    with open_source(location, rules, IssueLog()) as source:
        tables = _tables(source, notes)
    comma = has_decimal_comma([_texts(table) for table in tables])
    if comma:
        tables = [_read_again(table) for table in tables]
    roles = find_roles(tables)
    if roles is not None:
        joined = joined_tables(roles, tables, Dialect(location))
        roles = find_roles([*tables, *joined]) if joined else roles
    if roles is None:
        raise SourceError(
            f"No table of {location.shown} looks like items: none has a column of distinct codes that others refer to.",
            remedy=f"It holds {', '.join(table.name for table in tables) or 'no table'}. Write the profile by hand: "
            "docs/PROFILES.md shows one.",
        )
    draft = _draft(name, location, rules.delimiter, comma, roles, tables, notes)
    draft = _corrected_by_times(draft, location)
    _note_unused(draft, tables)
    return Proposal(profile_text(draft), draft.notes)


def _note_unused(draft: Draft, tables: list[Table]) -> None:
    """Note the tables that nothing reads, and the flags of planned steps that may say which of them count."""
    profile = parse_profile(yaml.safe_load(profile_text(draft)), source="the proposal")
    unused = unread_tables(profile, [table.name for table in tables])
    if unused:
        draft.notes.append(f"Not read: {', '.join(unused)}. Make sure that none of them holds what is missing here.")
    if not draft.work_columns or draft.routing is None or draft.routing.table is draft.roles.items:
        named = [table for table in tables if table.name in unused and table.rows]
        draft.notes += [f"{table.name} might serve: {said}." for table in named if (said := candidate_columns(table))]
    flags = [] if draft.routing is None else [column.name for column in draft.routing.free() if column.is_flag]
    if flags and draft.routing is not None and draft.routing.table is not draft.roles.items:
        draft.notes.append(f"routings: {', '.join(flags)} are flags. Filter by those that say which steps count.")


def _delimiter(location: Location) -> str:
    """Return the character that parts the fields of most CSV files of a folder, judged by their headers."""
    votes: Counter[str] = Counter()
    if isinstance(location, FolderLocation) and location.folder.is_dir():
        for path in sorted(location.folder.iterdir()):
            if path.name.lower().endswith((".csv", ".csv.gz")):
                header = _header(path)
                fields = {mark: len(next(csv.reader(io.StringIO(header), delimiter=mark), [])) for mark in _DELIMITERS}
                best = max(fields, key=lambda mark: fields[mark])
                votes[best] += fields[best] > 1
    return votes.most_common(1)[0][0] if votes and votes.most_common(1)[0][1] else ","


def _header(path: Path) -> str:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as stream:
        raw: bytes = stream.read(_HEADER_BYTES)
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return raw.decode(encoding, errors="replace").partition("\n")[0].strip()


def _tables(source: Source, notes: list[str]) -> list[Table]:
    """Return what the tables hold; one that cannot be read is noted and left out."""
    tables = []
    for name in source.tables:
        origin = SourceTable(table=(name,))
        try:
            known = source.columns(origin)
            frame = _first_rows(source, origin, known)
        except SourceError as error:
            notes.append(f"{name} was left out: {error.detail}")
            continue
        columns = {column: look_at(column, frame[column], decimal_comma=False) for column in known}
        table = Table(name, columns, frame.height)
        _note_keys(source, origin, table)
        tables.append(table)
    return tables


def _first_rows(source: Source, origin: SourceTable, known: Sequence[str]) -> pl.DataFrame:
    frames, rows = [], 0
    for batch in source.batches(origin, known):
        frames.append(batch.head(_ROWS_LOOKED_AT - rows))
        rows += frames[-1].height
        if rows >= _ROWS_LOOKED_AT:
            break
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(known, pl.String))


def _note_keys(source: Source, origin: SourceTable, table: Table) -> None:
    """Note the columns that could be the table's key, with all their values, also beyond the rows looked at."""
    for name, column in table.columns.items():
        if column.is_mostly_unique and not column.is_day and table.rows > 1 and not _is_measured(column):
            values = table.sets[name]
            if table.rows >= _ROWS_LOOKED_AT:
                texts = [batch[name].cast(pl.String).str.strip_chars() for batch in source.batches(origin, [name])]
                values = frozenset(pl.concat(texts).drop_nulls().str.to_uppercase())
            table.keys[name] = values


def _is_measured(column: Column) -> bool:
    return column.is_number and not column.is_whole


def _texts(table: Table) -> pl.DataFrame:
    return pl.DataFrame({name: column.said for name, column in table.columns.items()})


def _read_again(table: Table) -> Table:
    columns = {
        name: replace(look_at(name, column.said, decimal_comma=True), is_padded=column.is_padded)
        for name, column in table.columns.items()
    }
    keys = {name: values for name, values in table.keys.items() if not _is_measured(columns[name])}
    return Table(table.name, columns, table.rows, keys)


def _merge_siblings(
    dialect: Dialect, roles: Roles, tables: list[Table], routing: Steps | None, notes: list[str], *, decimal_comma: bool
) -> None:
    """Read the tables that look like parts of the reported work as one."""
    others = siblings(roles.results, tables) if roles.results is not None else []
    if roles.results is None or roles.results_item is None or roles.header_link is not None or not others:
        return
    codes = roles.items.keys[roles.item_key]
    merged, strangers = merged_work(
        roles.results, roles.results_item, others, codes, routing, dialect, decimal_comma=decimal_comma
    )
    if merged is not roles.results:
        notes.append(f"work_results: {merged.name} have like names and the same meaning, and are read as one table.")
        roles.parts = [roles.results, *(other for other in others if other not in strangers)]
        roles.results, roles.results_item = merged, "item_code"


def _draft(
    name: str, location: Location, delimiter: str, comma: bool, roles: Roles, tables: list[Table], notes: list[str]
) -> Draft:
    routing = None
    if roles.routings is not None and roles.routings_item is not None:
        routing = routing_steps(roles.routings, roles.routings_item)
        if not {"sequence", "operation_code"} <= routing.chosen.keys():
            notes.append(f"{roles.routings.name} looks like planned steps, but names no sequence or operation.")
            routing = None
    work, lent = (None, None)
    _merge_siblings(Dialect(location), roles, tables, routing, notes, decimal_comma=comma)
    if roles.results is not None:
        work, lent = work_steps(roles.results, roles.results_item, roles.header, routing)
    draft = Draft(name, location, delimiter, comma, roles, routing, work, lent, notes)
    draft.settle()
    draft.attributes, draft.left_out = item_attributes(roles.items, roles.item_key, _signatures(draft))
    used = [roles.items, *(table for table in (roles.routings, roles.results, roles.header) if table is not None)]
    columns = [column for table in used for column in table.columns.values()]
    draft.null_words = null_words(columns)
    found = [*(column.day_form for column in columns), *(column.other_form for column in columns)]
    forms = [form for form in dict.fromkeys(found) if form]
    draft.day_forms = (
        tuple(dict.fromkeys((*forms, *DEFAULT_DATE_FORMATS))) if set(forms) - set(DEFAULT_DATE_FORMATS) else ()
    )
    draft.upper_codes = _case_differs(roles)
    draft.has_future_reports = _has_future(draft)
    return draft


def _signatures(draft: Draft) -> dict[str, str]:
    """Return each item's operations in one text, from the routings, or else from the reported work."""
    for steps in filter(None, (draft.routing, draft.work)):
        columns = [steps.chosen[role].column for role in ("item_code", "operation_code") if role in steps.chosen]
        if len(columns) == 2 and set(columns) <= steps.table.columns.keys():
            operations: dict[str, set[str]] = {}
            for item, operation in zip(*(steps.table.columns[name].said for name in columns), strict=True):
                operations.setdefault(item or "", set()).add(operation or "")
            return {item: ">".join(sorted(found)) for item, found in operations.items()}
    return {}


def _case_differs(roles: Roles) -> bool:
    """Return whether other tables write some of the items' codes in other case."""
    exact = set(roles.items.columns[roles.item_key].said.drop_nulls())
    folded = {code.upper() for code in exact}
    for table, column in ((roles.routings, roles.routings_item), (roles.results, roles.results_item)):
        if table is not None and column is not None:
            others = set(table.columns[column].said.drop_nulls())
            if any(code not in exact and code.upper() in folded for code in others):
                return True
    return False


def _has_future(draft: Draft) -> bool:
    """Return whether work is reported of days to come."""
    for steps in filter(None, (draft.work, draft.lent)):
        choice = steps.chosen.get("reported_at")
        if choice is not None:
            column = steps.table.columns[choice.column]
            forms = (column.day_form or "%Y-%m-%d", *DEFAULT_DATE_FORMATS)
            days, _ = parsing.day(column.said, null_tokens=(), formats=forms)
            return bool((days > datetime.now(UTC).date()).any())
    return False


def _corrected_by_times(draft: Draft, location: Location) -> Draft:
    """Run the draft, and let the factor between booked and planned times decide what no name decided."""
    report = _checked(draft, location)
    if report is None:
        return draft
    by_lot = any(f.field == "routings.run_time" and f.severity is Severity.ERROR for f in report.findings)
    if by_lot and draft.routing is not None:
        draft.divide_by_lot = not draft.divide_by_lot
        draft.lot_why = "booked and planned times agree only so"
        report = _checked(draft, location) or report
    factor = report.times.get("booked_to_planned_run")
    if factor and report.times.get("reports_compared", 0) >= 30 and abs(math.log(factor)) > _NEAR_ONE:
        _fit_units(draft, factor)
        report = _checked(draft, location) or report
    draft.notes += [
        f"{finding.field}: {finding.message} {finding.remedy}"
        for finding in report.findings
        if finding.severity is not Severity.HINT and (draft.work_columns or finding.field != "work_results")
    ]
    return draft


def _fit_units(draft: Draft, factor: float) -> None:
    """Change the time unit that no column's name states so that booked and planned times agree."""
    for steps, toward in ((draft.routing, 1), (draft.work, -1)):
        if steps is None or steps.time_unit_column or "name of" in steps.time_unit_why:
            continue
        fits = {unit: factor**toward * MINUTES_PER[steps.time_unit] / MINUTES_PER[unit] for unit in TimeUnit}
        best = min(fits, key=lambda unit: abs(math.log(fits[unit])))
        if abs(math.log(fits[best])) < _NEAR_ONE:
            steps.time_unit = best
            steps.time_unit_why = "no name says it, but booked and planned times agree only so; look twice"
            return


def _checked(draft: Draft, location: Location) -> CheckReport | None:
    """Return what a check of the draft finds; None where it cannot be read at all, which is noted."""
    document = yaml.safe_load(profile_text(draft))
    profile = parse_profile(document, source=f"the proposal for {location.shown}")
    try:
        return check_profile(profile, location, now=datetime.now(UTC), rows=_CHECKED_ROWS)
    except RoutingError as error:
        draft.notes.append(f"The proposal could not be checked: {error.detail}")
        return None
