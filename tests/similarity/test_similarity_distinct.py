"""Identical vectors become one entry, whatever their hashes are."""

import numpy as np
import numpy.typing as npt
import pytest

from shared.similarity import distinct
from shared.similarity.distinct import collapse, rising


def copied_rows(seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(0, 2, (400, 7)), dtype=np.float32)


@pytest.mark.parametrize("collide", [False, True])
def test_entries_are_the_distinct_rows_in_the_order_of_their_first(
    monkeypatch: pytest.MonkeyPatch, collide: bool
) -> None:
    if collide:
        monkeypatch.setattr(distinct, "_hashes", lambda words: np.arange(len(words), dtype=np.uint64) % 3)
    rows = copied_rows(3)
    entries, entry_of = collapse(rows)
    assert entries[entry_of].tolist() == rows.tolist()
    wanted = list(dict.fromkeys(map(tuple, rows.tolist())))
    assert list(map(tuple, entries.tolist())) == wanted


def test_zero_and_minus_zero_are_one_number() -> None:
    entries, entry_of = collapse(np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32))
    assert len(entries) == 1
    assert entry_of.tolist() == [0, 0]


def test_rows_that_differ_in_one_digit_have_different_hashes() -> None:
    rows = np.tile(np.linspace(0.1, 1, 9, dtype=np.float32), (20_000, 1))
    rows[:, 4] = np.linspace(0.25, 0.75, 20_000).astype(np.float16)  # numbers of few binary digits
    whole = np.unique(rows[:, 4])
    assert len(np.unique(distinct._hashes(rows.view(np.uint32)))) == len(whole)


@pytest.mark.parametrize("values", [[], [4], [7, 1, 7, 7, 2, 1], [3, 3]])
def test_numbers_come_once_each_and_rising(values: list[int]) -> None:
    given = np.array(values, dtype=np.int64)
    assert rising(given).tolist() == sorted(set(values))
    assert given.tolist() == values
