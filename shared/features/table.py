"""Every attribute of an item as the numbers that decision trees read, the same for one row and a million.

A size stays as it is and a day counts days. Every text (a category, a code, free text) becomes its rank by frequency;
where texts hold numbers, also these numbers and the text without them; of codes the beginnings, of texts the words
that part the items best. Missing is NaN.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.distinct import NUMBER_KINDS, Column, distinct_column
from shared.features.readers import NumberReader, Reader, TextReader, reader_from_state

MAX_FEATURES = 150  # aimed at; every attribute keeps at least one
_LEVELS = 5

Rows = npt.NDArray[np.float32]


class FeatureTable:
    """Turns attributes into rows for trees; the drawing and attributes of weight 0 are left out.

    `names`, `categorical` and `attribute_of` tell for every feature its name, whether it is a category (codes 0 to
    254), and which of the attributes given to `fit` it belongs to.
    """

    def __init__(self, kinds: Sequence[AttributeKind], places: Sequence[int], readers: Sequence[Reader]) -> None:
        """Put fitted parts together, one kind, place among all attributes, and reader for each attribute read."""
        self._kinds, self._places, self._readers = tuple(kinds), tuple(places), tuple(readers)
        features = [reader.features for reader in self._readers]
        sizes = [len(found) for found in features]
        self._starts = np.cumsum([0, *sizes]).tolist()
        self.names: list[str] = [name for found in features for name, _ in found]
        self.categorical: npt.NDArray[np.bool_] = np.array(
            [is_one for f in features for _, is_one in f], dtype=np.bool_
        )
        self.attribute_of: npt.NDArray[np.int64] = np.repeat(np.array(self._places, dtype=np.int64), sizes)

    @classmethod
    def fit(cls, attributes: Sequence[Attribute], columns: Mapping[str, Column]) -> Self:
        """Learn what the attributes say from columns of equal length; a missing value is None."""
        places = [place for place, a in enumerate(attributes) if a.weight > 0 and not a.drawing]
        read = [attributes[place] for place in places]
        readers = [_fit_reader(a, columns[a.name]) for a in read]
        for level in range(1, _LEVELS):
            if sum(len(reader.features) for reader in readers) <= MAX_FEATURES:
                break
            readers = [reader.reduced(level) if isinstance(reader, TextReader) else reader for reader in readers]
        return cls([a.kind for a in read], places, readers)

    def rows(self, columns: Mapping[str, Column]) -> Rows:
        """Return the items' features, (items, features) float32, for columns as in `fit`."""
        out = np.empty((len(next(iter(columns.values()), ())), len(self.names)), dtype=np.float32)
        for place, (kind, reader) in enumerate(zip(self._kinds, self._readers, strict=True)):
            part = reader.rows(distinct_column(kind, columns[reader.name]))
            out[:, self._starts[place] : self._starts[place + 1]] = part
        return out

    def row(self, values: Mapping[str, Any]) -> Rows:
        """Return one item's features, (features,) float32: the same numbers as its row of `rows`."""
        out: list[float] = []
        for reader in self._readers:
            out += reader.read(values.get(reader.name))
        return np.array(out, dtype=np.float32)

    def state(self) -> dict[str, Any]:
        """Return everything fitted as plain values."""
        return {
            "kinds": [kind.value for kind in self._kinds], "places": list(self._places),
            "readers": [reader.state() for reader in self._readers],
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild a table from `state()`."""
        kinds = [AttributeKind(kind) for kind in state["kinds"]]
        return cls(kinds, [int(p) for p in state["places"]], [reader_from_state(part) for part in state["readers"]])


def _fit_reader(attribute: Attribute, column: Column) -> Reader:
    if attribute.kind in NUMBER_KINDS:
        return NumberReader(name=attribute.name)
    return TextReader.fit(attribute.name, attribute.kind, distinct_column(attribute.kind, column))
