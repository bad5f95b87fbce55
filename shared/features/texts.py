"""What a single value says: the text under which it is compared, the numbers, words and beginnings in it."""

import math
import re
from datetime import date, datetime
from functools import lru_cache
from typing import Any

MAX_ENCODED_CHARACTERS = 2_000  # a longer text is understood by its beginning
_EPOCH = date(2000, 1, 1).toordinal()
_CODE_PART = re.compile(r"[A-Z]+|[0-9]+|[^A-Z0-9\s]+")
_SHORT = 20  # characters of a word whose pieces are kept
_SIGNS = ".,:;!?()[]{}<>\"'-_/\\|*=&"
_NUMBER = re.compile(r"[0-9]{1,15}(?:[.,][0-9]{1,15})?")


def canonical_text(value: Any) -> str | None:
    """Return a value as the upper-case text under which it is compared, or None where it is missing."""
    if value is None:
        return None
    text = " ".join(str(value)[:MAX_ENCODED_CHARACTERS].upper().split())
    return text or None


def scale_number(value: Any) -> float | None:
    """Return a size as it is and a day as days since 2000; None, what is no number and infinities are missing."""
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return float(value.toordinal() - _EPOCH)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def day_of(days: float) -> date:
    """Return the day that `scale_number` made a number of."""
    return date.fromordinal(_EPOCH + int(days))


def numbers_in(text: str) -> list[float]:
    """Return the numbers in a canonical text, from left to right; a point or a comma starts the decimals."""
    return [float(found.replace(",", ".")) for found in _NUMBER.findall(text)]


def written_numbers(text: str) -> list[str]:
    """Return the numbers in a canonical text as they are written."""
    return _NUMBER.findall(text)


def without_numbers(text: str) -> str:
    """Return a canonical text with `#` for every number: texts that differ only in numbers become one."""
    return _NUMBER.sub("#", text)


def words_in(text: str) -> list[str]:
    """Return the words of a canonical text without the signs around them; a sign that stands alone is no word."""
    return [word for part in text.split() if (word := part.strip(_SIGNS))]


def code_beginnings(text: str) -> list[str]:
    """Return a code's beginnings, each one part longer: letters, digits and separators are parts."""
    beginnings: list[str] = []
    for part in _CODE_PART.finditer(text):
        start, end = part.span()
        if end - start > 3 and text[start].isdigit():  # long digit runs are hierarchical too
            beginnings += [text[:cut] for cut in range(start + 2, end, 2)]
        beginnings.append(text[:end])
    return beginnings or [text]


def text_pieces(text: str) -> list[str]:
    """Return a text's pieces: its words, and every three letters of each padded word."""
    pieces: list[str] = []
    for word in text.split():
        pieces += _short_pieces(word) if len(word) <= _SHORT else _word_pieces(word)
    return pieces


def _word_pieces(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return (word, *[padded[start : start + 3] for start in range(len(padded) - 2)])


@lru_cache(maxsize=4096)
def _short_pieces(word: str) -> tuple[str, ...]:
    """Keep the pieces of words that come again and again; long ones would fill the memory."""
    return _word_pieces(word)
