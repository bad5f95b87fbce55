"""Reads the chain and says which row is wrong, and how."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Engine, select

from shared.audit.events import EVENTS, HASH, MAC, NO_HASH, SEQUENCE, STORED, hash_of

ROWS_AT_ONCE = 2_000
MOST_FINDINGS = 1_000  # kept; the others are counted


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with the audit, at or about the event of this number."""

    sequence: int
    problem: str
    found: str = ""  # the hash that belongs to what is there now


@dataclass(kw_only=True)
class ChainReport:
    """What a reading of the chain found: how far it goes, and what is wrong with it."""

    events: int = 0
    sequence: int = 0  # of the last event
    hash: str = NO_HASH  # of the last event
    mac: str = ""  # of the last event
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0  # beyond those kept
    at_seal: tuple[str, str] | None = None  # hash and code of the event that was sealed, where it is there

    def add(self, sequence: int, problem: str, found: str = "") -> None:
        """Note a finding; beyond a bound they are only counted."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(sequence=sequence, problem=problem, found=found))
        else:
            self.more_findings += 1


def check_chain(
    rows: Iterable[Sequence[Any]],
    *,
    after: int = 0,
    previous: tuple[str, str] = (NO_HASH, ""),
    sealed: int = 0,
    mac_of: Callable[[str], str] | None = None,
) -> ChainReport:
    """Check rows (values in the order of `STORED`) after the event of number `after`; `previous`: its hash and code.

    Those beyond the number `sealed` must bear the code that `mac_of` makes of their hash; the report tells hash and
    code of the event of that number.
    """
    report = ChainReport()
    expected, events, stored, code = after, 0, *previous
    link = stored + code
    for row in rows:
        events += 1
        expected += 1
        number, stored, code = row[SEQUENCE], row[HASH], row[MAC]
        if number != expected:
            report.add(number, _misplaced(number, expected))
            expected = number
        try:
            computed = hash_of(row, link)
        except TypeError:  # a value that no JSON holds, such as bytes in place of a text
            computed = ""
        if computed != stored:
            report.add(number, "its content, or what stands before it, is not what its hash was made of", computed)
        if number == sealed:
            report.at_seal = (stored, code)
        elif number > sealed and mac_of is not None and code != mac_of(stored):
            report.add(number, "this installation did not write it: it lacks the code of its key", computed)
        link = f"{stored}{code}"
    report.events, report.sequence, report.hash, report.mac = events, expected, stored, code
    return report


def _misplaced(number: int, expected: int) -> str:
    if number < expected:
        return f"it stands where event {expected} is expected: a number is there twice, or events were put in"
    missing = f"event {expected} is" if number == expected + 1 else f"events {expected} to {number - 1} are"
    return f"{missing} missing before it"


@contextmanager
def stored_rows(engine: Engine, *, after: int = 0) -> Iterator[Iterator[Sequence[Any]]]:
    """Yield the rows beyond the event of number `after`, in order, read a few at a time from one state."""
    columns = [EVENTS.c[name] for name in STORED]
    wanted = select(*columns).where(EVENTS.c.sequence > after).order_by(EVENTS.c.sequence)
    statement = str(wanted.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection, connection.begin():
        driver: Any = connection.connection.driver_connection  # its own tuples: millions of rows are read at a check
        # PostgreSQL would send all rows at once, but for a cursor that the server keeps under a name.
        with closing(driver.cursor(name="audit") if engine.dialect.name == "postgresql" else driver.cursor()) as cursor:
            cursor.execute(statement)
            yield chain.from_iterable(iter(partial(cursor.fetchmany, ROWS_AT_ONCE), []))
