"""Reading joblib files: own data comes back whole, and whatever could run is refused before it does."""

import ast
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from shared.registry.joblib_data import Unsafe, decode_joblib
from shared.settings import PROJECT_DIR

PLAIN = {
    "texts": ["a", "ö", "x" * 300, ""],
    "numbers": [0, 1, 255, 256, -1, 2**31 - 1, 2**40, -(2**70), 1.5, float("inf")],
    "flags": [True, False, None],
    "nested": {"tuple": (1, ("two", 3.0), (), [1], 4, 5), 7: {"deep": [[[]]]}, (1, 2): "key"},
    "raw": b"bytes",
}
ARRAYS: list[np.ndarray[Any, Any]] = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(5, dtype=np.int64)[::2],
    np.array(["short", "a longer text"]),
    np.array([b"ab", b"c"]),
    np.array([True, False]),
    np.array(3.5),
    np.zeros((0, 4)),
    np.arange(4, dtype=">i4"),
    np.array([1 + 2j]),
]


def dumped(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_data_comes_back_as_it_was(protocol: int) -> None:
    assert decode_joblib(dumped(PLAIN, protocol=protocol)) == PLAIN
    assert decode_joblib(pickle.dumps(PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_come_back_as_they_were_wherever_they_stand(protocol: int) -> None:
    value = {"first": ARRAYS[0], "list": ARRAYS, "after": ["text", ARRAYS[3]], "scalar": np.float32(2.5)}
    read = decode_joblib(dumped(value, protocol=protocol))
    for expected, found in zip(ARRAYS, read["list"], strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape
    np.testing.assert_array_equal(read["after"][1], ARRAYS[3])
    assert read["scalar"] == np.float32(2.5)
    assert type(read["scalar"]) is np.float32


def test_an_array_that_occurs_twice_is_read_twice() -> None:
    read = decode_joblib(dumped([ARRAYS[0], ARRAYS[0], ("t", ARRAYS[0])]))
    np.testing.assert_array_equal(read[0], read[2][1])


def test_a_list_longer_than_one_batch_is_read_whole() -> None:
    codes = [f"ITEM-{number}" for number in range(3_000)]
    assert decode_joblib(dumped({"codes": codes, "index": {code: i for i, code in enumerate(codes)}}))["codes"] == codes


def test_arrays_cannot_be_changed_by_a_reader() -> None:
    with pytest.raises(ValueError, match="read-only"):
        decode_joblib(dumped(ARRAYS[0]))[0, 0] = 1


# ---------------------------------------------------------------------------------------------------------- hostile


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


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_nothing_in_a_hostile_file_runs(protocol: int, place: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, evil in attacks(canary).items():
        data = dumped(PLACES[place](evil), protocol=protocol)
        with pytest.raises(Unsafe):
            decode_joblib(data)
        assert not canary.exists(), name


def test_the_canary_would_sing_in_the_ordinary_reader(tmp_path: Path) -> None:
    """The attacks above are real: joblib itself runs them."""
    canary = tmp_path / "canary"
    file = tmp_path / "hostile.joblib"
    file.write_bytes(dumped([np.arange(3), Call(os.system, f"touch {canary}")]))
    joblib.load(file)
    assert canary.exists()


@pytest.mark.parametrize("level", [1, 3, 9])
def test_a_file_compressed_by_joblib_is_read(level: int) -> None:
    value = {**PLAIN, "arrays": ARRAYS}
    read = decode_joblib(dumped(value, compress=level))
    assert read["nested"] == PLAIN["nested"]
    for expected, found in zip(ARRAYS, read["arrays"], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["gzip", "bz2", "lzma", "xz"])
def test_other_compressions_are_refused_unopened(method: str) -> None:
    with pytest.raises(Unsafe):
        decode_joblib(dumped(PLAIN, compress=(method, 3)))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_compressed_file_cannot_hide_anything(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for evil in attacks(canary).values():
        with pytest.raises(Unsafe):
            decode_joblib(dumped([np.arange(4), evil], compress=3))
    assert not canary.exists()


def test_what_inflates_beyond_the_limit_is_refused() -> None:
    bomb = zlib.compress(dumped(np.zeros(1_000_000)))
    with pytest.raises(Unsafe, match="inflates"):
        decode_joblib(bomb, most_bytes=1_000_000)
    assert decode_joblib(bomb, most_bytes=9_000_000).shape == (1_000_000,)


def test_damaged_compression_is_refused() -> None:
    good = dumped(PLAIN, compress=3)
    for bad in (good[:-1], good + b"x", good[:20] + b"\0" + good[21:], b"\x78", b"\x78\x9c"):
        with pytest.raises(Unsafe):
            decode_joblib(bad)


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


def test_the_hand_made_header_is_a_good_one() -> None:
    """Else the refusals below would prove nothing."""
    data = header(b"K\x02\x85") + struct.pack("<dd", 1.0, 2.0) + b"."
    np.testing.assert_array_equal(decode_joblib(data), [1.0, 2.0])


@pytest.mark.parametrize(
    "data",
    [
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
    ],
)  # fmt: skip
def test_a_file_that_announces_more_than_it_has_or_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(Unsafe):
        decode_joblib(data)


def test_random_damage_never_does_more_than_fail() -> None:
    """Any change of an own file reads as plain data or is refused; no other error, no object of a class."""
    data = dumped({"a": ARRAYS[0], "b": ["x", 1, 2.0], "c": np.float32(1)})
    source = random.Random(20260131)
    for _ in range(3_000):
        changed = bytearray(data)
        for _ in range(source.randint(1, 3)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        try:
            decode_joblib(bytes(changed))
        except Unsafe:
            continue


# ------------------------------------------------------------------------------------------------------- the house


def product_modules() -> list[Path]:
    rooms = ["shared", "functions", "cli", "funchost"]
    files = [path for room in rooms for path in sorted((PROJECT_DIR / room).rglob("*.py"))]
    return files + [path for name in ("function_app.py", "manage.py") if (path := PROJECT_DIR / name).exists()]


def unsafe_uses(path: Path) -> list[str]:
    """Return what in a module could read a pickle; `np.load` may stand there with `allow_pickle=False`."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    harmless = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and refuses_pickles(node)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node not in harmless:
            names = [f"{node.value.id}.{node.attr}"]
        found += [name for name in names if name in UNSAFE or name.split(".")[0] in UNSAFE_ROOTS]
    return found


def refuses_pickles(call: ast.Call) -> bool:
    words = {word.arg: word.value for word in call.keywords}
    value = words.get("allow_pickle")
    return isinstance(value, ast.Constant) and value.value is False


UNSAFE = {"joblib.load", "numpy.load", "np.load"}
UNSAFE_ROOTS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}


def test_no_module_of_the_product_can_unpickle() -> None:
    uses = {str(path.relative_to(PROJECT_DIR)): unsafe_uses(path) for path in product_modules()}
    assert len(uses) > 30
    assert {path: names for path, names in uses.items() if names} == {}


def test_the_search_for_unsafe_modules_finds_them(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    for line in (
        "import pickle",
        "from joblib import load",
        "import joblib\njoblib.load('x')",
        "np.load(f, allow_pickle=True)",
        "np.load(f)",
    ):
        file.write_text(line)
        assert unsafe_uses(file), line


def test_reading_joblib_files_imports_no_pickle() -> None:
    """The reader works where the ordinary interpreter of pickles cannot even be imported."""
    program = (
        "import sys; sys.modules['joblib'] = None\n"
        "from shared.registry.joblib_data import decode_joblib\n"
        "print(decode_joblib(sys.stdin.buffer.read())[0].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=dumped([ARRAYS[0]]), capture_output=True, cwd=PROJECT_DIR, check=True
    )
    assert done.stdout.split() == b"[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]".split()
