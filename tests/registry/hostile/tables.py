"""Files without code that are hostile all the same: to a parser, to native code, or to memory."""

import io
import json
import pickle
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.registry.joblib_data import decode_joblib
from tests.registry.hostile.items import Item, changed_file, file_item
from tests.registry.hostile.pickles import dumped

VECTORS, GRAPH, ARRAYS, VALUES = "item_vectors.npy", "similarity_index.bin", "model_arrays.bin", "model_arrays.json"
ENGINE = "similarity_engine.joblib"


def _npy(header: str, data: bytes = bytes(64), version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text + data


def _saved(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def vector_items() -> Iterator[Item]:
    """Yield files of vectors."""
    made: dict[str, Callable[[bytes], bytes]] = {
        "an array of objects": lambda _: _saved(np.array([{"a": 1}], dtype=object)),
        "a pickle": lambda _: pickle.dumps([1]),
        "an archive of arrays": lambda _: b"PK\x03\x04" + bytes(100),
        "a shape beyond memory": lambda _: _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976, 4), }"),
        "a negative shape": lambda _: _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }"),
        "columns first": lambda data: data.replace(b"False", b"True ", 1),
        "bytes in another order": lambda data: data.replace(b"<f4", b">f4", 1),
        "other numbers": lambda data: data.replace(b"<f4", b"<i4", 1),
        "a type of fields": lambda _: _npy("{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (4,), }"),
        "a header of code": lambda _: _npy("__import__('os').system('true')"),
        "a deep header": lambda _: _npy("(" * 60_000),
        "a header of a gigabyte": lambda _: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**30) + bytes(64),
        "version 9": lambda data: data[:6] + b"\x09\x00" + data[8:],
        "cut off": lambda data: data[:-4], "more behind it": lambda data: data + bytes(4), "empty": lambda _: b"",
        "fewer vectors": lambda data: _saved(np.load(io.BytesIO(data))[:-1]),
        "not a number": lambda data: data[:-4] + struct.pack("<f", float("nan")),
        "infinite": lambda data: data[:-4] + struct.pack("<f", float("inf")),
    }  # fmt: skip
    for idea, change in made.items():
        yield changed_file("vectors (.npy)", idea, VECTORS, change)


