"""Columns that a profile carries along reach the ERP's layout, from the snapshot that the model learned from."""

import csv
import io
from pathlib import Path

import polars as pl
import yaml
from sqlalchemy import Engine

from shared.clock import utc_now
from shared.database.engine import make_engine, writing
from shared.database.tables import SnapshotRow
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.prediction.answers import ItemQuery
from shared.prediction.exports.carried import carried_from
from shared.prediction.exports.entries import Head, entry_of
from shared.prediction.exports.exporting import Form, export, reference_items
from shared.prediction.model import RoutingModel
from shared.settings import Settings
from tests.databases import set_up
from tests.prediction.fresh_plant import Plant


def carrying_snapshot(plant: Plant, settings: Settings) -> Snapshot:
    """Return a snapshot of the plant whose profile carries the subcontractor along."""
    document = yaml.safe_load(plant.profile.read_text(encoding="utf-8"))
    document["routings"]["carry"] = ["BP_CD"]
    plant.profile.write_text(yaml.safe_dump(document), encoding="utf-8")
    steps = plant.folder / "steps.csv"
    frame = pl.read_csv(steps, infer_schema=False)
    named = pl.concat_str("item_code", pl.lit("/"), "operation_code", pl.lit("/"), "sequence")
    frame.with_columns(named.alias("BP_CD")).write_csv(steps)
    profile = load_profile(str(plant.profile))
    return extract(profile, FolderLocation(plant.folder), settings.snapshots, now=utc_now())


def registered(snapshot: Snapshot, settings: Settings) -> Engine:
    """Return a database that knows the snapshot."""
    set_up(settings.database)
    engine = make_engine(settings.database)
    with writing(engine) as session:
        session.add(
            SnapshotRow(
                id=snapshot.id, profile=snapshot.profile_name, fingerprint=snapshot.fingerprint,
                folder=snapshot.folder.relative_to(settings.data_dir).as_posix(), data_as_of=snapshot.data_as_of,
                rows=dict(snapshot.rows), created_at=utc_now(),
            )
        )  # fmt: skip
    return engine


def test_a_carried_column_is_that_of_the_reference_items_step(tiny_model: RoutingModel, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    snapshot = carrying_snapshot(Plant(tmp_path), settings)
    engine = registered(snapshot, settings)
    asked = [ItemQuery(item_code="RING001")]
    entries = [entry_of(answer, 1.0) for answer in tiny_model.predict(asked, as_if_unknown=True)]
    head = Head(model_version="v1")
    carried = carried_from(settings, engine, snapshot.fingerprint)
    carried.read(reference_items(entries))
    written = export(entries, Form.ERP_CSV, head, carried=carried).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert rows
    for row in rows:
        reference, operation = row["REFERENCE_ITEM_CD"], row["dbo_BI_ROUTING_VIEW_JOB_CD"]
        assert reference not in ("", "RING001")
        assert row["BP_CD"].rpartition("/")[0] == f"{reference}/{operation}"
    washes = [row["BP_CD"] for row in rows if row["CANDIDATE_ID"] == "RING001_C01" and row["JOB_NM"] == "Wash"]
    assert len(set(washes)) == 2
    engine.dispose()


def test_without_its_snapshot_an_export_has_every_other_column(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    snapshot = carrying_snapshot(Plant(tmp_path), settings)
    engine = registered(snapshot, settings)
    (snapshot.folder / "routings.parquet").write_bytes(b"torn")
    for fingerprint in (snapshot.fingerprint, "another", None):
        carried = carried_from(settings, engine, fingerprint)
        carried.read(["RING001"])
        assert carried.step("RING001", "SAW", 0) is None
    engine.dispose()
