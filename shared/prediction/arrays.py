"""Plain values that hold large arrays, as two files that nothing has to be rebuilt from.

One file is JSON: dicts, lists, texts and numbers, with a reference in the place of each array. The other holds the
arrays one after the other as they lie in memory, and is mapped: what is never looked at is never read.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VALUES_FILE = "model_arrays.json"
ARRAYS_FILE = "model_arrays.bin"
SCHEMA_VERSION = "routing-ml/arrays@2"
_REFERENCE = "$array"
_ALIGNMENT = 64  # bytes: where numpy's own arrays begin
_DTYPE = re.compile(r"[<|](b1|[iu][1248]|f[248])")
_MOST_DIMENSIONS = 8


def save_values(values: Mapping[str, Any], folder: Path) -> None:
    """Write values to `VALUES_FILE` and `ARRAYS_FILE` of a folder; tuples come back as lists."""
    arrays: list[dict[str, Any]] = []
    with (folder / ARRAYS_FILE).open("wb") as file:

        def plain(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                file.write(bytes(-file.tell() % _ALIGNMENT))
                little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
                arrays.append({"dtype": little.dtype.str, "shape": list(value.shape), "start": file.tell()})
                file.write(little.tobytes())
                return {_REFERENCE: len(arrays) - 1}
            if isinstance(value, Mapping):
                return {str(name): plain(part) for name, part in value.items()}
            if isinstance(value, list | tuple):
                return [plain(part) for part in value]
            return value.item() if isinstance(value, np.generic) else value

        document = {"schema_version": SCHEMA_VERSION, "values": plain(values), "arrays": arrays}
        file.write(bytes(_ALIGNMENT))  # an empty file could not be mapped
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    (folder / VALUES_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")


def load_values(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what `save_values` wrote, arrays read-only and mapped.

    Args:
        document: the content of `VALUES_FILE`.
        path: where `ARRAYS_FILE` lies.

    Raises:
        ValueError: the two files do not belong together.
    """
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"{VALUES_FILE} is not a document of {SCHEMA_VERSION}.")
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    arrays = [_array(mapped, described) for described in document["arrays"]]

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[value[_REFERENCE]] if _REFERENCE in value else {k: whole(part) for k, part in value.items()}
        return [whole(part) for part in value] if isinstance(value, list) else value

    loaded: dict[str, Any] = whole(document["values"])
    return loaded


def _array(mapped: npt.NDArray[np.uint8], described: Mapping[str, Any]) -> npt.NDArray[Any]:
    kind, shape, start = described["dtype"], described["shape"], described["start"]
    numbers_are_sound = type(shape) is list and len(shape) <= _MOST_DIMENSIONS
    numbers_are_sound = numbers_are_sound and all(type(n) is int and 0 <= n < 2**48 for n in [start, *shape])
    if type(kind) is not str or not _DTYPE.fullmatch(kind) or not numbers_are_sound:
        raise ValueError(f"{VALUES_FILE} describes an array of another kind than this product writes.")
    dtype = np.dtype(kind)
    size = dtype.itemsize * math.prod(shape)
    if start + size > len(mapped):
        raise ValueError(f"{VALUES_FILE} describes an array that is not in {ARRAYS_FILE}.")
    part = np.asarray(mapped[start : start + size])
    if dtype.kind == "b" and part.max(initial=0) > 1:  # numpy counts on flags being 0 or 1 as it makes room
        raise ValueError(f"{ARRAYS_FILE} holds a flag that is neither true nor false.")
    return part.view(dtype).reshape(shape)
