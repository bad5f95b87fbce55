"""What trees read of one attribute: a size as it is; of a text its rank by frequency, its numbers and beginnings."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import AttributeKind
from shared.features.distinct import Distinct
from shared.features.texts import canonical_text, numbers_in, scale_number, without_numbers, written_numbers

MAX_CATEGORIES = 254  # of one feature; all others share the code that follows the last
MISSING = float("nan")
LARGEST = 1e30  # a size beyond it counts as this: still finite in 32 bits
_LEAST_ITEMS = 2  # a text that a single item has is not a category of its own: it tells nothing about another item
_NUMBERS = 3
_BEGINNINGS = (2, 3, 4, 6)  # characters; of these, the ones that say something new, at most two
_LEAST_SIZES = 8  # fewer different numbers are told apart as categories, unless there are too many texts for that
_LEAST_SHARE = 0.01  # of the items that must have a number
_LEAST_PADDED = 0.01  # of the different numbers: so many with leading zeros make all of them names
_NAME_DIGITS = 5  # numbers that all have so many digits, no more and no fewer, are names (four may be years)


@dataclass(frozen=True, kw_only=True)
class NumberReader:
    """A size, or a day as days since 2000."""

    kind: ClassVar[str] = "number"
    name: str

    @property
    def features(self) -> list[tuple[str, bool]]:
        """Name each feature and tell whether it is a category."""
        return [(self.name, False)]

    def read(self, value: Any) -> list[float]:
        """Return the features of a value."""
        number = scale_number(value)
        return [MISSING if number is None else min(max(number, -LARGEST), LARGEST)]

    def rows(self, column: Distinct) -> npt.NDArray[np.float32]:
        """Return the features of a column, (items, features)."""
        numbers = np.clip(np.asarray(column.values, dtype=np.float64), -LARGEST, LARGEST)
        return numbers.astype(np.float32)[column.places, None]

    def state(self) -> dict[str, Any]:
        """Return the reader as plain values."""
        return {"kind": self.kind, "name": self.name}


@dataclass(frozen=True, kw_only=True)
class TextReader:
    """A category, a code or a text: its rank, the text without its numbers, the numbers, beginnings."""

    kind: ClassVar[str] = "text"
    name: str
    ranks: dict[str, int]  # whole text -> code, most frequent first
    patterns: dict[str, int]  # text without its numbers -> code; empty where it says nothing new
    numbers: tuple[int, ...]  # which numbers of the text are read, by their places in it
    beginnings: dict[int, dict[str, int]]  # characters -> beginning -> code

    @classmethod
    def fit(cls, name: str, kind: AttributeKind, column: Distinct) -> Self:
        """Learn which texts, numbers and beginnings tell a column's items apart."""
        texts = [("" if text is None else text) for text in column.values]
        counts = np.where([text is not None for text in column.values], column.counts(), 0)
        ranks = ranked(texts, counts)
        least = max(_LEAST_SHARE * float(counts.sum()), _LEAST_ITEMS)
        numbers = _numbers(texts, counts, least)
        patterns = _patterns(texts, counts) if numbers else {}
        many = len(texts) > MAX_CATEGORIES
        serial = many and not _covers(ranks, texts, counts)  # names nearly single items, and sisters above all
        if serial and not patterns and kind is AttributeKind.CODE:  # a running number
            numbers = ()
        if serial:
            ranks = {}
        return cls(
            name=name, ranks=ranks, numbers=numbers, patterns=patterns,
            beginnings=_beginnings(texts, counts) if kind is AttributeKind.CODE and not serial else {},
        )  # fmt: skip

    @property
    def features(self) -> list[tuple[str, bool]]:
        """Name each feature and tell whether it is a category."""
        return [
            *([(self.name, True)] if self.ranks else []),
            *([(f"{self.name}~pattern", True)] if self.patterns else []),
            *((f"{self.name}#{place + 1}", False) for place in self.numbers),
            *((f"{self.name}^{length}", True) for length in self.beginnings),
        ]

    @cached_property
    def size(self) -> int:
        """How many features there are."""
        return len(self.features)

    def read(self, value: Any) -> list[float]:
        """Return the features of a value."""
        rank = self.ranks.get(value) if type(value) is str else None
        text = value if rank is not None else canonical_text(value)
        if text is None:
            return [MISSING] * self.size
        out: list[float] = []
        if self.ranks:
            out.append(self.ranks.get(text, len(self.ranks)) if rank is None else rank)
        if self.patterns:
            out.append(self.patterns.get(without_numbers(text), len(self.patterns)))
        if self.numbers:
            found = numbers_in(text)
            out += [found[place] if place < len(found) else MISSING for place in self.numbers]
        for length, codes in self.beginnings.items():
            out.append(codes.get(text[:length], len(codes)))
        return out

    def rows(self, column: Distinct) -> npt.NDArray[np.float32]:
        """Return the features of a column, (items, features)."""
        if not len(column):
            return np.zeros((0, len(self.features)), dtype=np.float32)
        return np.array([self.read(text) for text in column.values], dtype=np.float32)[column.places]

    def reduced(self, level: int) -> Self:
        """Return a reader of fewer features, the fewer the higher the level."""
        return replace(
            self, numbers=self.numbers[: max(_NUMBERS - level, 0)],
            beginnings=self.beginnings if level < _NUMBERS else {}, patterns=self.patterns if level <= _NUMBERS else {},
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return the reader as plain values: codes are the places in lists."""
        return {
            "kind": self.kind, "name": self.name, "ranks": list(self.ranks), "patterns": list(self.patterns),
            "numbers": list(self.numbers), "beginnings": {str(n): list(codes) for n, codes in self.beginnings.items()},
        }  # fmt: skip


Reader = NumberReader | TextReader


def reader_from_state(state: Mapping[str, Any]) -> Reader:
    """Rebuild a reader from `state()`."""
    if state["kind"] == NumberReader.kind:
        return NumberReader(name=state["name"])
    if state["kind"] == TextReader.kind:
        return TextReader(
            name=state["name"], ranks=_codes(state["ranks"]), patterns=_codes(state["patterns"]),
            numbers=tuple(int(place) for place in state["numbers"]),
            beginnings={int(n): _codes(texts) for n, texts in state["beginnings"].items()},
        )  # fmt: skip
    raise ValueError(f"There is no reader of kind {state['kind']!r}.")


def _codes(texts: list[str]) -> dict[str, int]:
    return {text: code for code, text in enumerate(texts)}


def _frequencies(texts: list[str], counts: npt.NDArray[np.int64]) -> Counter[str]:
    frequencies: Counter[str] = Counter()
    for text, count in zip(texts, counts.tolist(), strict=True):
        if count:
            frequencies[text] += count
    return frequencies


def ranked(texts: list[str], counts: npt.NDArray[np.int64]) -> dict[str, int]:
    """Number the texts by how many items have them, most first and ties by text; what is rare gets no number."""
    frequencies = _frequencies(texts, counts)
    common = [text for text, count in frequencies.items() if count >= _LEAST_ITEMS]
    return _codes(sorted(common, key=lambda text: (-frequencies[text], text))[:MAX_CATEGORIES])


def _numbers(texts: list[str], counts: npt.NDArray[np.int64], least: float) -> tuple[int, ...]:
    """Tell which of a text's first numbers are worth reading: enough items have one, of enough sizes, and it measures.

    A number written with leading zeros, or always as the same count of many digits, is a name and measures nothing.
    """
    found = [written_numbers(text) for text in texts]
    least_sizes = _LEAST_SIZES if len(texts) <= MAX_CATEGORIES else 2
    read = []
    for place in range(_NUMBERS):
        having = [len(numbers) > place for numbers in found]
        written = {numbers[place] for numbers, has in zip(found, having, strict=True) if has}
        if int(counts[having].sum()) >= least and len(written) >= least_sizes and not _names(written):
            read.append(place)
    return tuple(read)


def _names(written: set[str]) -> bool:
    """Tell whether numbers, as they are written, number things instead of measuring them."""
    padded = sum(number[0] == "0" and number[1:2].isdigit() for number in written)
    widths = {len(number) if number.isdigit() else 0 for number in written}
    return padded >= _LEAST_PADDED * len(written) or (len(widths) == 1 and min(widths) >= _NAME_DIGITS)


def _patterns(texts: list[str], counts: npt.NDArray[np.int64]) -> dict[str, int]:
    """Rank the texts without their numbers, where that makes some alike and not all."""
    bare = [without_numbers(text) for text in texts]
    known = counts > 0
    kinds = len({text for text, is_known in zip(bare, known.tolist(), strict=True) if is_known})
    return ranked(bare, counts) if 1 < kinds < int(known.sum()) else {}


def _covers(ranks: dict[str, int], texts: list[str], counts: npt.NDArray[np.int64]) -> bool:
    """Tell whether at least half of the items that have a text have one that is ranked."""
    ranked_items = counts[[text in ranks for text in texts]].sum()
    return bool(2 * ranked_items >= counts.sum())


def _beginnings(texts: list[str], counts: npt.NDArray[np.int64]) -> dict[int, dict[str, int]]:
    """Choose beginnings that part the items, each clearly finer than the one before and coarser than the whole."""
    chosen: dict[int, dict[str, int]] = {}
    whole, before = len({text for text, count in zip(texts, counts.tolist(), strict=True) if count}), 1
    for length in _BEGINNINGS:
        kinds = len({text[:length] for text, count in zip(texts, counts.tolist(), strict=True) if count})
        if before < kinds < whole and whole > MAX_CATEGORIES:
            chosen[length] = ranked([text[:length] for text in texts], counts)
            before = kinds
    return dict(list(chosen.items())[-2:])
