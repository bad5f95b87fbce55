"""Which item codes a folder holds, known without reading it again while nothing in it was touched."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.erp.sources.files import table_name

CLOCKS_APART_SECONDS = 60.0  # how far the clock of a file server may be behind
_State = tuple[object, ...]


class FolderKeys:
    """Hashes of a folder's item codes, eight bytes each: enough to tell most codes that are not there."""

    def __init__(self) -> None:
        self._state: _State | None = None
        self._hashes: npt.NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)

    def held(self, codes: Sequence[str], folder: Path, mapping: str, read: Callable[[], pl.Series]) -> list[str]:
        """Return those of the codes that the folder holds, in any case; one that it does not hold is in very rarely.

        Args:
            codes: trimmed.
            folder: the source folder.
            mapping: how its codes are read; another one means another reading.
            read: reads all its codes, trimmed.
        """
        state = (str(folder), mapping, *_stamps(folder))
        if state != self._state:
            self._hashes = np.sort(_hashes(read()))
            self._state = state
        if not codes or not len(self._hashes):
            return []
        asked = _hashes(pl.Series(codes, dtype=pl.String))
        places = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        return [code for code, same in zip(codes, (self._hashes[places] == asked).tolist(), strict=True) if same]


def is_untouched(folder: Path, since: datetime) -> bool:
    """Tell whether every table of a folder is surely older than `since`.

    A file counts by its content's time and by the time at which it came to lie there, since copying may keep the
    first. Equal times, and those within a minute, count as touched.
    """
    latest = (since.timestamp() - CLOCKS_APART_SECONDS) * 1e9
    stamps = _stamps(folder)
    return bool(stamps) and all(max(changed, came) < latest for _, changed, came, _ in stamps)


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """Return each table's name, when its content changed and when it came to lie there (nanoseconds), and its size."""
    stamps = []
    for file in sorted(folder.iterdir()):
        if table_name(file) is not None:
            stat = file.stat()
            stamps.append((file.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size))
    return stamps


def _hashes(codes: pl.Series) -> npt.NDArray[np.uint64]:
    return codes.drop_nulls().str.to_lowercase().hash().to_numpy()
