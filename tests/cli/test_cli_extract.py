"""`data extract` of another factory than the instance's own, read whole on request."""

import json
from pathlib import Path

from shared.database.engine import make_engine
from shared.database.tables import Extract
from shared.database.work import WorkRows
from shared.settings import Settings
from tests.cli.conftest import Run

PROFILE = """
name: tiny
items: {table: items, columns: {item_code: CODE}, attributes: {MATERIAL: {kind: categorical}}}
routings: {table: routings, time_unit: minutes, columns: {item_code: CODE, sequence: SEQ, operation_code: OP}}
work_results:
  table: results
  time_unit: minutes
  columns: {item_code: CODE, operation_code: OP, reported_at: DAY, quantity: QTY, run_minutes: RUN}
"""


def test_named_factory_is_read_and_its_row_says_how(run: Run, tmp_path: Path) -> None:
    """Profile and source are given together, or neither."""
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    (tmp_path / "items.csv").write_text("CODE,MATERIAL\nA,steel\n")
    (tmp_path / "routings.csv").write_text("CODE,SEQ,OP\nA,10,CUT\n")
    (tmp_path / "results.csv").write_text("CODE,OP,DAY,QTY,RUN\nA,CUT,2026-01-05,10,11\n")
    alone = run("data", "extract", "--profile", str(tmp_path / "tiny.yaml"), "--json")
    assert (alone.returncode, json.loads(alone.stdout)["code"]) == (2, "invalid-input")
    done = run(
        "data", "extract", "--full", "--profile", str(tmp_path / "tiny.yaml"), "--source", str(tmp_path), "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    engine = make_engine(settings.database)
    (row,), _total = WorkRows(engine).list(Extract)
    engine.dispose()
    assert row.full_reading
    assert row.snapshot_id == json.loads(done.stdout)["snapshot_id"]
    assert {table: read["rows"] for table, read in (row.reads or {}).items()} == row.rows
