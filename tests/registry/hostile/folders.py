"""Package folders that are not what their manifest says, and manifests that nobody should believe."""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from shared.registry.manifest import MANIFEST_NAME, canonical_bytes
from tests.registry.hostile.archives import HOSTILE_NAMES, MORE_NAMES
from tests.registry.hostile.items import Item


def add_file(folder: Path) -> None:
    (folder / "extra.json").write_text("{}")


def add_hidden_file(folder: Path) -> None:
    (folder / ".hidden").write_text("x")


def add_nested_file(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "extra.json").write_text("{}")


def add_empty_folder(folder: Path) -> None:
    (folder / "inner").mkdir()


def add_nested_manifest(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / MANIFEST_NAME).write_bytes((folder / MANIFEST_NAME).read_bytes())


def remove_file(folder: Path) -> None:
    (folder / "metrics.json").unlink()


def rename_file(folder: Path) -> None:
    (folder / "metrics.json").rename(folder / "metric.json")


def change_case(folder: Path) -> None:
    (folder / "metrics.json").rename(folder / "Metrics.json")


def link_file(folder: Path) -> None:
    target = folder.parent / "metrics.json"
    (folder / "metrics.json").rename(target)
    (folder / "metrics.json").symlink_to(target)


def link_folder(folder: Path) -> None:
    (folder / "inner").symlink_to(folder.parent)