def array_items() -> Iterator[Item]:
    """Yield descriptions of arrays that do not fit the bytes they describe."""

    def described(**facts: Any) -> Callable[[bytes], bytes]:
        def change(data: bytes) -> bytes:
            document = json.loads(data)
            document["arrays"][0] |= facts
            return json.dumps(document).encode()

        return change

    def rewritten(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
        return lambda data: json.dumps(change(json.loads(data))).encode()

    def referring(value: Any) -> Callable[[bytes], bytes]:
        def change(document: Any) -> Any:
            document["values"]["routings"]["signature"] = {"$array": value}
            return document

        return rewritten(change)

    for kind in (
        "O",
        "|O",
        "|O8",
        "<f8,O",
        "|V8",
        "|S8",
        "<U4",
        "<M8[s]",
        "(100000000,)<f8",
        "<f16",
        "<f3",
        ">f8",
        "",
        None,
        ["<f8"],
    ):
        yield changed_file("arrays (model_arrays)", f"of type {kind!r}", VALUES, described(dtype=kind))
    for shape in ([-1], [2**62], [2**31, 2**31, 2**31], [1] * 60, "12", [1.5], [True], None, [[1]], {"0": 1}):
        yield changed_file("arrays (model_arrays)", f"of shape {shape!r:.30}", VALUES, described(shape=shape))
    for start in (-64, 2**62, 10**30, "0", 0.5, None):
        yield changed_file("arrays (model_arrays)", f"beginning at {start!r}", VALUES, described(start=start))
    for place in (10**9, -(10**9), "0", None, [0]):
        yield changed_file("arrays (model_arrays)", f"array number {place!r}", VALUES, referring(place))
    yield changed_file("arrays (model_arrays)", "bytes cut off", ARRAYS, lambda data: data[: len(data) // 2])
    yield file_item("arrays (model_arrays)", "no bytes", ARRAYS, b"")
    yield file_item("arrays (model_arrays)", "a pickle of bytes", ARRAYS, pickle.dumps([1]))


def json_items() -> Iterator[Item]:
    """Yield JSON that means nothing, two things or too much."""
    forms: dict[str, Callable[[bytes], bytes]] = {
        "100,000 deep": lambda _: b"[" * 100_000 + b"]" * 100_000,
        "objects 100,000 deep": lambda _: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "a number of 100,000 digits": lambda _: b'{"a":' + b"9" * 100_000 + b"}",
        "a number beyond any": lambda data: data.replace(b"{", b'{"beyond":1e999,', 1),
        "NaN": lambda data: data.replace(b"{", b'{"nan":NaN,', 1),
        "Infinity": lambda data: data.replace(b"{", b'{"inf":-Infinity,', 1),
        "a member twice": lambda data: data.replace(b"{", b'{"twice":1,"twice":2,', 1),
        "a mark of byte order": lambda data: b"\xef\xbb\xbf" + data,
        "UTF-16": lambda data: data.decode().encode("utf-16"), "UTF-32": lambda data: data.decode().encode("utf-32"),
        "no UTF-8": lambda data: data.replace(b"{", b'{"a":"\xff",', 1),
        "cut off": lambda data: data[:-3], "more behind it": lambda data: data + b"{}", "empty": lambda _: b"",
        "a pickle": lambda _: b"cposix\nsystem\n(S'true'\ntR.", "code": lambda _: b"__import__('os')",
        "20 MiB of lists": lambda _: b"[" + b"[]," * 7_000_000 + b"0]", "NUL": lambda data: b"\0" + data,
        "a single quote": lambda data: data.replace(b'"', b"'"),
    }  # fmt: skip
    for name in ("metrics.json", VALUES, "training_metadata.json", "golden.json", "time_profiles.json"):
        for idea, form in forms.items():
            yield changed_file("JSON", idea, name, form)


def parquet_items() -> Iterator[Item]:
    """Yield tables."""

    def written(frame: pl.DataFrame) -> bytes:
        stream = io.BytesIO()
        frame.write_parquet(stream, compression="zstd")
        return stream.getvalue()

    def many(data: bytes, rows: int) -> bytes:
        frame = pl.read_parquet(io.BytesIO(data)).head(1)
        return written(frame.select(pl.col(name).first().repeat_by(rows).explode() for name in frame.columns[:1]))

    def counted(count: int) -> Callable[[bytes], bytes]:
        """Write other counts into the footer: of rows and of values, which say how much memory is asked for."""

        def change(data: bytes) -> bytes:
            size = int.from_bytes(data[-8:-4], "little")
            body, footer = data[: -8 - size], data[-8 - size : -8]
            rows = pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item()
            changed = footer.replace(b"\x16" + _varint(2 * rows), b"\x16" + _varint(2 * count))
            return body + changed + len(changed).to_bytes(4, "little") + b"PAR1"

        return change

    forms: dict[str, Callable[[bytes], bytes]] = {
        "cut off": lambda data: data[: len(data) // 2], "no end": lambda data: data[:-4], "empty": lambda _: b"",
        "a footer longer than it": lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
        "a footer of nothing": lambda data: data[:-8] + bytes(4) + b"PAR1",
        "an encrypted footer": lambda data: data[:-4] + b"PARE", "more behind it": lambda data: data + b"x",
        "marks alone": lambda _: b"PAR1PAR1", "a pickle": lambda _: pickle.dumps([1]),
        "an arrow file": lambda data: b"ARROW1" + data[6:], "a text table": lambda _: b"item_code\nA\n",
        "a footer of noise": lambda data: data[:-400] + bytes(range(256)) + data[-144:],
        "data of noise": lambda data: data[:4] + bytes(255 - byte for byte in data[4 : len(data) // 3]) + data[len(data) // 3 :],
        "2**60 rows": counted(2**60), "2**40 rows": counted(2**40), "2**31 rows": counted(2**31), "-1 rows": counted(-1),
        "a row less": lambda data: counted(pl.read_parquet(io.BytesIO(data)).height - 1)(data),
        "no columns": lambda _: written(pl.DataFrame()),
        "a column of structures": lambda _: written(pl.DataFrame({"item_code": [{"a": [1]}]})),
        "40 million equal rows": partial(many, rows=40_000_000),
    }  # fmt: skip
    for name in ("items.parquet", "routings.parquet", "times.parquet"):
        for idea, form in forms.items():
            if not (name == "times.parquet" and idea in _HARMLESS):
                yield changed_file("tables (Parquet)", idea, name, form)


_HARMLESS = {"no columns", "a column of structures", "40 million equal rows", "a row less"}  # what only people look at


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def engine_items() -> Iterator[Item]:
    """Yield states of an index that do not belong to its files."""

    def state(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], dict[str, bytes]]:
        def make(folder: Path) -> dict[str, bytes]:
            told = decode_joblib((folder / ENGINE).read_bytes())
            told = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in told.items()}
            changed = change(told)
            return {ENGINE: dumped(told if changed is None else changed, compress=3)}

        return make

    def put(name: str, place: Any, value: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda told: told[name].__setitem__(place, value)

    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "an entry that is not there": put("entry_of", 0, 2**30), "an entry below 0": put("entry_of", -1, -5),
        "places with a fraction": lambda told: told | {"entry_of": told["entry_of"].astype(float)},
        "a place too many": lambda told: told | {"entry_of": np.append(told["entry_of"], 0)},
        "cells that fall": put("cell_starts", 1, 10**9), "cells below 0": put("cell_starts", 0, -1),
        "a cell too few": lambda told: told | {"cell_starts": told["cell_starts"][:-1]},
        "axes of other vectors": lambda told: told | {"axes": told["axes"][:-1]},
        "no axes": lambda told: told | {"axes": None}, "centres of others": lambda told: told | {"cell_centres": told["cell_centres"][:, :-1]},
        "2**62 entries": lambda told: told["parameters"].update(entries=2**62),
        "entries below 0": lambda told: told["parameters"].update(entries=-1),
        "found too little": lambda told: told["parameters"].update(recall_at_10=0.1),
        "found no number": lambda told: told["parameters"].update(recall_at_10=float("nan")),
        "a back end of no name": lambda told: told["parameters"].update(backend="../evil.so"),
        "other items": lambda told: told | {"item_codes": told["item_codes"][::-1]},
        "no parameters": lambda told: told.pop("parameters") and None, "a list": lambda _: [],
    }  # fmt: skip
    for idea, change in changes.items():
        yield Item(kind="states of an index", idea=idea, way="file", make=state(change))
        yield Item(kind="states of an index", idea=idea, way="file", make=state(change), graph=True)


def graph_items() -> Iterator[Item]:
    """Yield hnswlib's graphs: it follows every number in them."""
    fields = [("where level 0 begins", "Q"), ("room", "Q"), ("entries", "Q"), ("bytes an entry", "Q"), ("label place", "Q"),
              ("vector place", "Q"), ("highest level", "i"), ("begin", "I"), ("links", "Q"), ("links below", "Q"), ("M", "Q")]  # fmt: skip
    at = 0
    for field, code in fields:
        most = {"Q": (2**63 - 1, 2**40, 2**32, 0, 1), "i": (2**31 - 1, -1, 61), "I": (2**32 - 1, 2**20)}[code]
        for value in most:
            if (field, value) != ("where level 0 begins", 0):
                data = struct.pack("<" + code, value)
                yield changed_file(
                    "graphs (hnswlib)", f"{field} of another size", GRAPH, partial(_put, at, data), graph=True
                )
        at += struct.calcsize("<" + code)
    head, row = 96, 33 * 4
    changes: dict[str, Callable[[bytes], bytes]] = {
        "a link to nowhere": lambda d: _put(head + 4, b"\xff\xff\xff\x7f", d),
        "a link just behind the last": lambda d: _put(head + 4, _entries(d).to_bytes(4, "little"), d),
        "65,535 links": lambda d: _put(head, b"\xff\xff", d), "33 links": lambda d: _put(head, b"\x21\x00", d),
        "a deleted entry": lambda d: _put(head + 2, b"\x01", d),
        "a label of another entry": lambda d: _put(_label(d, 0), d[_label(d, 1) : _label(d, 1) + 8], d),
        "a label of nothing": lambda d: _put(_label(d, 0), b"\xff" * 8, d),
        "a vector of no number": lambda d: _put(head + row, struct.pack("<f", float("nan")), d),
        "a vector without end": lambda d: _put(head + row, struct.pack("<f", float("inf")), d),
        "cut off in its head": lambda d: d[:50], "cut off in level 0": lambda d: d[: len(d) // 2],
        "cut off at its end": lambda d: d[:-4], "cut off in a word": lambda d: d[:-1], "more behind it": lambda d: d + bytes(4),
        "empty": lambda _: b"", "a pickle": lambda _: pickle.dumps([1]), "head alone": lambda d: d[:head],
        "a link above to nowhere": lambda d: _higher(d, 1, 2**31 - 1),
        "too many links above": lambda d: _higher(d, 0, 17), "65,535 links above": lambda d: _higher(d, 0, 65_535),
        "a link above to one that is not up there": lambda d: _higher(d, 1, _low(d)),
        "levels of no whole size": lambda d: _higher(d, -1, 67), "four gigabytes of levels": lambda d: _higher(d, -1, 2**32 - 4),
        "a thousand levels": lambda d: _higher(d, -1, 68_000), "no levels where there were": lambda d: _higher(d, -1, 0),
        "begins at an entry that is not on top": lambda d: _put(52, _low(d).to_bytes(4, "little"), d),
    }  # fmt: skip
    for idea, change in changes.items():
        yield changed_file("graphs (hnswlib)", idea, GRAPH, change, graph=True)


def _put(at: int, new: bytes, data: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _entries(data: bytes) -> int:
    return int.from_bytes(data[16:24], "little")


def _label(data: bytes, entry: int) -> int:
    return 96 + entry * int.from_bytes(data[24:32], "little") + int.from_bytes(data[32:40], "little")


def _levels(data: bytes) -> list[tuple[int, int]]:
    """Return, of each entry, where its size of higher levels stands, and that size."""
    at, found = 96 + _entries(data) * int.from_bytes(data[24:32], "little"), []
    for _ in range(_entries(data)):
        size = int.from_bytes(data[at : at + 4], "little")
        found.append((at, size))
        at += 4 + size
    return found


def _higher(data: bytes, word: int, value: int) -> bytes:
    """Write a word of the first entry that has higher levels: -1 its size, 0 how many links, 1 the first link."""
    at = next(at for at, size in _levels(data) if size)
    filled = _put(at + 4, b"\x01\x00\x00\x00", data) if word == 1 else data
    return _put(at + 4 + 4 * word, value.to_bytes(4, "little"), filled)


def _low(data: bytes) -> int:
    return next(entry for entry, (_, size) in enumerate(_levels(data)) if not size)


def strange_items() -> Iterator[Item]:
    """Yield files that no package has, named in a manifest that a trusted key signed."""
    program = b"cposix\nsystem\n(S'true'\ntR."
    for name in ("model.pkl", "model.joblib", "setup.py", "sitecustomize.py", "evil.so", "model.onnx", "model.skops",
                 "sub/encoder.joblib", "more.json", "more.parquet", "more.npy", "run.bat", "index.html"):  # fmt: skip
        yield file_item("files of no package", name, name, program)
