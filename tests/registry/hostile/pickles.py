"""Pickles and joblib files that somebody made to do harm, or to take all memory or time."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import subprocess
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from tests.registry.hostile.items import Item, changed_file, file_item


def dumped(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, **options)
    return stream.getvalue()


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class WithState:
    """Pickles as an object with a state."""

    def __init__(self) -> None:
        self.state = "any"


def attacks(canary: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's own, of its matrices
        return _attacks(canary)


def _attacks(canary: Path) -> dict[str, Any]:
    touch = str(canary)
    return {
        "system": Call(os.system, f"touch {touch}"),
        "open": Call(open, touch, "w"),
        "eval": Call(eval, f"open({touch!r}, 'w')"),
        "exec": Call(exec, f"open({touch!r}, 'w')"),
        "popen": Call(subprocess.Popen, ["touch", touch]),
        "getattr": Call(getattr, 1, "real"),
        "import": Call(__import__, "os"),
        "partial": partial(os.system, f"touch {touch}"),
        "numpy tofile": Call(np.ndarray.tofile, np.zeros(1), touch),
        "numpy load": Call(np.load, touch, None, True),
        "joblib load": Call(joblib.load, touch),
        "loads": Call(pickle.loads, pickle.dumps(Call(os.system, f"touch {touch}"))),
        "memmap": Call(np.memmap, touch, "uint8", "w+", 0, (1,)),
        "path touch": Call(Path.touch, canary),
        "object": WithState(),
        "class": WithState,
        "function": os.system,
        "ordered dict": OrderedDict(a=1),
        "set": {1},
        "frozen set": frozenset({1}),
        "time": datetime(2026, 1, 1),  # noqa: DTZ001 - any object of a class
        "decimal": Decimal("1"),
        "complex": 1j,
        "range": range(3),
        "slice": slice(1),
        "bytearray": bytearray(b"a"),
        "path": canary,
        "object array": np.array([Call(os.system, f"touch {touch}")], dtype=object),
        "object array of texts": np.array(["a", None], dtype=object),
        "structured array": np.zeros(2, dtype=[("a", "i4")]),
        "structured with objects": np.zeros(1, dtype=[("a", "O")]),
        "times": np.array(["2026-01-01"], dtype="M8[D]"),
        "matrix": np.matrix([[1]]),
        "masked": np.ma.masked_array([1], mask=[True]),
        "record": np.rec.array([(1,)], dtype=[("a", "i4")]),
        "generator": np.random.RandomState(1),
    }


PLACES: dict[str, Callable[[Any], Any]] = {
    "alone": lambda evil: evil,
    "in a list": lambda evil: ["a", evil],
    "as a value": lambda evil: {"a": 1, "b": evil},
    "after an array": lambda evil: [np.arange(10), evil],
    "between arrays": lambda evil: {"a": np.arange(3), "b": (evil,), "c": np.arange(3)},
}


def op(*parts: bytes | int) -> bytes:
    return b"".join(part if isinstance(part, bytes) else bytes([part]) for part in parts)


def text(value: str) -> bytes:
    return op(0x8C, len(value), value.encode())


def header(shape: bytes, *, code: str = "f8", subclass: str = "ndarray", extra: bytes = b"") -> bytes:
    """Return instructions for an array header whose shape is given by instructions."""
    dtype = op(text("numpy"), text("dtype"), 0x93, text(code), 0x89, 0x88, 0x87, b"R")
    dtype += op(b"(K\x03", text("<"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t", b"b")
    members = op(text("subclass"), text("numpy"), text(subclass), 0x93, text("shape"), shape)
    members += op(text("order"), text("C"), text("dtype"), dtype, extra)
    wrapper = op(text("joblib.numpy_pickle"), text("NumpyArrayWrapper"), 0x93, b")", 0x81)
    return op(0x80, 4, wrapper, b"}(", members, b"u", b"b")


HAND_MADE: list[bytes] = [
    header(b"J\xff\xff\xff\x7f\x85") + b".",
    header(op(0x8A, 6, (2**47).to_bytes(6, "little"), 0x85)) + b".",
    header(op(b"(", b"J\xff\xff\xff\x7f" * 8, b"t")) + b".",
    header(b"J\xff\xff\xff\xff\x85") + b".",
    header(b"K\x02") + b"\0" * 16 + b".",
    header(b"\x88\x85") + b"\0" * 8 + b".",
    header(b"J\xff\xff\xff\x7f\x85", code="U0") + b".",
    header(b"K\x01\x85", code="O8") + b"\0" * 8 + b".",
    header(b"K\x01\x85", code="V8") + b"\0" * 8 + b".",
    header(b"K\x01\x85", code="f8,O") + b"\0" * 16 + b".",
    header(b"K\x01\x85", code="U99999999") + b"\0" * 8 + b".",
    header(b"K\x02\x85", subclass="memmap") + b"\0" * 16 + b".",
    header(b"K\x02\x85", subclass="matrix") + b"\0" * 16 + b".",
    header(b"K\x02\x85") + b"\0" * 15 + b".",
    header(b"K\x02\x85") + b"\0" * 16,
    header(b"K\x02\x85") + b"\0" * 16 + b".." ,
    op(0x80, 4, 0x95, (2**62).to_bytes(8, "little"), b"N."),
    op(0x80, 4, 0x8E, (2**62).to_bytes(8, "little"), b"."),
    op(0x80, 4, 0x8D, (2**40).to_bytes(8, "little"), b"."),
    op(0x80, 4, b"B\xff\xff\xff\xff."),
    op(0x80, 4, b"Nr\xff\xff\xff\xff0."),
    op(0x80, 4, 0x8A, 200, b"\xff" * 200, b"."),
    op(0x80, 4, 0x8B, b"\xff\xff\xff\x7f."),
    op(0x80, 6, b"N."),
    op(0x80, 4, b"."),
    op(0x80, 4, b"NN."),
    op(0x80, 4, b"(N."),
    op(0x80, 4, b"t."),
    op(0x80, 4, b"]a."),
    op(0x80, 4, b"}K\x01s."),
    op(0x80, 4, b"}]Ns."),
    op(0x80, 4, b"h\x07."),
    op(0x80, 4, b"\x85."),
    op(0x80, 4, b"Q."),
    op(0x80, 4, b"P1\n."),
    op(0x80, 4, b"\x82\x01."),
    op(0x80, 4, b"\x83\x01\x00."),
    op(0x80, 4, b"\x97."),
    op(0x80, 4, 0x8C, 2, b"\xff\xfe."),
    op(0x80, 4, 0x8C, 200, b"short."),
    op(0x80, 4, text("numpy"), text("ndarray"), 0x93, b"."),
    op(0x80, 4, b"](", text("numpy"), text("dtype"), 0x93, b"e."),
    op(0x80, 4, text("numpy"), text("ndarray"), 0x93, b")R."),
    op(0x80, 4, text("numpy"), text("ndarray"), 0x93, b")", 0x81, b"."),
    op(0x80, 4, b"cnumpy\ndtype\n", text("O"), 0x85, b"R."),
    op(0x80, 4, b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)", 0x81, b"."),
    op(0x80, 4, b"cos\nsystem\n", text("true"), 0x85, b"R."),
    op(0x80, 4, b"}}b."),
    b"", b".", b"garbage", b"\x80", b"\x80\x04", b"PK\x03\x04",
]  # fmt: skip


def machine(*parts: bytes | int) -> bytes:
    """Return a pickle of protocol 4 made of these instructions."""
    return op(0x80, 4, *parts, b".")


def touching(canary: Path) -> dict[str, bytes]:
    """Return programs that touch the canary in ways that `pickle.dumps` does not write, by the instruction that does."""
    command = f"touch {canary}"
    quoted, brief = f"'{command}'\n".encode(), text(command)
    system, stack = b"cposix\nsystem\n", op(text("posix"), text("system"), 0x93)
    array = header(b"K\x02\x85") + struct.pack("<dd", 1.0, 2.0)
    return {
        "GLOBAL REDUCE, protocol 0": system + b"(S" + quoted + b"tR.",
        "GLOBAL REDUCE, no protocol": system + brief + op(0x85, b"R."),
        "STACK_GLOBAL REDUCE": machine(stack, brief, 0x85, b"R"),
        "INST": b"(S" + quoted + b"iposix\nsystem\n.",
        "OBJ": b"(" + system + b"S" + quoted + b"o.",
        "NEWOBJ": machine(op(text("subprocess"), text("Popen"), 0x93), op(b"](", text("touch"), text(str(canary)), b"e"), 0x85, 0x81),
        "NEWOBJ_EX": machine(op(text("subprocess"), text("Popen"), 0x93), op(b"](", text("touch"), text(str(canary)), b"e"), 0x85, b"}", 0x92),
        "BUILD on a module": machine(op(text("os"), text("environ"), 0x93), b"}", text("PATH"), text("/"), b"sb"),
        "BUILD with slots": machine(op(text("numpy"), text("ndarray"), 0x93), b"N}", text("x"), b"K\x01s", 0x86, b"b"),
        "EXT1": machine(0x82, 1, brief, 0x85, b"R"),
        "EXT2": machine(0x83, b"\x01\x00", brief, 0x85, b"R"),
        "EXT4": machine(0x84, b"\x01\x00\x00\x00", brief, 0x85, b"R"),
        "PERSID": b"Pposix.system\n.",
        "BINPERSID": machine(brief, b"Q"),
        "after an array": array + stack + brief + op(0x85, b"R."),
        "after two arrays and a pop": array + b"0" + array[2:] + b"0" + stack + brief + op(0x85, b"R."),
        "in the place of the dtype": header(b"K\x02\x85", extra=op(text("dtype"), stack, brief, 0x85, b"R")) + bytes(16) + b".",
        "in the place of the shape": header(op(stack, brief, 0x85, b"R")) + bytes(16) + b".",
        "in the header's class": machine(op(text("joblib.numpy_pickle"), text("NumpyArrayWrapper"), 0x93), op(stack, brief, 0x85, b"R"), 0x81),
        "out of the memo": machine(stack, 0x94, b"0", b"h\x00", brief, 0x85, b"R"),
        "a name kept in the memo for an array": machine(stack, b"q\x05", b"0", op(text("numpy"), text("dtype"), 0x93), b"q\x05", b"0h\x05", brief, 0x85, b"R"),
        "an allowed name written over": machine(op(text("numpy"), text("dtype"), 0x93), brief, 0x85, b"R"),
        "a name with dots": machine(op(text("numpy"), text("ndarray.tofile"), 0x93), brief, 0x85, b"R"),
        "a name through an allowed module": machine(op(text("joblib.numpy_pickle"), text("os"), 0x93)),
        "wrapper's own read": machine(op(text("joblib.numpy_pickle"), text("NumpyArrayWrapper.read"), 0x93), b")R"),
        "a subclass of the wrapper": machine(op(text("joblib.numpy_pickle_compat"), text("ZNDArrayWrapper"), 0x93), b")", 0x81),
        "numpy's _reconstruct": machine(op(text("numpy._core.multiarray"), text("_reconstruct"), 0x93), op(text("numpy"), text("ndarray"), 0x93), op(b"K\x00", 0x85), b"C\x01b", 0x87, b"R"),
        "numpy's frombuffer": machine(op(text("numpy._core.numeric"), text("_frombuffer"), 0x93), b")R"),
        "numpy's runstring": machine(op(text("numpy.testing._private.utils"), text("runstring"), 0x93), brief, b"}", 0x86, b"R"),
        "a ufunc": machine(op(text("numpy._core"), text("_ufunc_reconstruct"), 0x93), op(text("os"), text("system"), 0x86), b"R"),
        "sklearn": machine(op(text("sklearn.utils"), text("Bunch"), 0x93), b")", 0x81),
        "codecs": machine(op(text("_codecs"), text("encode"), 0x93), brief, 0x85, b"R"),
        "copyreg": machine(op(text("copyreg"), text("_reconstructor"), 0x93), b")R"),
        "operator": machine(op(text("operator"), text("attrgetter"), 0x93), text("system"), 0x85, b"R"),
        "pickle inside bytes": machine(op(text("_pickle"), text("loads"), 0x93), op(b"C\x03N..", 0x85), b"R"),
        "a scalar of objects": machine(op(text("numpy._core.multiarray"), text("scalar"), 0x93), op(text("numpy"), text("dtype"), 0x93, text("O8"), 0x89, 0x88, 0x87, b"R"), op(b"C\x08", bytes(8)), 0x86, b"R"),
        "another case": machine(op(text("Numpy"), text("dtype"), 0x93), text("f8"), 0x85, b"R"),
        "look-alike letters": machine(op(0x8C, 6, "numрy".encode(), text("dtype"), 0x93), text("f8"), 0x85, b"R"),
        "an empty module": machine(op(text(""), text("eval"), 0x93), brief, 0x85, b"R"),
        "a number for a module": machine(b"K\x01", text("system"), 0x93),
    }  # fmt: skip


def greedy() -> dict[str, Callable[[], bytes]]:
    """Return files that are small and would take all memory, all time or the whole stack of a careless reader."""
    doubled = op(b")", *[op(0x94, op(b"h", place), op(b"h", place), 0x86) for place in range(60)])
    deep = b")" + b"\x85" * 300_000
    alike = [op(0x8A, 16, ((number + 1) * (2**61 - 1)).to_bytes(16, "little"), b"N") for number in range(200_000)]
    return {
        "60 tuples, each twice in the next, as a key": lambda: machine(b"}", doubled, b"Ns"),
        "300,000 tuples in each other, as a key": lambda: machine(b"}", deep, b"Ns"),
        "300,000 lists in each other": lambda: machine(b"]" * 300_000, b"a" * 299_999),
        "200,000 keys of one hash": lambda: machine(b"}(", *alike, b"u"),
        "a key of 100,000 parts": lambda: machine(b"}((", b"N" * 100_000, b"tNs"),
        "120 million empty lists, compressed": lambda: zlib.compress(machine(b"(", b"]" * 120_000_000, b"l"), 9),
        "10 million empty lists": lambda: machine(b"](", b"]" * 10_000_000, b"e"),
        "10 million remembered things": lambda: machine(b"N" + b"\x94" * 10_000_000),
        "a text that takes four bytes a letter, compressed": lambda: zlib.compress(
            machine(b"X", (400 * 2**20 + 4).to_bytes(4, "little"), b"a" * (400 * 2**20), "\U0001f600".encode())
        ),
        "300 MiB of zeros, compressed": lambda: zlib.compress(machine(b"B", (300 * 2**20).to_bytes(4, "little"), bytes(300 * 2**20))),
        "compressed twice": lambda: zlib.compress(zlib.compress(dumped(np.zeros(10**7)))),
        "a key that is a list": lambda: machine(b"}]Ns"),
        "a key that is an array": lambda: machine(b"}", header(b"K\x01\x85")[2:], bytes(8), b"Ns"),
        "flags that are neither true nor false": lambda: header(b"K\x08\x85", code="b1") + b"\x02\xff" * 4 + b".",
        "an array of no size along one axis and all along the others": lambda: header(
            op(b"(K\x00", op(0x8A, 6, (2**47).to_bytes(6, "little")) * 2, b"t")) + b".",
    }  # fmt: skip


def pickle_items(canary: Path) -> Iterator[Item]:
    """Yield every hostile pickle and joblib file."""
    name = "encoder.joblib"
    for idea, evil in attacks(canary).items():
        for put in PLACES.values():
            for protocol in range(6):
                make = partial(_quietly_dumped, put, evil, protocol=protocol)
                yield file_item("objects in joblib files", idea, name, make)
            yield file_item("objects in joblib files", idea, name, partial(_quietly_dumped, put, evil, compress=3))
        yield file_item("objects in plain pickles", idea, name, partial(pickle.dumps, evil))
    for idea, data in touching(canary).items():
        yield file_item("hand-written pickles", idea, name, data)
        yield file_item("hand-written pickles", idea, name, zlib.compress(data))
    for number, data in enumerate(HAND_MADE):
        yield file_item("impossible joblib files", f"impossible {number}", name, data)
    for idea, made in greedy().items():
        yield file_item("greedy joblib files", idea, name, made)
    call = dumped([np.arange(4), Call(os.system, f"touch {canary}")])
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
        "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
        "lz4": lambda data: b"\x04\x22\x4d\x18" + data, "zstd": lambda data: b"\x28\xb5\x2f\xfd" + data,
        "joblib's old form": lambda data: b"ZF" + f"{len(data):#019x}".encode() + zlib.compress(data),
        "a zip around it": lambda data: b"PK\x03\x04" + data, "a comment before it": lambda data: b"#\n" + data,
        "an image before it": lambda data: b"\x89PNG\r\n\x1a\n" + data,
    }  # fmt: skip
    for idea, pack in packers.items():
        yield file_item("other wrappings", idea, name, partial(pack, call))
    for other in ("scaler.joblib", "feature_weights.joblib", "feature_columns.joblib", "similarity_engine.joblib"):
        yield file_item("every joblib file of a package", other, other, call)
        yield changed_file("every joblib file of a package", f"{other}, cut off", other, lambda data: data[:-9])
        yield changed_file("every joblib file of a package", f"{other}, and more", other, lambda data: data + call)


def _quietly_dumped(put: Callable[[Any], Any], evil: Any, **options: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dumped(put(evil), **options)
