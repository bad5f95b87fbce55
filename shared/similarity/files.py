"""Looks at an index's files before a library that trusts them does.

hnswlib follows every number in its file without asking whether it leads anywhere: a link to an entry that is not there
reads foreign memory, a count of entries reserves as much as it says. So every count, length and link is compared
here first, with numpy alone.
"""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from shared.similarity.ranking import Vectors

_NPY_START = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \(([0-9]{1,10}), ([0-9]{1,6})\), \} *\n")
# hnswlib 0.8's own: where level 0 begins, room for entries, entries, bytes an entry, where its label and vector lie,
# highest level, where a walk begins, links above level 0 and on it, M, the spread of levels, ef_construction.
_GRAPH = struct.Struct("<6QiI3QdQ")
_NUMBER, _LABEL = 4, 8  # bytes
_HIGHEST_LEVEL = 60
_BLOCK = 16_384  # entries looked at together

Unsigned = npt.NDArray[np.uint32]


def mapped_vectors(path: Path, entries: int, size: int) -> Vectors:
    """Return the (entries, size) vectors of a file that numpy wrote, mapped; ValueError for any other file."""
    with path.open("rb") as file:
        start = file.read(len(_NPY_START) + 2)
        header = file.read(int.from_bytes(start[-2:], "little")) if start[:-2] == _NPY_START else b""
    told = _NPY_HEADER.fullmatch(header)
    begins = len(start) + len(header)
    if told is None or (int(told[1]), int(told[2])) != (entries, size):
        raise ValueError(f"{path.name} does not hold the vectors that the index was built from.")
    if path.stat().st_size != begins + entries * size * _NUMBER:
        raise ValueError(f"{path.name} is longer or shorter than its vectors.")
    if entries * size == 0:
        return np.zeros((entries, size), dtype=np.float32)
    mapped = np.memmap(path, dtype="<f4", mode="r", offset=begins, shape=(entries, size))
    return mapped.view(np.ndarray)  # slices of it are quicker


def refuse_unsound_state(state: Mapping[str, Any], items: int, entries: int, size: int) -> None:
    """Raise ValueError where the parts of an index's state do not fit together: places, cells and axes."""
    entry_of, starts, axes = state["entry_of"], state["cell_starts"], state["axes"]
    if entry_of.shape != (items,) or entry_of.dtype.kind != "i":
        raise ValueError("The index does not say of every item which entry it has.")
    if items and not 0 <= int(entry_of.min()) <= int(entry_of.max()) < entries:
        raise ValueError("The index gives an item an entry that is not there.")
    if axes.ndim != 2 or axes.shape[0] != size or axes.dtype.kind != "f":
        raise ValueError("The index has axes of other vectors.")
    if state["cell_centres"].ndim != 2 or state["cell_centres"].shape[1] != axes.shape[1] + 1:
        raise ValueError("The index has cells of other vectors.")
    rising = starts.ndim == 1 and starts.dtype.kind == "i" and bool((np.diff(starts) >= 0).all())
    if not rising or len(starts) != len(state["cell_centres"]) + 1 or starts[0] != 0 or starts[-1] != entries:
        raise ValueError("The index's cells do not share out its entries.")


def check_graph_file(path: Path, entries: int, numbers: int, links: int) -> None:
    """Raise ValueError unless a file is a graph of hnswlib, whole, that never leads out of itself.

    Args:
        path: the file.
        entries: how many entries it must have.
        numbers: of an entry's vector.
        links: hnswlib's M; level 0 has room for twice as many.
    """
    data: npt.NDArray[np.uint8] = np.fromfile(path, dtype=np.uint8, count=_GRAPH.size)
    if len(data) < _GRAPH.size:
        _refuse("it is cut off")
    head = _GRAPH.unpack(data.tobytes())
    links_bytes = (2 * links + 1) * _NUMBER
    entry_bytes = links_bytes + numbers * _NUMBER + _LABEL
    expected = (0, entries, entries, entry_bytes, entry_bytes - _LABEL, links_bytes)
    highest, begin = head[6:8]
    if head[:6] != expected or head[8:11] != (links, 2 * links, links):
        _refuse("its head speaks of another graph")
    if not entries or not 0 <= highest <= _HIGHEST_LEVEL or begin >= entries:
        _refuse("a walk through it would begin nowhere")
    ends = _GRAPH.size + entries * entry_bytes
    size = path.stat().st_size
    if size % _NUMBER or size < ends + entries * _NUMBER:
        _refuse("it is cut off")
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    _check_lowest(mapped[_GRAPH.size : ends].reshape(entries, entry_bytes), links)
    _check_higher(np.asarray(mapped[ends:]).view("<u4"), entries, links, highest, begin)


def _check_lowest(rows: npt.NDArray[np.uint8], links: int) -> None:
    """Check every entry's links on level 0, its vector and its label."""
    entries, places = len(rows), np.arange(2 * links)
    labels = np.empty(entries, dtype=np.uint64)
    for start in range(0, entries, _BLOCK):
        words = np.ascontiguousarray(rows[start : start + _BLOCK]).view("<u4")
        count, lists = words[:, 0], words[:, 1 : 1 + 2 * links]
        _check_links(count, lists, places, entries)
        if not np.isfinite(words[:, 1 + 2 * links : -2].view("<f4")).all():
            _refuse("a number of a vector in it is none")
        labels[start : start + len(words)] = np.ascontiguousarray(words[:, -2:]).view("<u8")[:, 0]
    if int(labels.max()) >= entries or int(np.bincount(labels.astype(np.int64)).max()) > 1:
        _refuse("its labels are not those of the entries")


def _check_higher(words: Unsigned, entries: int, links: int, highest: int, begin: int) -> None:
    """Check the links above level 0: for each entry the bytes that they take, then a list for each of its levels."""
    level = np.zeros(entries, dtype=np.int64)
    wide = links + 1
    starts: list[int] = []
    owners: list[int] = []  # the level of each list
    at = entry = 0
    filled = np.flatnonzero(words)
    while entry < entries:  # nearly all entries have level 0 alone, so a 0 here
        following = filled.searchsorted(at)
        next_filled = int(filled[following]) if following < len(filled) else len(words)
        entry, at = entry + next_filled - at, next_filled
        if entry >= entries:
            at -= entry - entries
            break
        levels, rest = divmod(int(words[at]), wide * _NUMBER)
        if rest or levels > highest or at + 1 + levels * wide > len(words):
            _refuse("the links of an entry are longer or shorter than its levels")
        level[entry] = levels
        starts += range(at + 1, at + 1 + levels * wide, wide)
        owners += range(1, levels + 1)
        at, entry = at + 1 + levels * wide, entry + 1
    if at != len(words):
        _refuse("something follows after its last entry")
    if level[begin] != highest:
        _refuse("a walk through it would begin nowhere")
    if starts:
        lists = words[np.array(starts)[:, None] + np.arange(wide)]
        _check_links(lists[:, 0], lists[:, 1:], np.arange(links), entries)
        used = np.arange(links) < lists[:, :1]
        if (level[np.where(used, lists[:, 1:], 0)] < np.array(owners)[:, None])[used].any():
            _refuse("a link leads to an entry that does not reach that level")


def _check_links(count: Unsigned, lists: Unsigned, places: npt.NDArray[Any], entries: int) -> None:
    if int(count.max()) > len(places):  # a deleted entry is marked in the same word
        _refuse("an entry has more links than there is room for")
    if (lists >= entries)[places < count[:, None]].any():
        _refuse("a link leads to an entry that is not there")


def _refuse(why: str) -> NoReturn:
    raise ValueError(f"The index's graph is refused: {why}.")
