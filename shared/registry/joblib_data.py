"""Decodes joblib files that hold plain data, without ever running what is in them.

A joblib file is a pickle, and a pickle is a program for a small stack machine whose ordinary interpreter may call
anything that can be imported. This module does not use that interpreter. It has a machine of its own which knows only
the instructions that build dicts, lists, tuples, texts, numbers and numpy arrays; there is no instruction in it that
imports, calls or sets an attribute, so nothing needs to be filtered. The four names that joblib writes for an array
are recognised as words, and everything else is refused by name.

Nothing is reserved before its bytes are known to be there, and the instructions are counted: an empty list takes one
byte of a file and sixty of memory. Keys of dicts are flat and small, so that none takes long to hash, or forever.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

MAX_INFLATED_BYTES = 128 * 1024**2  # twenty times the largest own file, of 321,000 items
MAX_INSTRUCTIONS = 2_000_000  # twenty times those of the own file with the most

_ZLIB = b"\x78"
_STOP = ord(".")
_SHORT_TEXT = 0x8C
_MEMOIZE = 0x94
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,8}")
_MOST_KEY_PARTS = 16
_BYTE_ORDERS = ("<", ">", "|", "=")


class Unsafe(ValueError):
    """The file holds something that plain data does not need."""


class _Word:
    """A name in the file that stands for a part of an array; the machine never resolves it to an object."""

    def __init__(self, name: str) -> None:
        self.name = name


_ARRAY = _Word("joblib array header")
_NDARRAY = _Word("numpy.ndarray")
_DTYPE_WORD = _Word("numpy.dtype")
_SCALAR = _Word("numpy scalar")
ALLOWED_NAMES: Mapping[tuple[str, str], _Word] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _ARRAY,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE_WORD,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
}


class _Header:
    """An array's description, before its bytes follow."""


