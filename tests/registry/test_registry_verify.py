"""A package is used only when every check passes, in its order."""

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import polars as pl
import pytest

from benchmarks.tampering import BEFORE_DECODING, tamper
from shared.errors import Conflict, PackageRejected
from shared.prediction.answers import ItemQuery
from shared.prediction.model import RoutingModel
from shared.registry import joblib_data, safe_loading
from shared.registry.build import build_package, sign_folder
from shared.registry.hashing import hash_file
from shared.registry.manifest import MANIFEST_NAME, Manifest, canonical_bytes, parse_manifest
from shared.registry.safe_loading import PackageReader
from shared.registry.signing import Keys
from shared.registry.verify import check_package, check_runtime, current_runtime, verify_folder
from tests.registry.hostile.folders import DAMAGES


def rejected(folder: Path, keys: Keys, check: str) -> str:
    with pytest.raises(PackageRejected) as caught:
        verify_folder(folder, keys)
    assert caught.value.facts["check"] == check, str(caught.value)
    assert caught.value.remedy
    return caught.value.detail


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test at the first byte of a package's content that is decoded."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("a file of a refused package was decoded")

    monkeypatch.setattr(safe_loading, "decode_joblib", refuse)
    monkeypatch.setattr(PackageReader, "json", refuse)
    monkeypatch.setattr(PackageReader, "table", refuse)
    monkeypatch.setattr(PackageReader, "path", refuse)


def manifest_of(folder: Path) -> Manifest:
    return parse_manifest((folder / MANIFEST_NAME).read_bytes())


def rewrite(folder: Path, keys: Keys, **changes: Any) -> None:
    """Change the manifest and sign it again: an insider's package."""
    document = manifest_of(folder).document()
    del document["signature"]
    manifest = parse_manifest(canonical_bytes({**document, **changes}))
    (folder / MANIFEST_NAME).write_bytes(keys.sign(manifest).to_bytes())


def resign(folder: Path, keys: Keys) -> None:
    """Describe the folder's files as they are now and sign that: a package made by a trusted but careless hand."""
    artifacts = [
        {
            **artifact.model_dump(),
            "sha256": hash_file(folder / artifact.path),
            "bytes": (folder / artifact.path).stat().st_size,
        }
        for artifact in manifest_of(folder).artifacts
    ]
    rewrite(folder, keys, artifacts=artifacts)


# --------------------------------------------------------------------------------------------------------- building


def test_a_built_package_verifies_and_answers_like_the_model_it_was_made_of(
    built: Path, shared_keys: Keys, model: RoutingModel
) -> None:
    package = verify_folder(built, shared_keys)
    assert package.manifest.version == "pilot"
    assert package.signed_by == shared_keys.ensure()
    assert package.warnings == ()
    query = ItemQuery(item_code=model.search_items("", limit=1, offset=0)[0][0]["item_code"])
    assert package.model.predict([query], as_if_unknown=True) == model.predict([query], as_if_unknown=True)


def test_the_manifest_says_how_the_model_was_made(built: Path, model: RoutingModel) -> None:
    manifest = manifest_of(built)
    assert manifest.model_kind == model.model_kind
    assert manifest.training.fingerprint == model.fingerprint
    assert manifest.training.profile == model.profile
    assert manifest.training.job_id == "job_1"
    assert manifest.training.rows["items"] == 120
    assert manifest.metrics["mae"] == 1.5
    assert manifest.runtime == current_runtime()
    assert {artifact.path for artifact in manifest.artifacts} >= {"golden.json", "similarity_engine.joblib"}
    assert {path.name for path in built.iterdir()} == {artifact.path for artifact in manifest.artifacts} | {
        MANIFEST_NAME
    }


def test_a_package_is_never_written_over_another(model: RoutingModel, built: Path, shared_keys: Keys) -> None:
    before = (built / MANIFEST_NAME).read_bytes()
    with pytest.raises(Conflict):
        build_package(model, built, version="pilot", keys=shared_keys)
    assert (built / MANIFEST_NAME).read_bytes() == before
    assert [path.name for path in built.parent.iterdir()] == ["pilot"]


