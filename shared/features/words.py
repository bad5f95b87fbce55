"""Which words an item's texts hold, wherever they stand: by how they part the items, untold ones first."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from shared.features.distinct import Distinct

MAX_WORDS = 40
_CANDIDATES = 400
_LEAST_SHARE = 0.002  # of the items that must have a word, and lack it
_LEAST_NEW = 0.001  # variance of a word that no category and no chosen word explains

_TOLD_SHARE = 0.25  # how much a word's variance counts that a category explains: a word may still join categories

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]


def choose_words(texts: Mapping[str, Distinct], from_texts: Sequence[str], categories: Sequence[str]) -> list[str]:
    """Return words that part the items, the most telling first.

    Args:
        texts: the canonical texts of a sample by attribute; a word counts wherever it stands.
        from_texts: the attributes of free text, whose words are considered.
        categories: the attributes that are read as categories; what they tell already needs no word.
    """
    considered = _frequent(texts, from_texts)
    if not considered:
        return []
    present = word_matrix(texts, considered).astype(np.float64)
    items = len(present)
    shares = present.mean(axis=0)
    spread = shares * (1 - shares)
    told = np.zeros(len(considered))
    for name in categories:
        told = np.maximum(told, _explained(present, shares, texts[name].places))
    score = spread - (1 - _TOLD_SHARE) * told
    centred = (present - shares) / np.sqrt(np.maximum(spread, 1e-12))
    chosen: list[int] = []
    alike = np.zeros(len(considered))
    while len(chosen) < MAX_WORDS:
        new = np.round(score * (1 - alike), 12)
        best = int(np.argmax(new))  # words are in order: of equal ones the first
        if new[best] < _LEAST_NEW:
            break
        chosen.append(best)
        alike = np.maximum(alike, (centred.T @ centred[:, best] / items) ** 2)
        alike[best] = 1.0
    return [considered[place] for place in chosen]


def word_matrix(texts: Mapping[str, Distinct], words: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell which words each item has in any of its texts: (items, words)."""
    place_of = {word: place for place, word in enumerate(words)}
    out: npt.NDArray[np.bool_] | None = None
    for column in texts.values():
        own = np.zeros((len(column.values), len(words)), dtype=np.bool_)
        for row, text in enumerate(column.values):
            if text is not None:
                own[row, [place_of[word] for word in text.split() if word in place_of]] = True
        if own.any():
            out = own[column.places] if out is None else out | own[column.places]
    items = len(next(iter(texts.values()), ()))
    return np.zeros((items, len(words)), dtype=np.bool_) if out is None else out


def _frequent(texts: Mapping[str, Distinct], from_texts: Sequence[str]) -> list[str]:
    """Return the most frequent words of the free texts, in alphabetical order."""
    counts: dict[str, int] = {}
    items = 0
    for name in from_texts:
        column = texts[name]
        items = len(column)
        for text, count in zip(column.values, column.counts().tolist(), strict=True):
            for word in set(text.split()) if text is not None else ():
                if word.isdigit():  # numbers are read as numbers
                    continue
                counts[word] = counts.get(word, 0) + count
    common = [word for word, count in counts.items() if count >= max(2.0, _LEAST_SHARE * items)]
    return sorted(sorted(common, key=lambda word: (-counts[word], word))[:_CANDIDATES])


def _explained(present: Floats, shares: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """Return, for each word, how much of its variance the items' categories explain."""
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(places[order]) != 0]))
    sizes = np.diff(np.append(starts, len(places)))
    means = np.add.reduceat(present[order], starts, axis=0) / sizes[:, None]
    return np.asarray((sizes[:, None] * (means - shares) ** 2).sum(axis=0) / len(places))