class _Dtype:
    """A data type under construction: its code first, then its byte order."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "|"

    def finished(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.order + self.code)
        if dtype.itemsize == 0:  # numpy would make room for such values, and the file would not bound how much
            raise Unsafe("an array's values have no size")
        return dtype


class _Machine:
    """Interprets one file's bytes; every method named after an instruction performs it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.view = memoryview(data)
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, actions, size, memo, at, left = self.data, _ACTIONS, len(self.data), self.memo, 0, MAX_INSTRUCTIONS
        while at < size:
            code = data[at]
            left -= 1
            if left < 0:
                raise Unsafe(f"it has more than {MAX_INSTRUCTIONS} instructions")
            if code == _SHORT_TEXT:  # nearly all of a file are short texts, each remembered: these two go first
                end = at + 2 + data[at + 1]
                if end > size:
                    raise Unsafe("a text is longer than the file")
                self.stack.append(data[at + 2 : end].decode())
                at = end
            elif code == _MEMOIZE:
                memo[len(memo)] = self.stack[-1]
                at += 1
            elif code == _STOP:
                self.at = at + 1
                return self.stop()
            else:
                action = actions[code]
                if action is None:
                    raise Unsafe(f"instruction 0x{code:02x} at byte {at} does not belong into plain data")
                self.at = at + 1
                action(self)
                at = self.at
        raise Unsafe("the file ends before its data does")

    def stop(self) -> Any:
        if self.at != len(self.data):
            raise Unsafe("something follows after the end of the data")
        if len(self.stack) != 1 or self.marks:
            raise Unsafe("the data does not form one value")
        _refuse_parts(self.stack)
        return self.stack[0]

    def take(self, count: int) -> memoryview:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise Unsafe(f"{count} bytes are announced at byte {self.at} and are not there")
        piece = self.view[self.at : end]
        self.at = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def pop_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    # -- framing and the memo

    def proto(self) -> None:
        if not 3 <= self.number(1) <= 5:
            raise Unsafe("only protocols 3 to 5 are read")

    def frame(self) -> None:
        if self.number(8) > len(self.data) - self.at:
            raise Unsafe("a frame is longer than the file")

    def put(self, size: int) -> None:
        self.memo[self.number(size)] = self.stack[-1]

    def get(self, size: int) -> None:
        self.stack.append(self.memo[self.number(size)])

    # -- values

    def text(self, size: int) -> None:
        self.stack.append(str(self.take(self.number(size)), "utf-8"))

    def raw(self, size: int) -> None:
        self.stack.append(bytes(self.take(self.number(size))))

    def integer(self, size: int) -> None:
        self.stack.append(self.number(size))

    def signed(self) -> None:
        self.stack.append(int.from_bytes(self.take(4), "little", signed=True))

    def long(self) -> None:
        size = self.number(1)
        if size > 16:
            raise Unsafe("an integer has more than 128 bits")
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def real(self) -> None:
        self.stack.append(struct.unpack(">d", self.take(8))[0])

    def push(self, value: Any) -> None:
        self.stack.append(value)

    # -- containers

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise Unsafe("a tuple lacks its values")
        _refuse_parts(items, _HEADERS)
        self.stack[-count:] = [items]

    def tuple_marked(self) -> None:
        items = tuple(self.pop_mark())
        _refuse_parts(items, _HEADERS)
        self.stack.append(items)

    def append(self) -> None:
        value = self.stack.pop()
        _refuse_parts((value,))
        self.target(list).append(value)

    def appends(self) -> None:
        items = self.pop_mark()
        _refuse_parts(items)
        self.target(list).extend(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.store([key, value])

    def set_items(self) -> None:
        self.store(self.pop_mark())

    def store(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise Unsafe("a dict has a key without a value")
        _refuse_parts(items[1::2], _HEADERS)
        target = self.target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            _refuse_key(key)
            target[key] = value

    def target(self, kind: type[Any]) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Unsafe(f"values are added to something that is not a {kind.__name__}")
        return self.stack[-1]

    # -- the parts of an array

    def name(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_word(module, attribute))

    def name_line(self) -> None:
        self.stack.append(_word(self.line(), self.line()))

    def line(self) -> str:
        window = self.data[self.at : self.at + 200]
        end = window.find(b"\n")
        if end < 0:
            raise Unsafe("a name does not end")
        self.at += end + 1
        return window[:end].decode("ascii", "replace")

    def new_object(self) -> None:
        arguments, word = self.stack.pop(), self.stack.pop()
        if word is not _ARRAY or arguments != ():
            raise Unsafe("an object other than an array header is made")
        self.stack.append(_Header())

    def reduce(self) -> None:
        arguments, word = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple or not isinstance(word, _Word):
            raise Unsafe("something is called")
        if word is _DTYPE_WORD:
            self.stack.append(_Dtype(_dtype_code(arguments)))
        elif word is _SCALAR:
            self.stack.append(_scalar(arguments))
        else:
            raise Unsafe(f"{word.name} is called")

    def build(self) -> None:
        state = self.stack.pop()
        subject = self.stack[-1]
        if isinstance(subject, _Dtype):
            subject.order = _byte_order(state)
        elif isinstance(subject, _Header):
            self.stack[-1] = self.array(state)
        else:
            raise Unsafe("an object other than an array is given a state")

    def array(self, state: Any) -> np.ndarray[Any, Any]:
        """Return the array whose bytes follow its header in the file (a read-only view of them, not a copy)."""
        shape, order, kind = _array_state(state)
        dtype = kind.finished()
        if state.get("numpy_array_alignment_bytes") is not None:
            self.take(self.number(1))
        count = 1
        for length in shape:
            count *= length
        piece = self.take(count * dtype.itemsize)
        if count == 0:
            return np.empty(shape, dtype=dtype)
        values = np.frombuffer(piece, dtype=dtype).reshape(shape, order=order)
        if dtype.kind == "b" and np.frombuffer(piece, dtype=np.uint8).max() > 1:
            raise Unsafe("a flag is neither true nor false")  # numpy counts on their being 0 or 1 as it makes room
        return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


_KEYS = frozenset({str, int, float, bool, type(None)})
_HEADERS = frozenset({_Header})
_PARTS = frozenset({_Header, _Word, _Dtype})


def _refuse_parts(values: Iterable[Any], parts: frozenset[type[Any]] = _PARTS) -> None:
    """Refuse a half-made part of an array among values; a tuple may hold what a number's or array's header needs."""
    if not parts.isdisjoint(map(type, values)):
        raise Unsafe("a part of an array stands where a value should be")


def _refuse_key(key: Any) -> None:
    """Refuse keys that hash slowly (tuples of tuples, doubled by the memo) or all alike (integers beyond 64 bits)."""
    parts = key if type(key) is tuple else (key,)
    for part in parts[: _MOST_KEY_PARTS + 1]:
        if type(part) not in _KEYS or (type(part) is int and not -(2**63) <= part < 2**64):
            raise Unsafe(f"a {type(part).__name__} is the key of a dict, or a part of it")
    if len(parts) > _MOST_KEY_PARTS:
        raise Unsafe(f"the key of a dict has more than {_MOST_KEY_PARTS} parts")


def _word(module: Any, attribute: Any) -> _Word:
    word = ALLOWED_NAMES.get((module, attribute)) if type(module) is str and type(attribute) is str else None
    if word is None:
        raise Unsafe(f"it refers to {str(module)[:80]}.{str(attribute)[:80]}")
    return word


def _dtype_code(arguments: tuple[Any, ...]) -> str:
    if not arguments or type(arguments[0]) is not str or not _DTYPE.fullmatch(arguments[0]):
        raise Unsafe(f"an array's type {str(arguments[:1])[:80]} is not one of numbers, flags or texts")
    try:
        np.dtype(arguments[0])
    except TypeError as fault:
        raise Unsafe(f"numpy has no type {arguments[0]}") from fault
    return arguments[0]


def _byte_order(state: Any) -> str:
    fields_are_empty = type(state) is tuple and len(state) >= 5 and state[2] is None and state[4] is None
    if not fields_are_empty or state[3] is not None or state[1] not in _BYTE_ORDERS:
        raise Unsafe("an array's type has fields")
    return str(state[1])


def _scalar(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) != 2 or not isinstance(arguments[0], _Dtype) or type(arguments[1]) is not bytes:
        raise Unsafe("a numpy number is not made of its type and its bytes")
    dtype = arguments[0].finished()
    if dtype.itemsize != len(arguments[1]):
        raise Unsafe("a numpy number has the wrong size")
    return np.frombuffer(arguments[1], dtype=dtype)[0]


def _array_state(state: Any) -> tuple[tuple[int, ...], Any, _Dtype]:
    if type(state) is not dict or state.get("subclass") is not _NDARRAY or not isinstance(state.get("dtype"), _Dtype):
        raise Unsafe("an array's header does not describe a plain array")
    shape, order = state.get("shape"), state.get("order")
    if type(shape) is not tuple or len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        raise Unsafe("an array has no sensible shape")
    if order not in ("C", "F"):
        raise Unsafe("an array's order is neither C nor F")
    return shape, order, state["dtype"]


_KNOWN: dict[int, Callable[[_Machine], None]] = {
    0x80: _Machine.proto,
    0x95: _Machine.frame,
    ord("q"): lambda m: m.put(1),
    ord("r"): lambda m: m.put(4),
    ord("h"): lambda m: m.get(1),
    ord("j"): lambda m: m.get(4),
    ord("X"): lambda m: m.text(4),
    0x8D: lambda m: m.text(8),
    ord("C"): lambda m: m.raw(1),
    ord("B"): lambda m: m.raw(4),
    0x8E: lambda m: m.raw(8),
    ord("K"): lambda m: m.integer(1),
    ord("M"): lambda m: m.integer(2),
    ord("J"): _Machine.signed,
    0x8A: _Machine.long,
    ord("G"): _Machine.real,
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("("): _Machine.mark,
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("t"): _Machine.tuple_marked,
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    0x93: _Machine.name,
    ord("c"): _Machine.name_line,
    0x81: _Machine.new_object,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
}
_ACTIONS = [_KNOWN.get(code) for code in range(256)]


def decode_joblib(data: bytes, *, most_bytes: int = MAX_INFLATED_BYTES) -> Any:
    """Return the plain data of a joblib file, with arrays as read-only views; Unsafe for anything else.

    A file may be compressed with zlib, joblib's own choice, and may then inflate to `most_bytes`.
    """
    try:
        return _Machine(_inflated(data, most_bytes) if data[:1] == _ZLIB else data).run()
    except Unsafe:
        raise
    except (IndexError, KeyError, ValueError, TypeError, struct.error, zlib.error, MemoryError) as fault:
        raise Unsafe(f"it is damaged ({type(fault).__name__}: {fault})") from fault


def _inflated(data: bytes, most_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    plain = stream.decompress(data, most_bytes)
    if not stream.eof:
        raise Unsafe(f"it is cut off, or inflates to more than {most_bytes} bytes")
    if stream.unused_data:
        raise Unsafe("something follows after the end of the compressed data")
    return plain