def folder_instead(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").mkdir()


def truncate(folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_bytes(path.read_bytes() + b"\n")


def swap(folder: Path) -> None:
    first, second = (folder / name for name in ("metrics.json", "active_features.json"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def make_pipe(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    if sys.platform != "win32":
        os.mkfifo(folder / "metrics.json")


DAMAGES: list[Callable[[Path], None]] = [
    add_file, add_hidden_file, add_nested_file, add_empty_folder, add_nested_manifest, remove_file, rename_file,
    change_case, link_file, link_folder, folder_instead, truncate, lengthen, swap, make_pipe,
]  # fmt: skip


def _socket(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    here = Path.cwd()
    os.chdir(folder)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("metrics.json")
    finally:
        os.chdir(here)


def _hard_link_outside(folder: Path) -> None:
    os.link(folder / "golden.json", folder / "golden2.json")


def _dangling(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").symlink_to("/nowhere")


def _endless(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").symlink_to("/dev/zero")


def _itself(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").symlink_to("metrics.json")


def _linked_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).rename(folder.parent / "moved")
    (folder / MANIFEST_NAME).symlink_to(folder.parent / "moved")


def _manifest_a_pipe(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()
    os.mkfifo(folder / MANIFEST_NAME)


def _no_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def _holes(folder: Path) -> None:
    os.truncate(folder / "item_vectors.npy", 2**40)


def _another_version(folder: Path) -> None:
    document = (folder / MANIFEST_NAME).read_bytes()
    (folder / MANIFEST_NAME).write_bytes(document.replace(b'"version":"pilot"', b'"version":"pilos"'))


MORE_DAMAGES = [
    _socket, _hard_link_outside, _dangling, _endless, _itself, _linked_manifest, _manifest_a_pipe, _no_manifest, _holes,
    _another_version,
]  # fmt: skip


def folder_items() -> Iterator[Item]:
    """Yield every damaged folder."""
    for damage in DAMAGES + MORE_DAMAGES:
        yield Item(kind="folders", idea=damage.__name__.strip("_"), way="folder", make=damage)


def _with(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the document with one value changed, wherever it stands."""
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def _added(document: dict[str, Any], path: str, **facts: Any) -> dict[str, Any]:
    document["artifacts"].append({"path": path, "role": "report", "sha256": "0" * 64, "bytes": 0} | facts)
    return document


def manifest_items() -> Iterator[Item]:
    """Yield every manifest that must not be believed, signed by a trusted key all the same."""

    def item(kind: str, idea: str, make: Callable[[dict[str, Any]], Any]) -> Item:
        return Item(kind=kind, idea=idea, way="manifest", make=make)

    for name in HOSTILE_NAMES + MORE_NAMES:
        yield item("paths in manifests", repr(name)[:40], partial(_added, path=name))
    changes: dict[str, tuple[tuple[Any, ...], Any]] = {
        "no artifacts": (("artifacts",), []), "artifacts are no list": (("artifacts",), {}),
        "negative size": (("artifacts", 0, "bytes"), -1), "size as a text": (("artifacts", 0, "bytes"), "1"),
        "size with a fraction": (("artifacts", 0, "bytes"), 1.0), "size a flag": (("artifacts", 0, "bytes"), True),
        "size of 2**70": (("artifacts", 0, "bytes"), 2**70), "larger than a disk": (("artifacts", 0, "bytes"), 2**33 + 1),
        "hash in capitals": (("artifacts", 0, "sha256"), "A" * 64), "short hash": (("artifacts", 0, "sha256"), "a" * 63),
        "hash and a line": (("artifacts", 0, "sha256"), "a" * 64 + "\n"), "role of a program": (("artifacts", 0, "role"), "../x"),
        "another schema": (("schema_version",), "routing-ml/manifest@99"), "schema of a list": (("schema_version",), []),
        "another version": (("version",), "other"), "version active": (("version",), "active"),
        "version that leaves": (("version",), "../pilot"), "version in capitals": (("version",), "Pilot"),
        "version of a device": (("version",), "nul"), "no version": (("version",), None),
        "a member more": (("command",), "rm -rf /"), "a member more inside": (("training", "hook"), "x"),
        "NUL in the profile": (("training", "profile"), "a\x00b"), "turned writing": (("training", "profile"), "a\u202eb"),
        "escape codes": (("model_kind",), "\x1b[2J"), "a very long profile": (("training", "profile"), "x" * 201),
        "2**64 rows": (("training", "rows"), {"items": 2**64}), "rows with a fraction": (("training", "rows"), {"items": 0.5}),
        "a huge metric": (("metrics", "mae"), 10**4000), "a metric of flags": (("metrics",), [True]),
        "a time that is none": (("created_at",), "2026-02-30T00:00:00.000000Z"), "local time": (("created_at",), "2026-02-03"),
        "data of the year 99999": (("training", "data_as_of"), "99999-01-01T00:00:00.000000Z"),
        "python 2": (("runtime", "python"), "2.7.18"), "numpy 99": (("runtime", "numpy"), "99.0"),
        "joblib of no number": (("runtime", "joblib"), "evil"), "parent that leaves": (("training", "parent"), "../../x"),
    }  # fmt: skip
    for idea, (place, value) in changes.items():
        yield item("values in manifests", idea, partial(_with, path=place, value=value))
    clashes = {"the same path twice": "encoder.joblib", "the same path in capitals": "ENCODER.joblib",
               "a file that is a folder": "encoder.joblib/x"}  # fmt: skip
    for idea, path in clashes.items():
        yield item("values in manifests", idea, partial(_added, path=path))
    yield item("values in manifests", "300 artifacts", lambda document: [
        _added(document, f"f{number}") for number in range(300)][-1])  # fmt: skip
    forms: dict[str, Callable[[bytes], bytes]] = {
        "a member twice": lambda data: data.replace(b'{"artifacts"', b'{"version":"x","artifacts"', 1),
        "spaces": lambda data: data.replace(b'":', b'": '), "no last line": lambda data: data[:-1],
        "two last lines": lambda data: data + b"\n", "a mark of byte order": lambda data: b"\xef\xbb\xbf" + data,
        "UTF-16": lambda data: data.decode().encode("utf-16"), "escaped letters": lambda data: data.replace(b"pilot", b"\\u0070ilot"),
        "a comment": lambda data: b"/**/" + data, "NaN": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":NaN,'),
        "beyond any number": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":1e999,'),
        "50,000 deep": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b","),
        "quotes hide the depth": lambda data: data.replace(b'"metrics":{', b'"metrics":{"\\\\":' + b"[" * 30 + b"]" * 30 + b","),
        "half a letter": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":"\\ud800",'),
        "no UTF-8": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":"\xff",'),
        "2 MiB": lambda data: data.replace(b'"metrics":{', b'"metrics":{"a":"' + b"x" * 2**21 + b'",'),
        "a list": lambda _: b"[]\n", "nothing": lambda _: b"", "a pickle": lambda _: b"cposix\nsystem\n(S'true'\ntR.",
        "another order": lambda data: b'{"version":"pilot",' + data.replace(b',"version":"pilot"', b"")[1:],
        "no signature": lambda data: canonical_bytes({k: v for k, v in _read(data).items() if k != "signature"}),
        "a signature of zeros": lambda data: _signed_by(data, value="0" * 128),
        "a stranger's key": lambda data: _signed_by(data, key_id="0" * 32),
        "a key that leaves": lambda data: _signed_by(data, key_id="../../../../etc/passwd"),
        "another algorithm": lambda data: _signed_by(data, algorithm="none"),
        "null for a signature": lambda data: canonical_bytes(_read(data) | {"signature": None}),
    }  # fmt: skip
    for idea, form in forms.items():
        yield Item(kind="forms of manifests", idea=idea, way="folder", make=_rewritten(form))


def _rewritten(form: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = folder / MANIFEST_NAME
        path.write_bytes(form(path.read_bytes()))

    return make


def _read(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data)
    return document


def _signed_by(data: bytes, **facts: str) -> bytes:
    document = _read(data)
    return canonical_bytes(document | {"signature": document["signature"] | facts})
