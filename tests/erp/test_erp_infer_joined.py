"""`profiles infer` where plans and reports name no item: lines under a plan, tickets of a line, in several tables."""

import csv
import random
from pathlib import Path
from typing import Any

import polars as pl

from shared.erp.extract import extract
from shared.erp.infer.inferring import propose_profile
from shared.erp.infer.siblings import stem
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import FolderLocation
from tests.erp.erp_support import NOW

_STEPS = ("saw", "turn", "drill")
_LOT = 20
Rows = list[dict[str, Any]]


def _write(folder: Path, name: str, rows: Rows) -> None:
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_valve_maker(folder: Path) -> None:
    """Write plans whose lines know the plan alone, and tickets that know the line alone; no name but keys in common."""
    luck = random.Random(4)
    valves: Rows = []
    plans: Rows = []
    lines: Rows = []
    tickets: Rows = []
    for number in range(90):
        valve, plan = 70_000 + number, 31_000 + number * 3
        valves.append({"valve_id": valve, "valve_kind": ["ball", "gate"][number % 2], "bore_mm": 10 + number})
        plans.append({"plan_id": plan, "valve_id": valve, "lot_base": _LOT, "is_current": int(number % 9 > 0)})
        for place, step in enumerate(_STEPS, 1):
            line = 500_000 + len(lines)
            run = {"su_min": 12 + place, "run_min": round(_LOT * (2.5 + place), 1)}
            lines.append({"line_id": line, "plan_id": plan, "seq_no": place * 5, "op_txt": step} | run)
            for _ in range(2):
                pieces = luck.randrange(3, 40)
                minutes = round((2.5 + place) * pieces * luck.uniform(0.9, 1.2), 1)
                day = f"2024-{1 + luck.randrange(12):02d}-{1 + luck.randrange(28):02d}"
                times = {"mins_run": minutes, "mins_su": 13.5, "posted_at": day}
                tickets.append(
                    {"ticket": 9_000_000 + len(tickets), "line_id": line, "qty_good": pieces, "qty_scrap": 0} | times
                )
    for name, rows in {"valve": valves, "plan": plans, "plan_line": lines, "ticket": tickets}.items():
        _write(folder, name, rows)


def test_lines_of_plans_and_tickets_of_lines_find_their_items(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    _write_valve_maker(source)
    proposal = propose_profile(FolderLocation(source), name="valves")
    file = tmp_path / "valves.yaml"
    file.write_text(proposal.text, encoding="utf-8")
    profile = load_profile(file)
    snapshot = extract(profile, FolderLocation(source), tmp_path / "snapshots", now=NOW.replace(year=2035))
    assert snapshot.rows == {"items": 90, "routings": 270, "work_results": 540}
    assert profile.routings.run_time == "per_lot"
    assert sorted(snapshot.routings()["run_minutes_per_unit"].unique()) == [3.5, 4.5, 5.5]
    steps = snapshot.work_results().join(snapshot.routings(), on=["item_code", "sequence", "operation_code"])
    assert steps.height == 540
    ratio = steps["run_minutes"] / steps["quantity"] / steps["run_minutes_per_unit"]
    assert steps.select(pl.col("operation_code").n_unique()).item() == len(_STEPS)
    assert bool(ratio.is_between(0.85, 1.25).all())
    assert any(note.startswith("routings: is_current are flags") for note in proposal.notes)


def test_the_stem_of_a_name_leaves_out_years_and_nothing_else() -> None:
    assert stem("REPORTS_2023") == stem("Reports 2024-25") == "reports"
    assert stem("Reports") != stem("Reporters_2023")


def test_a_table_that_fits_nowhere_is_offered_with_what_its_columns_might_be(tmp_path: Path) -> None:
    _write(tmp_path, "valve", [{"valve_id": f"V{n}", "valve_kind": "gate", "bore_mm": n} for n in range(20)])
    _write(tmp_path, "uses", [{"valve_id": f"V{n % 20}", "used_in": f"P{n}"} for n in range(40)])
    _write(tmp_path, "hours", [{"step": n % 3, "qty": n, "run_min": n * 2.5, "who": "A"} for n in range(9)])
    notes = propose_profile(FolderLocation(tmp_path), name="valves").notes
    assert "hours might serve: sequence step, quantity qty, run_minutes run_min." in notes
    assert not any(note.startswith("uses might serve") for note in notes)
