"""The manifest: one byte sequence for one meaning, and nothing out of bounds."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import PackageRejected
from shared.registry.manifest import (
    MAX_ARTIFACTS,
    MAX_MANIFEST_BYTES,
    Manifest,
    canonical_bytes,
    parse_manifest,
    read_manifest_file,
)
from shared.settings import PROJECT_DIR

SCHEMA_FILE = PROJECT_DIR / "docs" / "schemas" / "manifest.schema.json"


def document(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": "routing-ml/manifest@2",
        "version": "version_20260131_081500",
        "created_at": "2026-01-31T08:15:00.000000Z",
        "model_kind": "neighbours",
        "artifacts": [{"path": "golden.json", "role": "golden", "sha256": "a" * 64, "bytes": 12}],
        "runtime": {"python": "3.11.7", "numpy": "2.4.6", "scikit_learn": None, "joblib": "1.6.0", "hnswlib": None},
        "training": {
            "profile": "demo",
            "fingerprint": "f" * 64,
            "data_as_of": "2026-01-30T00:00:00.000000Z",
            "rows": {"items": 3},
            "job_id": None,
            "parent": None,
        },
        "metrics": {"recall": 0.99, "größe": 1},
        **changes,
    }


def refused(data: bytes) -> str:
    with pytest.raises(PackageRejected) as caught:
        parse_manifest(data)
    assert caught.value.facts["check"] == "manifest"
    return str(caught.value)


def meaning_of(data: bytes) -> bytes | None:
    """Return what a signature of these bytes would cover, or None when they are refused."""
    try:
        return parse_manifest(data).signed_bytes()
    except PackageRejected:
        return None


def with_path(path: str) -> bytes:
    return canonical_bytes(document(artifacts=[{"path": path, "role": "r", "sha256": "a" * 64, "bytes": 1}]))


def test_a_manifest_survives_being_read_and_written() -> None:
    data = canonical_bytes(document())
    assert parse_manifest(data).to_bytes() == data


def test_the_signature_is_not_part_of_what_is_signed() -> None:
    unsigned = parse_manifest(canonical_bytes(document()))
    signature = {"algorithm": "ed25519", "key_id": "0" * 32, "value": "0" * 128}
    signed = parse_manifest(canonical_bytes(document(signature=signature)))
    assert signed.signed_bytes() == unsigned.signed_bytes() == canonical_bytes(document())


def test_the_same_meaning_in_other_bytes_is_refused() -> None:
    data = canonical_bytes(document())
    for other in (
        data.rstrip(b"\n"),
        data + b"\n",
        b"\xef\xbb\xbf" + data,
        json.dumps(document()).encode() + b"\n",
        json.dumps(document(), sort_keys=True, separators=(",", ":")).encode() + b"\n",  # escapes instead of UTF-8
        data.replace(b'"bytes":12', b'"bytes":12.0'),
        data.replace(b'"bytes":12', b'"bytes":1,"bytes":12'),
        data.replace(b"0.99", b"0.990"),
        data.replace(b"0.99", b"99e-2"),
    ):
        refused(other)


def test_every_changed_byte_is_refused_or_changes_what_is_signed() -> None:
    """No byte can change without the canonical form or the signed content changing."""
    data = canonical_bytes(document())
    original = parse_manifest(data).signed_bytes()
    for place in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
            assert meaning_of(changed) != original


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_lacks_is_refused(text: str) -> None:
    refused(canonical_bytes(document()).replace(b"0.99", text.encode()))


def test_half_a_character_is_refused() -> None:
    refused(canonical_bytes(document()).replace(b'"demo"', b'"\\ud800"'))
    refused(canonical_bytes(document()).replace(b'"demo"', b'"\xff"'))


def test_what_is_no_manifest_is_refused_with_its_reason() -> None:
    assert "not JSON" in refused(b"hello")
    assert "not JSON" in refused(b"")
    assert "object" in refused(b"[]\n")
    assert "schema_version" in refused(b"{}\n")
    assert "larger" in refused(b" " * (MAX_MANIFEST_BYTES + 1))
    assert "nests" in refused(b"[" * 100_000)
    assert "nests" in refused(canonical_bytes(document(metrics={"a": json.loads("[" * 30 + "]" * 30)})))


def test_brackets_in_a_text_are_no_nesting() -> None:
    data = canonical_bytes(document(metrics={"note": "[" * 500 + '\\"{'}))
    assert parse_manifest(data).metrics["note"].startswith("[[")


def test_unknown_and_missing_members_are_refused_by_name() -> None:
    assert "surprise" in refused(canonical_bytes(document(surprise=1)))
    without = document()
    del without["training"]["profile"]
    assert "training.profile" in refused(canonical_bytes(without))


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../golden.json", "a/../../b", "a/./b", "a//b", "a\\b", "C:/x", "c:x", "a/", ".hidden",
        "x/.git/config", "nul", "a/con.json", "manifest.json", "MANIFEST.JSON", "inner/Manifest.json", "a.", "a ",
        "a\x00b", "é.json", "a/b/c/d/e", "x" * 200, "~/a", "-rf", "a:b", "\u202egolden.json",
    ],
)  # fmt: skip
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    refused(with_path(path))


def test_files_that_clash_on_some_disk_are_refused() -> None:
    for first, second in (("a.json", "A.json"), ("a", "a"), ("a", "a/b"), ("A", "a/b")):
        files = [{"path": path, "role": "r", "sha256": "a" * 64, "bytes": 1} for path in (first, second)]
        refused(canonical_bytes(document(artifacts=files)))


def test_the_number_and_size_of_files_is_bounded() -> None:
    file = {"role": "r", "sha256": "a" * 64, "bytes": 1}
    many = [{**file, "path": f"f{number}"} for number in range(MAX_ARTIFACTS + 1)]
    refused(canonical_bytes(document(artifacts=many)))
    refused(canonical_bytes(document(artifacts=[])))
    for size in (-1, 2**40, True, "1", 1.0):
        refused(canonical_bytes(document(artifacts=[{**file, "path": "a", "bytes": size}])))
    large = [{**file, "path": f"f{number}", "bytes": 8 * 1024**3} for number in range(3)]
    refused(canonical_bytes(document(artifacts=large)))


@pytest.mark.parametrize("time", ["2026-01-31", "2026-01-31T08:15:00Z", "2026-01-31T08:15:00.000000+00:00", "today"])
def test_a_time_has_one_form(time: str) -> None:
    refused(canonical_bytes(document(created_at=time)))


@pytest.mark.parametrize("sha256", ["A" * 64, "a" * 63, "g" * 64, "a" * 64 + "\n"])
def test_a_hash_is_lower_case_hexadecimal(sha256: str) -> None:
    refused(canonical_bytes(document(artifacts=[{"path": "a", "role": "r", "sha256": sha256, "bytes": 1}])))


def test_a_folder_without_a_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(PackageRejected, match=r"has no manifest\.json"):
        read_manifest_file(tmp_path)
    (tmp_path / "elsewhere").write_bytes(canonical_bytes(document()))
    (tmp_path / "manifest.json").symlink_to("elsewhere")
    with pytest.raises(PackageRejected, match=r"has no manifest\.json"):
        read_manifest_file(tmp_path)


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    """`docs/schemas/manifest.schema.json` is what the pydantic model says; write it anew when the model changes."""
    published = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert published == {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
