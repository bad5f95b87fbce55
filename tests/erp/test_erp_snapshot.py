import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from shared.erp.extract import Fingerprint
from shared.erp.profiles.model import parse_profile
from shared.erp.snapshot import DOCUMENT, open_snapshot
from shared.errors import SourceError
from tests.erp.erp_support import FILES, NOW, TinyFactory


def test_a_snapshot_is_named_by_its_moment_and_content(factory: TinyFactory) -> None:
    snapshot = factory.extract()
    assert snapshot.id == f"snap_20250601_083000_{snapshot.fingerprint[:8]}"
    assert snapshot.folder == factory.snapshots / snapshot.id
    assert snapshot.data_as_of == NOW
    assert snapshot.rows == {"items": 3, "routings": 3, "work_results": 2}


def test_a_moment_in_another_zone_is_kept_in_utc(factory: TinyFactory) -> None:
    snapshot = factory.extract(now=NOW.astimezone(timezone(timedelta(hours=9))))
    assert snapshot.data_as_of == NOW
    assert snapshot.data_as_of.tzinfo == UTC
    assert snapshot.id.startswith("snap_20250601_083000_")


def test_opening_gives_back_what_was_extracted(factory: TinyFactory) -> None:
    taken = factory.extract()
    opened = open_snapshot(taken.folder)
    assert opened == taken
    assert opened.items().equals(taken.items())
    assert parse_profile(opened.profile_document, source="snapshot").attributes == opened.attributes


def test_the_fingerprint_does_not_depend_on_the_order_of_the_rows(factory: TinyFactory) -> None:
    first = factory.extract()
    for name, content in FILES.items():
        header, *lines = content.splitlines()
        factory.write(name, "\n".join([header, *reversed(lines)]) + "\n")
    assert factory.extract().fingerprint == first.fingerprint


def test_the_fingerprint_changes_with_any_value(factory: TinyFactory) -> None:
    first = factory.extract()
    factory.write("steps.csv", FILES["steps.csv"].replace("외주,,3", "외주,,3.001"))
    assert factory.extract().fingerprint != first.fingerprint


def test_the_fingerprint_does_not_depend_on_how_many_rows_are_hashed_at_a_time(
    factory: TinyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = factory.extract()
    monkeypatch.setattr("shared.erp.extract._FINGERPRINT_ROWS", 1)
    again = Fingerprint()
    for name, frame in (
        ("items", snapshot.items()), ("routings", snapshot.routings()), ("work_results", snapshot.work_results())
    ):  # fmt: skip
        again.add(name, frame)
    assert again.value == snapshot.fingerprint


def test_canonical_tables_are_sorted_by_their_keys(factory: TinyFactory) -> None:
    factory.write("steps.csv", FILES["steps.csv"] + "8,5,SAW,사내,1,1\n007,5,SAW,사내,1,1\n")
    steps = factory.extract().routings().select("item_code", "sequence").rows()
    assert steps == sorted(steps)


def test_excluded_items_keep_their_row_and_lose_routing_and_results(factory: TinyFactory) -> None:
    snapshot = factory.extract(exclude_items=("007", " 9 "))
    assert snapshot.excluded_items == ("007", "9")
    assert snapshot.items()["item_code"].to_list() == ["007", "8", "9"]
    assert snapshot.routings()["item_code"].unique().to_list() == ["8"]
    assert snapshot.work_results()["item_code"].to_list() == ["8"]
    assert open_snapshot(snapshot.folder).excluded_items == ("007", "9")


def test_an_item_to_exclude_that_nobody_knows_is_pointed_out(factory: TinyFactory) -> None:
    snapshot = factory.extract(exclude_items=("007", "typo"))
    assert snapshot.issues["items"] == {"an item to exclude is unknown": 1}
    assert snapshot.issue_samples["items"]["an item to exclude is unknown"] == ["typo"]


def test_the_same_moment_and_content_is_the_same_snapshot(factory: TinyFactory) -> None:
    first, second = factory.extract(), factory.extract()
    assert first == second
    assert [path.name for path in factory.snapshots.iterdir()] == [first.id]


def test_a_failed_extraction_leaves_the_snapshots_as_they_were(
    factory: TinyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = factory.extract()

    def full_disk(_staging: Path, _final: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("shared.erp.extract.publish_folder", full_disk)
    with pytest.raises(OSError, match="no space left"):
        factory.extract(now=NOW + timedelta(days=1))
    assert [path.name for path in factory.snapshots.iterdir()] == [first.id]
    assert open_snapshot(first.folder) == first


def test_a_source_without_a_usable_item_is_an_error(factory: TinyFactory) -> None:
    factory.write("parts.csv", "code,kind,diameter,diameter_unit\n,ring,1,mm\n")
    with pytest.raises(SourceError, match="item_code is empty"):
        factory.extract()


def test_a_source_without_results_is_no_error(factory: TinyFactory) -> None:
    factory.write("reports.csv", "code,seq,job,day,pieces,setup_hours,run_hours\n")
    snapshot = factory.extract()
    assert snapshot.rows == {"items": 3, "routings": 3, "work_results": 0}


@pytest.mark.parametrize("name", ["items.parquet", "routings.parquet", "work_results.parquet"])
def test_a_torn_file_is_noticed(factory: TinyFactory, name: str) -> None:
    folder = factory.extract().folder
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=f"damaged: {name}"):
        open_snapshot(folder)


def test_a_file_changed_without_changing_its_size_is_noticed(factory: TinyFactory) -> None:
    folder = factory.extract().folder
    whole = bytearray((folder / "items.parquet").read_bytes())
    whole[len(whole) // 2] ^= 1
    (folder / "items.parquet").write_bytes(whole)
    with pytest.raises(SourceError, match=r"items\.parquet is not what was written"):
        open_snapshot(folder)


def test_a_missing_file_or_document_is_noticed(factory: TinyFactory) -> None:
    folder = factory.extract().folder
    (folder / "routings.parquet").unlink()
    with pytest.raises(SourceError, match=r"routings\.parquet is missing"):
        open_snapshot(folder)
    (folder / DOCUMENT).unlink()
    with pytest.raises(SourceError, match=r"snapshot\.json cannot be read"):
        open_snapshot(folder)


@pytest.mark.parametrize(
    ("field", "value"), [("schema_version", "other@9"), ("attributes", [{"name": "x"}]), ("files", {}), ("rows", None)]
)
def test_a_document_that_lacks_or_misstates_a_field_is_noticed(factory: TinyFactory, field: str, value: object) -> None:
    folder = factory.extract().folder
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    (folder / DOCUMENT).write_text(json.dumps({**document, field: value}), encoding="utf-8")
    with pytest.raises(SourceError, match="is damaged"):
        open_snapshot(folder)


def test_a_table_of_another_shape_is_noticed(factory: TinyFactory) -> None:
    folder = factory.extract().folder
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    pl.DataFrame({"item_code": ["1"]}).write_parquet(folder / "routings.parquet")
    from shared.erp.snapshot import file_digest

    path = folder / "routings.parquet"
    document["files"][path.name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    (folder / DOCUMENT).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SourceError, match="routings lacks routing_no"):
        open_snapshot(folder)


def test_a_snapshot_taken_now_is_aware(factory: TinyFactory) -> None:
    assert factory.extract(now=datetime.now(UTC)).data_as_of.utcoffset() == timedelta(0)