def test_a_build_that_fails_leaves_nothing(model: RoutingModel, shared_keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        build_package(model, tmp_path / "out" / "pilot", version="pilot", keys=shared_keys, metrics={"a": float("nan")})
    assert list((tmp_path / "out").iterdir()) == []


# ------------------------------------------------------------------------------------------------------------ files


@pytest.mark.usefixtures("nothing_is_decoded")
def test_any_changed_byte_of_any_file_is_refused_before_anything_is_decoded(package: Path, shared_keys: Keys) -> None:
    for path in sorted(package.iterdir()):
        data = path.read_bytes()
        step = max(1, len(data) // 12)
        for place in sorted({0, len(data) // 2, len(data) - 1, *range(0, len(data), step)}):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x01]) + data[place + 1 :])
            with pytest.raises(PackageRejected) as caught:
                verify_folder(package, shared_keys)
            assert caught.value.facts["check"] in {"manifest", "signature", "files"}
        path.write_bytes(data)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_every_changed_byte_of_the_manifest_is_refused(package: Path, shared_keys: Keys) -> None:
    path = package / MANIFEST_NAME
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << (place % 8))]) + data[place + 1 :])
        with pytest.raises(PackageRejected) as caught:
            check_package(package, shared_keys)
        assert caught.value.facts["check"] in {"manifest", "signature"}


@pytest.mark.usefixtures("nothing_is_decoded")
def test_every_changed_byte_of_a_small_package_is_refused(package: Path, shared_keys: Keys) -> None:
    """Each byte of each file, one bit of it; the files are small stand-ins, since nothing looks into them before."""
    for path in package.iterdir():
        if path.name != MANIFEST_NAME:
            path.write_bytes(path.name.encode())
    resign(package, shared_keys)
    check_package(package, shared_keys)
    for path in sorted(package.iterdir()):
        data = path.read_bytes()
        for place in range(0, len(data), 1 if path.name != MANIFEST_NAME else 10_000):
            path.write_bytes(data[:place] + bytes([data[place] ^ (1 << (place % 8))]) + data[place + 1 :])
            with pytest.raises(PackageRejected) as caught:
                check_package(package, shared_keys)
            assert caught.value.facts["check"] in {"manifest", "files"}
        path.write_bytes(data)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_random_changes_are_refused_before_anything_is_decoded(package: Path, shared_keys: Keys) -> None:
    """The same in full, in a larger package, is `python -m benchmarks.tampering`."""
    outcomes = tamper(package, shared_keys, 150, seed=5)
    assert outcomes.keys() <= BEFORE_DECODING
    assert outcomes.total() == 150


