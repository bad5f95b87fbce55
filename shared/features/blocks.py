"""One attribute's share of an item's vector: how a value becomes numbers, by its kind.

Every block answers `vector(value)` with a float32 array of `size` numbers of unit length: its dot product with
another value's array is their similarity, 1 for equal values and about 0 for unrelated ones. A missing value is a
value of its own (the first number is its flag). A value of which nothing was seen when the block was fitted is all
zeros: it is near to nothing. Serving needs only numpy and dictionaries; scikit-learn is imported while fitting text.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

MAX_PIECES = 20_000  # distinct text pieces that a text block remembers
MAX_ENCODED_CHARACTERS = 2_000  # a longer text is understood by its beginning
_EPOCH = date(2000, 1, 1).toordinal()
_CODE_PART = re.compile(r"[A-Z]+|[0-9]+|[^A-Z0-9\s]+")


def canonical_text(value: Any) -> str | None:
    """Return a value as the upper-case text under which it is compared, or None where it is missing."""
    if value is None:
        return None
    text = " ".join(str(value)[:MAX_ENCODED_CHARACTERS].split()).upper()
    return text or None


def sign_vector(name: str, size: int) -> Vector:
    """Return a unit vector of equal-sized parts whose signs are drawn from the name: alike everywhere, always."""
    bits: list[npt.NDArray[np.uint8]] = []
    for part in range(-(-size // 512)):
        digest = hashlib.blake2b(f"{part}|{name}".encode(), digest_size=64).digest()
        bits.append(np.unpackbits(np.frombuffer(digest, dtype=np.uint8)))
    signs = np.concatenate(bits)[:size].astype(np.float32) * 2 - 1
    return signs / np.float32(math.sqrt(size))


def _empty(size: int) -> Vector:
    return np.zeros(size, dtype=np.float32)


def _flag(size: int) -> Vector:
    missing = _empty(size)
    missing[0] = 1
    return missing


@dataclass(frozen=True, kw_only=True)
class CategoryBlock:
    """Equal or not: one number each for the common values, near-orthogonal sign vectors for the many rare ones."""

    kind: ClassVar[str] = "category"
    name: str
    size: int
    places: dict[str, int]  # value -> its own number, or -1 for one of the rare
    tail: int  # how many numbers the rare ones share

    @classmethod
    def fit(cls, name: str, values: Iterable[Any], room: int) -> Self:
        """Learn the values that exist, most frequent first, into at most `room` numbers."""
        counts = Counter(text for text in map(canonical_text, values) if text is not None)
        ordered = sorted(counts, key=lambda text: (-counts[text], text))
        tail = 0 if len(ordered) <= room else max(4, room // 2)
        own = len(ordered) if tail == 0 else max(room - tail, 0)
        places = {text: 1 + place if place < own else -1 for place, text in enumerate(ordered)}
        return cls(name=name, size=1 + own + tail, places=places, tail=tail)

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers."""
        text = canonical_text(value)
        if text is None:
            return _flag(self.size)
        out = _empty(self.size)
        place = self.places.get(text)
        if place is None:
            return out
        if place > 0:
            out[place] = 1
        else:
            out[self.size - self.tail :] = sign_vector(f"{self.name}={text}", self.tail)
        return out

    def feature_names(self) -> list[str]:
        """Name every number."""
        own = sorted((place, text) for text, place in self.places.items() if place > 0)
        names = [f"{self.name}=missing", *(f"{self.name}={text}" for _, text in own)]
        return names + [f"{self.name}~rare{number}" for number in range(self.tail)]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {"kind": self.kind, "name": self.name, "size": self.size, "places": dict(self.places), "tail": self.tail}


def code_beginnings(text: str) -> list[str]:
    """Return a code's beginnings, each one part longer: letters, digits and separators are parts."""
    beginnings: list[str] = []
    end = 0
    for part in _CODE_PART.finditer(text):
        step = part.end() - part.start()
        if step > 3 and text[part.start()].isdigit():  # long digit runs are hierarchical too
            beginnings.extend(text[: part.start() + cut] for cut in range(2, step, 2))
        end = part.end()
        beginnings.append(text[:end])
    return beginnings or [text]


