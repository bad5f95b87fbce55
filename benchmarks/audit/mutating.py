"""What somebody who owns the database, but not the keys, might do to an audit."""

import random
from collections.abc import Callable
from typing import Any

from shared.audit.events import HASH, HASHED, MAC, SEQUENCE, STORED, hash_of

Row = tuple[Any, ...]
Rows = list[Row]


def edit(rows: Rows, dice: random.Random) -> Rows:
    """Change any one field of any row, hash and code among them."""
    place, column = dice.randrange(len(rows)), dice.randrange(len(STORED))
    return _with(rows, place, {STORED[column]: _another(rows[place][column], dice)})


def edit_hash(rows: Rows, dice: random.Random) -> Rows:
    """Change a row and put the hash right that belongs to it, but not those that follow."""
    place = dice.randrange(len(rows))
    changed = _changed(rows[place], dice)
    return [*rows[:place], _hashed(changed, _link(rows, place)), *rows[place + 1 :]]


def delete(rows: Rows, dice: random.Random) -> Rows:
    """Take out one to five rows in the middle, as they are."""
    first = dice.randrange(len(rows) - 1)
    last = min(first + dice.randrange(1, 6), len(rows) - 1)
    return rows[:first] + rows[last:]


def delete_and_renumber(rows: Rows, dice: random.Random) -> Rows:
    """Take out a row and number those that follow anew, so that there is no gap."""
    place = dice.randrange(len(rows) - 1)
    return rows[:place] + [_numbered(row, row[SEQUENCE] - 1) for row in rows[place + 1 :]]


def reorder(rows: Rows, dice: random.Random) -> Rows:
    """Let two rows change places, with or without their numbers."""
    first, second = sorted(dice.sample(range(len(rows)), 2))
    changed = list(rows)
    changed[first], changed[second] = rows[second], rows[first]
    if dice.random() < 0.5:  # by their numbers they would be read in the old order again
        changed[first] = _numbered(changed[first], rows[first][SEQUENCE])
        changed[second] = _numbered(changed[second], rows[second][SEQUENCE])
        return changed
    return _with(_with(rows, first, {"hash": rows[second][HASH]}), second, {"hash": rows[first][HASH]})


def insert(rows: Rows, dice: random.Random) -> Rows:
    """Put in an invented row that follows from the one before it; those after it are numbered anew or not."""
    place = dice.randrange(len(rows))
    number = rows[place][SEQUENCE] if place < len(rows) else rows[-1][SEQUENCE] + 1
    invented = _hashed(_numbered(_changed(dice.choice(rows), dice), number), _link(rows, place))
    shift = dice.randrange(2)
    return [*rows[:place], invented, *(_numbered(row, row[SEQUENCE] + shift) for row in rows[place:])]


def append(rows: Rows, dice: random.Random) -> Rows:
    """Put an invented row at the end, numbered and hashed as a true one would be; its code takes a key."""
    invented = _hashed(_numbered(_changed(dice.choice(rows), dice), rows[-1][SEQUENCE] + 1), _link(rows, len(rows)))
    return [*rows, invented]


def truncate(rows: Rows, dice: random.Random) -> Rows:
    """Cut off the end, or everything."""
    return rows[: -dice.randrange(1, len(rows) + 1)]


def truncate_and_refill(rows: Rows, dice: random.Random) -> Rows:
    """Cut off the end and put as many invented rows there, numbered and hashed as true ones would be."""
    count = dice.randrange(1, min(20, len(rows)))
    changed = rows[:-count]
    for row in rows[-count:]:
        changed.append(_hashed(_changed(row, dice), _link(changed, len(changed))))
    return changed


def duplicate(rows: Rows, dice: random.Random) -> Rows:
    """Let a row be there twice: beside itself, or again at the end under the next number."""
    place = dice.randrange(len(rows))
    if dice.random() < 0.5:
        return [*rows[:place], rows[place], *rows[place:]]
    return [*rows, _numbered(rows[place], rows[-1][SEQUENCE] + 1)]


def rechain(rows: Rows, dice: random.Random) -> Rows:
    """Change a row and make every hash from there on anew, as it would have been: all but the key."""
    place = dice.randrange(len(rows))
    changed = [*rows[:place], _changed(rows[place], dice), *rows[place + 1 :]]
    for number in range(place, len(changed)):
        changed[number] = _hashed(changed[number], _link(changed, number))
    return changed


MUTATIONS: tuple[Callable[[Rows, random.Random], Rows], ...] = (
    edit, edit_hash, delete, delete_and_renumber, reorder, insert, append, truncate, truncate_and_refill, duplicate,
    rechain,
)  # fmt: skip


def _changed(row: Row, dice: random.Random) -> Row:
    column = STORED.index(dice.choice([name for name in HASHED if name != "sequence"]))
    return (*row[:column], _another(row[column], dice), *row[column + 1 :])


def _another(value: Any, dice: random.Random) -> Any:
    """A value of the same type that is not this one: one character or bit away, or quite another."""
    if isinstance(value, int):
        return value + dice.choice((-1, 1, 7, 1_000_000))
    if not value:
        return "x"
    kind, place = dice.randrange(4), dice.randrange(len(value))
    other = dice.choice("0123456789abcdefxyz _é")
    return {
        0: value[:place] + value[place + 1 :],
        1: value + other,
        2: "" if dice.random() < 0.5 else None,
        3: value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :],
    }[kind]


def _numbered(row: Row, number: int) -> Row:
    return (*row[:SEQUENCE], number, *row[SEQUENCE + 1 :])


def _hashed(row: Row, link: str) -> Row:
    computed = hash_of(row, link)
    return tuple(computed if place == HASH else value for place, value in enumerate(row))


def _link(rows: Rows, place: int) -> str:
    return "0" * 64 if place == 0 else f"{rows[place - 1][HASH]}{rows[place - 1][MAC]}"


def _with(rows: Rows, place: int, values: dict[str, Any]) -> Rows:
    row = tuple(values.get(name, value) for name, value in zip(STORED, rows[place], strict=True))
    return [*rows[:place], row, *rows[place + 1 :]]
