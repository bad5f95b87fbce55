"""Every attribute of an item as the numbers that decision trees read, the same for one row and a million.

A size stays as it is and a day counts days. Every text (a category, a code, free text) becomes its rank by frequency;
where texts hold numbers, also these numbers and the text without them; of codes the beginnings; of all texts together
whether they hold the words that part the items best. What an item lacks and its other values tell is filled in first.
Missing is NaN.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.distinct import NUMBER_KINDS, Column, Distinct, sample_places
from shared.features.filling import SAMPLE_ITEMS, Filling
from shared.features.parts import is_kept
from shared.features.readers import MAX_CATEGORIES, NumberReader, Reader, TextReader, reader_from_state
from shared.features.texts import canonical_text, words_in
from shared.features.words import MAX_WORDS, choose_words, word_matrix

MAX_FEATURES = 150  # aimed at; every attribute keeps at least one
_LEVELS = 5

Rows = npt.NDArray[np.float32]
Read = tuple[list[float], list[int]]  # the features of a value, and the places of its words


class FeatureTable:
    """Turns attributes into rows for trees; the drawing and attributes of weight 0 are left out.

    `names`, `categorical` and `attribute_of` tell for every feature its name, whether it is a category (codes 0 to
    254), and which of the attributes given to `fit` it belongs to (a word: to the one that has it most).
    """

    def __init__(
        self, filling: Filling, places: Sequence[int], readers: Sequence[Reader], words: Sequence[tuple[str, int]]
    ) -> None:
        """Put fitted parts together.

        Args:
            filling: completes values first.
            places: each read attribute's place among all.
            readers: one for each attribute read.
            words: each word looked for in all texts, and the place of the attribute that has it most.
        """
        self.filling = filling
        self._places, self._readers = tuple(places), tuple(readers)
        self._words, self._word_places = [word for word, _ in words], [place for _, place in words]
        self._order = {word: place for place, word in enumerate(self._words)}
        self._met: list[dict[str | None, Read]] = [{} for _ in self._readers]  # the first texts that were read
        features = [reader.features for reader in self._readers]
        sizes = [len(found) for found in features]
        self._starts = np.cumsum([0, *sizes]).tolist()
        self.names: list[str] = [name for found in features for name, _ in found] + [f":{word}" for word in self._words]
        flags = [is_one for found in features for _, is_one in found] + [False] * len(self._words)
        self.categorical: npt.NDArray[np.bool_] = np.array(flags, dtype=np.bool_)
        owners = np.repeat(np.array(self._places, dtype=np.int64), sizes)
        self.attribute_of: npt.NDArray[np.int64] = np.append(owners, np.array(self._word_places, dtype=np.int64))

    @classmethod
    def fit(
        cls, attributes: Sequence[Attribute], columns: Mapping[str, Column], filling: Filling | None = None
    ) -> Self:
        """Learn what the attributes say from columns of equal length; a missing value is None.

        Args:
            attributes: the declared attributes.
            columns: their values, or columns that were arranged already.
            filling: completes values first; learned from the columns where it is not given.
        """
        places = [place for place, a in enumerate(attributes) if a.weight > 0 and not a.drawing]
        read = [attributes[place] for place in places]
        filling = Filling.fit(attributes, columns) if filling is None else filling
        filled = filling.fill(columns)
        readers = [_fit_reader(a, filled[a.name]) for a in read]
        for level in range(1, _LEVELS):
            if sum(len(reader.features) for reader in readers) <= MAX_FEATURES - MAX_WORDS:
                break
            readers = [reader.reduced(level) if isinstance(reader, TextReader) else reader for reader in readers]
        return cls(filling, places, readers, _choose_words(read, places, filled))

    def rows(self, columns: Mapping[str, Column]) -> Rows:
        """Return the items' features, (items, features) float32, for columns as in `fit`."""
        filled = self.filling.fill(columns)
        out = np.empty((len(next(iter(columns.values()), ())), len(self.names)), dtype=np.float32)
        for place, reader in enumerate(self._readers):
            out[:, self._starts[place] : self._starts[place + 1]] = reader.rows(filled[reader.name])
        if self._words:
            texts = [reader.name for reader in self._readers if isinstance(reader, TextReader)]
            out[:, self._starts[-1] :] = word_matrix({name: filled[name] for name in texts}, self._words)
        return out

    def row(self, values: Mapping[str, Any]) -> Rows:
        """Return one item's features, (features,) float32: the same numbers as its row of `rows`."""
        filled = self.filling.fill_one(values)
        out: list[float] = []
        words = [0.0] * len(self._words)
        for reader, met in zip(self._readers, self._met, strict=True):
            value = filled.get(reader.name)
            told = met.get(value) if type(value) is str or value is None else None
            features, places = self._read(reader, value, met) if told is None else told
            out += features
            for place in places:
                words[place] = 1.0
        return np.array(out + words, dtype=np.float32)

    def _read(self, reader: Reader, value: Any, met: dict[str | None, Read]) -> Read:
        """Return a value's features and the places of its words, and keep those of the first texts."""
        text = canonical_text(value) if self._words and isinstance(reader, TextReader) else None
        order = self._order
        told = reader.read(value), [order[word] for word in words_in(text or "") if word in order]
        if is_kept(value, met):
            met[value] = told
        return told

    def state(self) -> dict[str, Any]:
        """Return everything fitted as plain values."""
        return {
            "filling": self.filling.state(), "places": list(self._places), "words": list(self._words),
            "word_places": list(self._word_places), "readers": [reader.state() for reader in self._readers],
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a table from `state()`."""
        words = list(zip(state["words"], (int(place) for place in state["word_places"]), strict=True))
        readers = [reader_from_state(part) for part in state["readers"]]
        return cls(Filling.from_state(state["filling"]), [int(place) for place in state["places"]], readers, words)


def _fit_reader(attribute: Attribute, column: Distinct) -> Reader:
    if attribute.kind in NUMBER_KINDS:
        return NumberReader(name=attribute.name)
    return TextReader.fit(attribute.name, attribute.kind, column)


def _choose_words(
    read: Sequence[Attribute], places: Sequence[int], filled: Mapping[str, Distinct]
) -> list[tuple[str, int]]:
    """Choose the words to look for, each with the place of the attribute that has it most."""
    items = len(filled[read[0].name]) if read else 0
    sample = sample_places(items, SAMPLE_ITEMS)
    texts = {a.name: filled[a.name].take(sample) for a in read if a.kind not in NUMBER_KINDS}
    free = [a.name for a in read if a.kind is AttributeKind.TEXT]
    categories = [name for name in texts if name not in free and len(texts[name].values) <= MAX_CATEGORIES]
    words = choose_words(texts, free, categories)
    if not words:
        return []
    often = np.stack([word_matrix({name: texts[name]}, words).sum(axis=0) for name in texts])
    place_of = {a.name: place for a, place in zip(read, places, strict=True)}
    owners = [place_of[list(texts)[at]] for at in often.argmax(axis=0).tolist()]
    return list(zip(words, owners, strict=True))
