"""Zip archives that somebody made to do harm: all are refused, and nothing is written outside of where it was asked."""

import io
import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from shared.errors import PackageRejected
from shared.registry.drops import ZipDrop
from shared.registry.manifest import MANIFEST_NAME
from tests.registry.hostile.archives import HOSTILE_NAMES, archive_of, take_in


def refused(data: bytes, folder: Path) -> str:
    with pytest.raises(PackageRejected) as caught:
        take_in(data, folder)
    assert caught.value.facts["check"] in ("archive", "manifest")
    return str(caught.value)


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_own_archive_is_unpacked_whole(built: Path, tmp_path: Path) -> None:
    take_in(archive_of(built), tmp_path)
    for file in built.iterdir():
        if file.name != MANIFEST_NAME:
            assert (tmp_path / "pilot" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_is_not_one_of_a_package_is_refused(name: str, built: Path, tmp_path: Path) -> None:
    refused(archive_of(built, lambda archive: archive.writestr(name, b"harm")), tmp_path)
    assert written(tmp_path) == {"archive.zip"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_refused(kind: int, built: Path, tmp_path: Path) -> None:
    def change(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("metrics.json")
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    refused(archive_of(built, change, skip=("metrics.json",)), tmp_path)
    assert written(tmp_path) == {"archive.zip"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused_unopened(method: int, built: Path, tmp_path: Path) -> None:
    def change(archive: zipfile.ZipFile) -> None:
        archive.write(built / "metrics.json", "metrics.json", compress_type=method)

    assert "compressed" in refused(archive_of(built, change, skip=("metrics.json",)), tmp_path)


def test_encrypted_files_are_refused(built: Path, tmp_path: Path) -> None:
    data = bytearray(archive_of(built))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "encrypted" in refused(bytes(data), tmp_path)


def test_a_file_that_is_missing_too_many_or_there_twice_is_refused(built: Path, tmp_path: Path) -> None:
    assert "names" in refused(archive_of(built, skip=("metrics.json",)), tmp_path)
    assert "does not name" in refused(archive_of(built, lambda archive: archive.writestr("more", b"")), tmp_path)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive_of(built, lambda archive: archive.writestr("metrics.json", b"{}"))
    assert "same path" in refused(twice, tmp_path)
    assert "same path" in refused(archive_of(built, lambda archive: archive.writestr("Metrics.json", b"")), tmp_path)
    assert MANIFEST_NAME in refused(archive_of(built, skip=(MANIFEST_NAME,)), tmp_path)


def test_what_inflates_beyond_its_manifest_stops_at_the_first_byte_too_many(built: Path, tmp_path: Path) -> None:
    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr("metrics.json", bytes(200_000_000))

    assert "more bytes" in refused(archive_of(built, bomb, skip=("metrics.json",)), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.name != "archive.zip") < 20_000_000


def test_a_manifest_that_inflates_is_not_read_to_its_end(built: Path, tmp_path: Path) -> None:
    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr(MANIFEST_NAME, b'"' + b" " * 50_000_000 + b'"')

    assert "more than" in refused(archive_of(built, bomb, skip=(MANIFEST_NAME,)), tmp_path)


def test_a_long_list_of_files_is_not_read(built: Path, tmp_path: Path) -> None:
    def many(archive: zipfile.ZipFile) -> None:
        for number in range(3_000):
            archive.writestr(f"f{number}", b"")

    assert "lists 3" in refused(archive_of(built, many), tmp_path)
    lying = bytearray(archive_of(built))
    at = lying.rfind(b"PK\x05\x06")
    lying[at + 12 : at + 16] = struct.pack("<I", 0xFFFFFFF0)
    assert "lists" in refused(bytes(lying), tmp_path)


def test_a_list_of_files_in_the_large_form_is_bounded_too(built: Path, tmp_path: Path) -> None:
    data = archive_of(built)
    at = data.rfind(b"PK\x05\x06")
    end_64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10**6, 10**6, 10**9, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1)
    assert "1000000 files" in refused(data[:at] + end_64 + locator + data[at:], tmp_path)
    far = b"PK\x06\x07" + struct.pack("<IQI", 0, 2**60, 1)
    assert "outside" in refused(data[:at] + far + data[at:], tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06", b"not a zip" * 1000, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    refused(data, tmp_path)


def test_random_damage_is_refused_or_harmless(built: Path, tmp_path: Path) -> None:
    """A changed byte may lie where nobody looks (a date); whatever is unpacked then is what was packed."""
    good, dice = archive_of(built), random.Random(11)
    harmless = 0
    for _ in range(400):
        data = bytearray(good)
        for _ in range(dice.choice([1, 1, 4])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            take_in(bytes(data), tmp_path)
        except PackageRejected:
            continue
        harmless += 1
        for file in built.iterdir():
            if file.name != MANIFEST_NAME:
                assert (tmp_path / "pilot" / file.name).read_bytes() == file.read_bytes()
    assert harmless < 200


def test_an_archive_of_a_folder_is_read_below_its_name_only(built: Path, tmp_path: Path) -> None:
    written_to = io.BytesIO()
    with zipfile.ZipFile(written_to, "w") as archive:
        archive.writestr("pilot/", b"")
        for file in built.iterdir():
            archive.write(file, f"pilot/{file.name}")
    take_in(written_to.getvalue(), tmp_path)
    with zipfile.ZipFile(written_to) as archive, pytest.raises(PackageRejected):
        ZipDrop(archive, "another").manifest()