@pytest.mark.usefixtures("nothing_is_decoded")
@pytest.mark.parametrize("damage", DAMAGES)
def test_another_set_of_files_is_refused(damage: Callable[[Path], None], package: Path, shared_keys: Keys) -> None:
    damage(package)
    rejected(package, shared_keys, "files")


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_linked_package_is_refused(package: Path, shared_keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    link = tmp_path / "link" / "pilot"
    link.symlink_to(package)
    rejected(link, shared_keys, "files")


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_folder_of_another_name_is_refused(package: Path, shared_keys: Keys) -> None:
    assert "pilot" in rejected(package.rename(package.with_name("other")), shared_keys, "manifest")


# -------------------------------------------------------------------------------------------------------- signature


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_package_of_a_stranger_is_refused(package: Path, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    keys.ensure()
    assert "not trusted" in rejected(package, keys, "signature")


def test_an_unsigned_package_is_used_only_where_that_is_allowed(package: Path, shared_keys: Keys) -> None:
    unsigned = manifest_of(package).model_copy(update={"signature": None})
    (package / MANIFEST_NAME).write_bytes(unsigned.to_bytes())
    rejected(package, shared_keys, "signature")
    assert verify_folder(package, shared_keys, allow_unsigned=True).signed_by is None


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_wrong_signature_is_refused_even_where_unsigned_packages_are_allowed(
    package: Path, shared_keys: Keys, tmp_path: Path
) -> None:
    stranger = Keys(tmp_path / "keys")
    (package / MANIFEST_NAME).write_bytes(stranger.sign(manifest_of(package)).to_bytes())
    with pytest.raises(PackageRejected) as caught:
        verify_folder(package, shared_keys, allow_unsigned=True)
    assert caught.value.facts["check"] == "signature"


def test_signing_a_folder_again_makes_it_ours(package: Path, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    sign_folder(package, keys)
    assert verify_folder(package, keys).signed_by == keys.ensure()


# ---------------------------------------------------------------------------------------------------------- runtime


def test_another_major_version_of_what_shapes_the_files_is_refused() -> None:
    here = current_runtime()
    for name in ("python", "numpy", "joblib"):
        with pytest.raises(PackageRejected, match=name) as caught:
            check_runtime(here.model_copy(update={name: "99.1.2"}), here)
        assert caught.value.facts["check"] == "runtime"


def test_smaller_differences_are_told() -> None:
    here = current_runtime()
    major = here.numpy.split(".")[0]
    assert check_runtime(here, here) == []
    assert "numpy" in check_runtime(here.model_copy(update={"numpy": f"{major}.99.0"}), here)[0]
    assert "scikit_learn" in check_runtime(here.model_copy(update={"scikit_learn": "0.1"}), here)[0]
    absent = here.model_copy(update={"hnswlib": None})
    assert "exact search" in check_runtime(here.model_copy(update={"hnswlib": "0.8.0"}), absent)[0]


# -------------------------------------------------------------------------------------------------- load and golden


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.canary}",))


def test_a_signed_package_with_a_hostile_file_is_refused_and_nothing_runs(
    package: Path, shared_keys: Keys, tmp_path: Path
) -> None:
    """Even a trusted signature gives no file the right to run anything."""
    canary = tmp_path / "canary"
    joblibs = sorted(package.glob("*.joblib"))
    assert joblibs
    for path in joblibs:
        original = path.read_bytes()
        joblib.dump({"parameters": Bomb(canary)}, path)
        resign(package, shared_keys)
        assert path.name in rejected(package, shared_keys, "load")
        assert not canary.exists()
        path.write_bytes(original)


def test_every_joblib_file_of_an_own_package_is_plain_data(built: Path) -> None:
    for path in built.glob("*.joblib"):
        joblib_data.decode_joblib(path.read_bytes())


def test_a_signed_package_of_nonsense_is_refused_at_loading(package: Path, shared_keys: Keys) -> None:
    """Of the index file only the hnsw back end reads anything; exact search works from the vectors."""
    skipped = {MANIFEST_NAME, "golden.json", "similarity_index.bin"}
    for path in sorted(path for path in package.iterdir() if path.name not in skipped):
        original = path.read_bytes()
        path.write_bytes(b"nonsense")
        resign(package, shared_keys)
        with pytest.raises(PackageRejected) as caught:
            verify_folder(package, shared_keys)
        assert caught.value.facts["check"] == "load", path.name
        path.write_bytes(original)


def damaged_tables(good: bytes) -> Iterator[bytes]:
    """Yield tables that polars reads, with another content, and ones that it cannot read."""
    stream = io.BytesIO()
    pl.DataFrame({"other": [1, 2]}).write_parquet(stream)
    yield stream.getvalue()
    yield good[: len(good) // 2]
    yield b"PAR1" + good[4:-8] + b"\xff\xff\xff\x7fPAR1"


@pytest.mark.parametrize(
    ("name", "harmless"), [("items.parquet", 0), ("routings.parquet", 0), ("times.parquet", 1)]
)  # nobody but people looks at what work results say: only that it is a table matters there
def test_a_signed_package_with_other_tables_is_refused_at_loading(
    name: str, harmless: int, package: Path, shared_keys: Keys
) -> None:
    for content in list(damaged_tables((package / name).read_bytes()))[harmless:]:
        (package / name).write_bytes(content)
        resign(package, shared_keys)
        rejected(package, shared_keys, "load")


def test_a_panic_inside_polars_is_a_refusal(package: Path, shared_keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars raises it past `except Exception`, so a worker would otherwise die of a damaged table."""

    def panic(*_: Any) -> Any:
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "read_parquet", panic)
    assert "index out of bounds" in rejected(package, shared_keys, "load")


def test_golden_answers_that_are_not_given_any_more_are_refused(package: Path, shared_keys: Keys) -> None:
    path = package / "golden.json"
    golden = json.loads(path.read_text())

    def shift(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shift(part) for key, part in value.items()}
        if isinstance(value, list):
            return [shift(part) for part in value]
        return value * 1.01 + 0.01 if isinstance(value, float) else value

    path.write_text(json.dumps(shift(golden)))
    resign(package, shared_keys)
    assert "golden" in rejected(package, shared_keys, "golden")


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"questions": []}', "not json"])
def test_a_package_without_golden_answers_is_refused(content: str, package: Path, shared_keys: Keys) -> None:
    (package / "golden.json").write_text(content)
    resign(package, shared_keys)
    with pytest.raises(PackageRejected) as caught:
        verify_folder(package, shared_keys)
    assert caught.value.facts["check"] in {"load", "golden"}


def test_a_file_that_changes_after_the_check_is_not_decoded(package: Path, shared_keys: Keys) -> None:
    reader = PackageReader.of(package, check_package(package, shared_keys).manifest)
    path = package / "encoder.joblib"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(PackageRejected, match="changed after it was checked"):
        reader.arrays("encoder.joblib")


def test_only_files_of_the_manifest_can_be_read(package: Path, shared_keys: Keys) -> None:
    reader = PackageReader.of(package, check_package(package, shared_keys).manifest)
    for name in ("../secret", "manifest.json", "/etc/passwd"):
        with pytest.raises(PackageRejected, match="does not name it"):
            reader.path(name)
    assert not reader.has("manifest.json")
