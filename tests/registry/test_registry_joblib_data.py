"""Reading joblib files: own data comes back whole, and whatever could run is refused before it does."""

import ast
import os
import pickle
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from shared.registry.joblib_data import Unsafe, decode_joblib
from shared.settings import PROJECT_DIR
from tests.registry.hostile.pickles import HAND_MADE, PLACES, Call, attacks, dumped, header

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


def test_the_hand_made_header_is_a_good_one() -> None:
    """Else the refusals below would prove nothing."""
    data = header(b"K\x02\x85") + struct.pack("<dd", 1.0, 2.0) + b"."
    np.testing.assert_array_equal(decode_joblib(data), [1.0, 2.0])


@pytest.mark.parametrize("data", HAND_MADE)
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
    """Return what in a module could read a pickle, by whatever name; `np.load` may stand with `allow_pickle=False`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    harmless = {call.func for call in calls if refuses_pickles(call)}
    aliases = {alias.asname or "": alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found: list[str] = []
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and node not in harmless:
            told = ast.unparse(node.value)
            names = [f"{aliases.get(told, told)}.{node.attr}", f"*.{node.attr}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and path.name != "joblib_data.py":
            names = [node.value]
        found += [name for name in names if name in UNSAFE or name.split(".")[0] in UNSAFE_ROOTS]
    return found + [ran for call in calls if (ran := runs_text(call))]


def runs_text(call: ast.Call) -> str | None:
    """Return a call that runs a text as a program, or imports what only the running program knows the name of."""
    name, constants = ast.unparse(call.func), [isinstance(word, ast.Constant) for word in call.args]
    if name in {"eval", "exec", "compile", "builtins.eval", "builtins.exec"}:
        return name
    return name if name in {"__import__", "importlib.import_module", "import_module"} and not all(constants) else None


def refuses_pickles(call: ast.Call) -> bool:
    words = {word.arg: word.value for word in call.keywords}
    value = words.get("allow_pickle")
    return isinstance(value, ast.Constant) and value.value is False


UNSAFE = {
    "joblib.load", "numpy.load", "np.load", "*.read_pickle", "*.loads_pickle", "joblib.numpy_pickle", "numpy.lib.npyio",
    "joblib.hashing", "multiprocessing.reduction", "*.deserialize",
}  # fmt: skip
UNSAFE_ROOTS = {"pickle", "_pickle", "cPickle", "pickletools", "dill", "cloudpickle", "shelve", "marshal", "_marshal",
                "jsonpickle", "torch", "pandas", "skops", "zodbpickle", "copyreg"}  # fmt: skip


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
        "import joblib as j\nj.load('x')",
        "import importlib\nimportlib.import_module('pickle')",
        "__import__('pick' + 'le')",
        "import importlib\nname = 'x'\nimportlib.import_module(name)",
        "import sys\nsys.modules['_pickle']",
        "eval('1')",
        "from multiprocessing import reduction",
        "import x\nx.read_pickle('y')",
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