@dataclass(frozen=True, kw_only=True)
class CodeBlock:
    """Structured codes: near by the share of their beginnings that agree."""

    kind: ClassVar[str] = "code"
    name: str
    size: int
    known: frozenset[str]

    @classmethod
    def fit(cls, name: str, values: Iterable[Any], room: int) -> Self:
        """Learn every beginning that exists."""
        known: set[str] = set()
        for text in {canonical_text(value) for value in values} - {None}:
            assert text is not None
            known.update(code_beginnings(text))
        return cls(name=name, size=1 + room, known=frozenset(known))

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers; beginnings never seen only shorten it."""
        text = canonical_text(value)
        if text is None:
            return _flag(self.size)
        out = _empty(self.size)
        beginnings = code_beginnings(text)
        seen = [beginning for beginning in beginnings if beginning in self.known]
        if not seen:
            return out
        for beginning in seen:
            out[1:] += sign_vector(f"{self.name}^{beginning}", self.size - 1)
        length = float(np.linalg.norm(out))
        return out * np.float32(math.sqrt(len(seen) / len(beginnings)) / length) if length > 1e-6 else _empty(self.size)

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}^{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {"kind": self.kind, "name": self.name, "size": self.size, "known": sorted(self.known)}


def text_pieces(text: str) -> list[str]:
    """Return a text's pieces: its words, and every three letters of each padded word."""
    pieces: list[str] = []
    for word in text.split():
        pieces.append(word)
        padded = f" {word} "
        pieces.extend(padded[start : start + 3] for start in range(len(padded) - 2))
    return pieces


