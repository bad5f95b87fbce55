"""Which words an item's texts hold, wherever they stand: by how they part the items, untold ones first."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from shared.features.distinct import Distinct
from shared.features.texts import words_in

MAX_WORDS = 64
_MOST_CODES = 8  # of them, words with digits: most are sizes and numbers, which are read as such
_CANDIDATES = 400
_LEAST_SHARE = 0.002  # of the items that must have a word, and lack it
_LEAST_NEW = 0.001  # variance of a word that no category and no chosen word explains

_TOLD_SHARE = 0.25  # how much a word's variance counts that a category explains: a word may still join categories

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]


def choose_words(texts: Mapping[str, Distinct], free: Sequence[str], categories: Sequence[str]) -> list[str]:
    """Return words that part the items, the most telling first and words with digits last.

    Args:
        texts: the canonical texts of a sample by attribute; a word counts wherever it stands.
        free: the attributes of free text, of which words with digits are considered too.
        categories: the attributes that are read as categories; what they tell already counts less.
    """
    considered = _frequent(texts, free)
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
    alike = np.zeros(len(considered))
    with_digits = np.array([_has_digit(word) for word in considered])
    chosen: list[int] = []
    for barred, room in ((with_digits, MAX_WORDS - _MOST_CODES), (~with_digits, _MOST_CODES)):
        most = len(chosen) + room
        while len(chosen) < most:
            new = np.where(barred, 0.0, np.round(score * (1 - alike), 12))
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
                own[row, [place_of[word] for word in words_in(text) if word in place_of]] = True
        if own.any():
            out = own[column.places] if out is None else out | own[column.places]
    items = len(next(iter(texts.values()), ()))
    return np.zeros((items, len(words)), dtype=np.bool_) if out is None else out


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _frequent(texts: Mapping[str, Distinct], free: Sequence[str]) -> list[str]:
    """Return the most frequent words, in alphabetical order."""
    counts: dict[str, int] = {}
    for name, column in texts.items():
        for text, count in zip(column.values, column.counts().tolist(), strict=True):
            for word in set(words_in(text)) if text is not None else ():
                if word.isdigit() or (name not in free and _has_digit(word)):  # numbers are read as numbers
                    continue
                counts[word] = counts.get(word, 0) + count
    items = len(next(iter(texts.values()), ()))
    common = [word for word, count in counts.items() if count >= max(2.0, _LEAST_SHARE * items)]
    return sorted(sorted(common, key=lambda word: (-counts[word], word))[:_CANDIDATES])


def _explained(present: Floats, shares: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """Return, for each word, how much of its variance the items' categories explain."""
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(places[order]) != 0]))
    sizes = np.diff(np.append(starts, len(places)))
    means = np.add.reduceat(present[order], starts, axis=0) / sizes[:, None]
    return np.asarray((sizes[:, None] * (means - shares) ** 2).sum(axis=0) / len(places))
