"""Hostile packages signed by a trusted key: refused with a reason, nothing run (all: `tests.registry.hostile`)."""

from pathlib import Path

import pytest

from shared.errors import PackageRejected
from shared.registry.apart import load_apart
from shared.registry.hashing import hash_file, identity_of
from shared.registry.safe_loading import PackageReader, strict_json
from shared.registry.signing import Keys
from shared.registry.verify import check_package
from tests.registry.hostile.bench import Bench, make_packages
from tests.registry.hostile.corpus import corpus, one_of_each
from tests.registry.hostile.running import run
from tests.registry.hostile.tables import parquet_items


@pytest.fixture
def bench(built: Path, shared_keys: Keys, tmp_path: Path) -> Bench:
    make_packages(tmp_path / "packages", built, shared_keys)
    keys_folder = shared_keys._signing.parent
    return Bench(packages=tmp_path / "packages", keys_folder=keys_folder, scratch=tmp_path / "scratch")


def test_a_sample_of_the_corpus_is_refused_with_a_reason_and_nothing_runs(bench: Bench, tmp_path: Path) -> None:
    outcomes = list(run(bench, tmp_path / "canary", "sample"))
    assert len(outcomes) > 30
    assert [(one.item.kind, one.item.idea, one.reason) for one in outcomes if not one.check or not one.reason] == []
    assert [(one.item.kind, one.item.idea, one.did) for one in outcomes if one.did] == []
    assert not (tmp_path / "canary").exists()


def test_the_corpus_has_more_than_two_hundred_ideas(tmp_path: Path) -> None:
    assert len(one_of_each(tmp_path / "canary")) > 400
    assert len(corpus(tmp_path / "canary")) > 1_000


def test_a_table_that_ends_whoever_reads_it_ends_another_process(bench: Bench) -> None:
    """Polars gives up its process where it cannot have the memory that a table announces."""
    item = next(one for one in parquet_items() if one.idea == "2**60 rows")
    with pytest.raises(PackageRejected) as caught:
        load_apart(bench.prepared(item))
    assert caught.value.facts["check"] == "load"


def test_a_mapped_file_is_the_one_that_was_hashed(package: Path, shared_keys: Keys) -> None:
    checked = check_package(package, shared_keys)
    reader = PackageReader.of(package, checked.manifest, checked.hashed)
    path = package / "item_vectors.npy"
    assert reader.path(path.name) == path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert identity_of(path) != checked.hashed[path.name]
    with pytest.raises(PackageRejected, match="changed"):
        reader.path(path.name)
    path.write_bytes(content)  # other times, the same content
    assert reader.path(path.name) == path
    path.rename(package / "moved")
    path.symlink_to(package / "moved")
    assert hash_file(path) == hash_file(package / "moved")
    with pytest.raises(PackageRejected, match="not a file"):
        reader.path(path.name)


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":1}', b"[NaN]", b"[-Infinity]", b"[1e999]", b"\xef\xbb\xbf{}", "[]".encode("utf-16"), b"[1]x"]
)
def test_json_that_means_two_things_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        strict_json(data)
    assert strict_json(b'{"a":[1,2.5,null],"b":{"a":1}}') == {"a": [1, 2.5, None], "b": {"a": 1}}