@dataclass(frozen=True, kw_only=True)
class TextBlock:
    """Free text: pieces weighted by rarity (TF-IDF), reduced to a few numbers by a truncated SVD."""

    kind: ClassVar[str] = "text"
    name: str
    size: int
    places: dict[str, int]  # piece -> row of `directions`
    directions: Vector  # (pieces, size - 1): the piece's rarity times its direction

    @classmethod
    def fit(cls, name: str, values: Iterable[Any], room: int, seed: int) -> Self:
        """Learn the pieces of the distinct texts and their main directions."""
        from scipy.sparse import csr_matrix
        from sklearn.decomposition import TruncatedSVD

        texts = sorted({text for text in map(canonical_text, values) if text is not None})
        counted = [Counter(text_pieces(text)) for text in texts]
        documents: Counter[str] = Counter()
        for pieces in counted:
            documents.update(pieces.keys())
        kept = sorted(documents, key=lambda piece: (-documents[piece], piece))[:MAX_PIECES]
        places = {piece: place for place, piece in enumerate(sorted(kept))}
        rarity = np.array([math.log((1 + len(texts)) / (1 + documents[piece])) + 1 for piece in places])
        rows, columns, numbers = [], [], []
        for row, pieces in enumerate(counted):
            for piece, count in sorted(pieces.items()):
                place = places.get(piece)
                if place is not None:
                    rows.append(row)
                    columns.append(place)
                    numbers.append((1 + math.log(count)) * rarity[place])
        matrix = csr_matrix((numbers, (rows, columns)), shape=(len(texts), len(places)), dtype=np.float64)
        lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix = csr_matrix(matrix.multiply((1 / np.maximum(lengths, 1e-12))[:, None]))
        directions = TruncatedSVD(n_components=min(room, *matrix.shape), random_state=seed).fit(matrix).components_.T
        weighted = np.ascontiguousarray(directions * rarity[:, None], dtype=np.float32)
        return cls(name=name, size=1 + weighted.shape[1], places=places, directions=weighted)

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers."""
        text = canonical_text(value)
        if text is None:
            return _flag(self.size)
        out = _empty(self.size)
        counted = Counter(text_pieces(text))
        seen = sorted((self.places[piece], count) for piece, count in counted.items() if piece in self.places)
        if not seen:
            return out
        counts = np.array([1 + math.log(count) for _, count in seen], dtype=np.float32)
        out[1:] = (self.directions[[place for place, _ in seen]] * counts[:, None]).sum(axis=0)
        length = float(np.linalg.norm(out))
        return out / np.float32(length) if length > 1e-6 else _empty(self.size)

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}~topic{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {
            "kind": self.kind, "name": self.name, "size": self.size,
            "places": dict(self.places), "directions": self.directions,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScaleBlock:
    """Sizes and days: soft bins along a scale (logarithmic for sizes), so that near means a similar ratio."""

    kind: ClassVar[str] = "scale"
    name: str
    size: int
    logarithmic: bool
    origin: float  # sizes far below it count as equally small
    first: float  # place of the first bin
    step: float  # distance between bins, also their width

    @classmethod
    def fit(cls, name: str, values: Iterable[Any], room: int, *, logarithmic: bool) -> Self:
        """Lay the bins over the middle 98 % of the values."""
        numbers = np.sort(np.array([n for n in map(scale_number, values) if n is not None], dtype=np.float64))
        sizes = np.abs(numbers[numbers != 0])
        origin = float(np.quantile(sizes, 0.05)) / 10 if sizes.size else 1.0
        places = np.arcsinh(numbers / origin) if logarithmic else numbers
        low, high = (float(np.quantile(places, 0.01)), float(np.quantile(places, 0.99))) if places.size else (0.0, 0.0)
        smallest = 0.02 if logarithmic else 1.0
        bins = max(2, min(room, int((high - low) / smallest) + 1))
        step = max((high - low) / (bins - 1), smallest)
        return cls(name=name, size=1 + bins, logarithmic=logarithmic, origin=origin, first=low, step=step)

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers; further than three bins outside the scale it is near to nothing."""
        number = scale_number(value)
        if number is None:
            return _flag(self.size)
        out = _empty(self.size)
        place = (math.asinh(number / self.origin) if self.logarithmic else number) - self.first
        nearest = min(max(round(place / self.step), 0), self.size - 2)
        if abs(place / self.step - nearest) > 3:
            return out
        for bin_number in range(max(0, nearest - 4), min(self.size - 1, nearest + 5)):
            out[1 + bin_number] = math.exp(-0.5 * (place / self.step - bin_number) ** 2)
        return out / np.float32(np.linalg.norm(out))

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}@{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {
            "kind": self.kind, "name": self.name, "size": self.size, "logarithmic": self.logarithmic,
            "origin": self.origin, "first": self.first, "step": self.step,
        }  # fmt: skip


def scale_number(value: Any) -> float | None:
    """Return a size as it is and a day as days since 2000; None, not-a-number and infinities are missing."""
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return float(value.toordinal() - _EPOCH)
    number = float(value)
    return number if math.isfinite(number) else None


Block = CategoryBlock | CodeBlock | TextBlock | ScaleBlock


def block_from_state(state: dict[str, Any]) -> Block:
    """Rebuild a block from `state()`."""
    values = {key: value for key, value in state.items() if key != "kind"}
    match state["kind"]:
        case CategoryBlock.kind:
            return CategoryBlock(**values)
        case CodeBlock.kind:
            return CodeBlock(**{**values, "known": frozenset(values["known"])})
        case TextBlock.kind:
            return TextBlock(**values)
        case ScaleBlock.kind:
            return ScaleBlock(**values)
    raise ValueError(f"There is no block of kind {state['kind']!r}.")


def encode_column(block: Block, values: Sequence[Any]) -> Vector:
    """Return the numbers of a whole column: each distinct value is encoded once, exactly as a single one is."""
    distinct: dict[Any, int] = {}
    places = np.array([distinct.setdefault(value, len(distinct)) for value in values], dtype=np.int64)
    if not distinct:
        return np.zeros((0, block.size), dtype=np.float32)
    return np.stack([block.vector(value) for value in distinct])[places]
