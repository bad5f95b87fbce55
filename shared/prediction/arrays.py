"""Plain values that hold large arrays, as two files that nothing has to be rebuilt from.

One file is JSON: dicts, lists, texts and numbers, with a reference in the place of each array. The other holds the
arrays one after the other as they lie in memory, and is mapped: what is never looked at is never read.
"""

import json
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
_KINDS = "biuf"


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
    dtype, shape, start = np.dtype(str(described["dtype"])), described["shape"], int(described["start"])
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    if dtype.kind not in _KINDS or min(shape, default=0) < 0 or not 0 <= start <= start + size <= len(mapped):
        raise ValueError(f"{VALUES_FILE} describes an array that is not in {ARRAYS_FILE}.")
    part = np.asarray(mapped[start : start + size])
    return part.view(dtype).reshape(shape)
