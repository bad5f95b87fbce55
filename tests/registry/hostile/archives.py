"""Zip archives that somebody made to do harm."""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from shared.registry.drops import opened_zip
from shared.registry.manifest import MANIFEST_NAME, parse_manifest
from tests.registry.hostile.items import Item

Change = Callable[[zipfile.ZipFile], None]


def archive_of(folder: Path, change: Change | None = None, skip: tuple[str, ...] = ()) -> bytes:
    """Return a folder's files as a zip, with what `change` adds."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            if file.name not in skip:
                archive.write(file, file.name)
        if change is not None:
            change(archive)
    return written.getvalue()


def take_in(data: bytes, folder: Path) -> None:
    """Unpack as a registration does: manifest, comparison, files."""
    path = folder / "archive.zip"
    path.write_bytes(data)
    with opened_zip(path, "pilot") as source:
        manifest = parse_manifest(source.manifest())
        source.check(manifest)
        for artifact in manifest.artifacts:
            source.fetch(artifact.path, folder / "pilot" / artifact.path, artifact.bytes)


HOSTILE_NAMES = [
    "../outside", "../../etc/passwd", "/etc/passwd", "C:/windows/x", "C:\\windows\\x", "..\\outside", "a/../../b",
    "./a", "a//b", "a/./b", "con", "aux.json", "lpt1.bin", "nul", "a\x00b", "a\nb", "a:b", "a b", " a", "a ", "a.",
    "~/x", "sub/manifest.json", "MANIFEST.json", "Manifest.JSON", "ä.json", "a\u202eb", "x" * 300, "a/b/c/d/e",
    "METRICS.JSON", "metrics.json/x", "$(id)", "a|b", "a*b", "a?b", '"a"', "<a>", "\\\\server\\share", "//server/share",
]  # fmt: skip


MORE_NAMES = [
    "metrics.json:evil", "metrics.json::$DATA", "metrics.json.", "metrics.json ", "metrics.json...", "ｍetrics.json",
    "metricѕ.json", "metrics\u200b.json", "metrics\ufeff.json", "e\u0301.json", "\u00e9.json", "..", ".", "...", "CON.txt",
    "com1", "COM\u00b9", "CLOCK$", "CONIN$", "prn.json", "sub/../metrics.json", "/", "\\", "\\\\?\\C:\\x", "file:///etc/x",
    "%2e%2e/x", "..%2fx", "\u2025/x", "\u2215etc", "-rf", ".ssh", ".git/config", "__pycache__/x.pyc", "x.pyc",
]  # fmt: skip
_KINDS = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "character device": stat.S_IFCHR, "block device": stat.S_IFBLK,
          "socket": stat.S_IFSOCK, "folder": stat.S_IFDIR}  # fmt: skip


def _with_entry(folder: Path, name: str, data: bytes = b"{}", skip: tuple[str, ...] = (), **facts: int) -> bytes:
    def change(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo(name)
        for fact, value in facts.items():
            setattr(entry, fact, value)
        archive.writestr(entry, data)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return archive_of(folder, change, skip)


def _patched(folder: Path, sign: bytes, at: int, data: bytes) -> bytes:
    """Return an archive with bytes written over its last structure that begins with `sign`."""
    good = bytearray(archive_of(folder))
    place = good.rfind(sign) + at
    good[place : place + len(data)] = data
    return bytes(good)


def _large_end(folder: Path, entries: int, size: int, where: int | None = None) -> bytes:
    good = archive_of(folder)
    at = good.rfind(b"PK\x05\x06")
    end_64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, entries, entries, size, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, at if where is None else where, 1)
    return good[:at] + end_64 + locator + good[at:]


def _two_of_one_place(folder: Path) -> bytes:
    """Let the last two entries be unpacked from the same bytes."""
    good = bytearray(archive_of(folder))
    last = good.rfind(b"PK\x01\x02")
    before = good.rfind(b"PK\x01\x02", 0, last)
    good[last + 42 : last + 46] = good[before + 42 : before + 46]
    return bytes(good)


def _bomb(name: str, size: int) -> Callable[[Path], bytes]:
    return lambda folder: _with_entry(folder, name, bytes(size), (name,), compress_type=zipfile.ZIP_DEFLATED)


def archive_items() -> Iterator[Item]:
    """Yield every hostile archive."""

    def item(kind: str, idea: str, make: Callable[[Path], bytes]) -> Item:
        return Item(kind=kind, idea=idea, way="archive", make=make)

    for name in HOSTILE_NAMES + MORE_NAMES:
        yield item("names in zips", repr(name)[:40], partial(_with_entry, name=name))
    for idea, kind in _KINDS.items():
        for mode in (0o777, 0o4755):
            yield item("links and devices in zips", idea, partial(
                _with_entry, name="metrics.json", data=b"/etc/passwd", skip=("metrics.json",), external_attr=(kind | mode) << 16))  # fmt: skip
    for idea, method in {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items():
        yield item("zips written strangely", idea, partial(
            _with_entry, name="metrics.json", skip=("metrics.json",), compress_type=method))  # fmt: skip
    for method in (9, 93, 99):
        yield item("zips written strangely", f"method {method}",
                   partial(_patched, sign=b"PK\x01\x02", at=10, data=bytes([method, 0])))  # fmt: skip
    patches: dict[str, tuple[bytes, int, bytes]] = {
        "encrypted": (b"PK\x01\x02", 8, b"\x01\x00"), "strongly encrypted": (b"PK\x01\x02", 8, b"\x41\x00"),
        "another checksum": (b"PK\x01\x02", 16, b"\xde\xad\xbe\xef"),
        "more bytes packed than there are": (b"PK\x01\x02", 20, b"\xf0\xff\xff\x7f"),
        "fewer bytes packed than there are": (b"PK\x01\x02", 20, b"\x05\x00\x00\x00"),
        "fewer bytes than there are": (b"PK\x01\x02", 24, b"\x05\x00\x00\x00"),
        "a file that begins nowhere": (b"PK\x01\x02", 42, b"\xf0\xff\xff\x7f"),
        "another name before the file": (b"PK\x03\x04", 30, b"zzz"),
        "a list that begins nowhere": (b"PK\x05\x06", 16, b"\xf0\xff\xff\x7f"),
        "a list of four gigabytes": (b"PK\x05\x06", 12, b"\xf0\xff\xff\xff"),
        "65,000 files": (b"PK\x05\x06", 10, b"\xe8\xfd"),
    }  # fmt: skip
    for idea, (sign, at, data) in patches.items():
        yield item("zips that lie", idea, partial(_patched, sign=sign, at=at, data=data))
    yield item("zips that lie", "two files of the same bytes", _two_of_one_place)
    yield item("zips that lie", "zip64: a million files", partial(_large_end, entries=10**6, size=10**9))
    yield item("zips that lie", "zip64: 2**63 files", partial(_large_end, entries=2**63, size=2**63))
    yield item("zips that lie", "zip64: its end nowhere", partial(_large_end, entries=1, size=1, where=2**60))
    for name, size in {"metrics.json": 300_000_000, MANIFEST_NAME: 300_000_000, "golden.json": 300_000_000}.items():
        yield item("zip bombs", f"{name} inflates", _bomb(name, size))
    yield item("zip bombs", "a file that nobody named inflates", _bomb("more.json", 300_000_000))
    yield item("sets of files in zips", "3,000 files", partial(archive_of, change=_many_files))
    for name in ("metrics.json", MANIFEST_NAME, "encoder.joblib"):
        yield item("sets of files in zips", f"no {name}", partial(archive_of, skip=(name,)))
        yield item("sets of files in zips", f"{name} twice", partial(_with_entry, name=name))
        yield item("sets of files in zips", f"{name} in another case", partial(_with_entry, name=name.upper()))
    for size in (0, 2, 1_000):
        yield item("no zips", f"{size} letters", partial(_bytes, data=b"P" * size))
    yield item("no zips", "an end alone", partial(_bytes, data=b"PK\x05\x06"))
    yield item("no zips", "an end of nothing", partial(_bytes, data=b"PK\x05\x06" + bytes(18)))
    for share in (0.1, 0.5, 0.9, 0.999):
        yield item("no zips", "cut off", partial(_cut_off, share=share))


def _bytes(_: Path, data: bytes) -> bytes:
    return data


def _cut_off(folder: Path, share: float) -> bytes:
    whole = archive_of(folder)
    return whole[: int(len(whole) * share)]


def _many_files(archive: zipfile.ZipFile) -> None:
    for number in range(3_000):
        archive.writestr(f"f{number}", b"")
