"""Measure a second extraction, which reads what changed, beside a first one and one without a mirror.

    .venv/bin/python -m benchmarks.second_extract --items 321000

The demo factory is generated and loaded into SQLite, where every row is given a number and the time of its last change.
Between the extractions a day's work is done: rows are inserted, updated and, before the last one, deleted. Every
extraction runs in a process of its own; the fingerprints of the last two must agree.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from shared.erp.demo.generate import generate_demo
from shared.erp.demo.load import BASE_TABLES, load_into_sqlite
from shared.erp.extract import extract
from shared.erp.mirror.source import Mirror
from shared.erp.profiles.model import Profile, load_profile, parse_profile
from shared.erp.sources.location import OdbcLocation

STAGES = ("first", "second, nothing changed", "second, a day's work", "second, rows deleted", "without a mirror")
NOW = datetime(2027, 1, 1, tzinfo=UTC)  # after the demo factory's last day
YEARS = timedelta(days=4 * 365)  # over which the rows' last changes are spread
CHANGED_SHARE = 1_000  # of so many rows one is inserted and one updated in a day
DELETED_SHARE = 100_000


def _profile() -> Profile:
    document = load_profile("demo").model_dump(mode="json", exclude_defaults=True)
    for table, view in zip(("items", "routings", "work_results"), BASE_TABLES, strict=True):
        document[table].pop("table")
        document[table]["sql"] = f"SELECT rowid AS ROW_NO, * FROM {BASE_TABLES[view]}"
        document[table]["changes"] = {"changed_at": "CHANGED_AT", "key": "ROW_NO"}
    return parse_profile(document, source="benchmark")


def _prepare(folder: Path, items: int) -> None:
    generate_demo(folder / "views", items=items)
    load_into_sqlite(folder / "views", folder / "erp.db")
    with closing(sqlite3.connect(folder / "erp.db")) as session:
        for table in BASE_TABLES.values():
            session.execute(f"ALTER TABLE {table} ADD COLUMN CHANGED_AT TEXT")
            (rows,) = session.execute(f"SELECT max(rowid) FROM {table}").fetchone()
            step = YEARS.total_seconds() / rows
            start = (NOW - YEARS).timestamp()
            session.execute(f"UPDATE {table} SET CHANGED_AT = datetime({start} + rowid * {step}, 'unixepoch')")
            session.execute(f"CREATE INDEX {table}_changed ON {table} (CHANGED_AT)")
        session.commit()


def _work_a_day(folder: Path) -> None:
    stamp = (NOW - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    with closing(sqlite3.connect(folder / "erp.db")) as session:
        for table in BASE_TABLES.values():
            names = [row[1] for row in session.execute(f"PRAGMA table_info({table})")]
            values = ", ".join("NULL" if name == "IDX" else "?" if name == "CHANGED_AT" else name for name in names)
            some = f"rowid % {CHANGED_SHARE} ="
            session.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {some} 1", (stamp,))
            session.execute(f"UPDATE {table} SET CHANGED_AT = ? WHERE {some} 2", (stamp,))
        session.commit()


def _delete(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "erp.db")) as session:
        for table in BASE_TABLES.values():
            session.execute(f"DELETE FROM {table} WHERE rowid % {DELETED_SHARE} = 7")
        session.commit()


def _measure(folder: Path, stage: str) -> dict[str, Any]:
    """Extract once in this process and tell what that took, and what memory it keeps half a minute later."""
    mirror = None if stage == STAGES[-1] else Mirror(folder / "mirror")
    location = OdbcLocation(SecretStr(f"Driver=SQLite3;Database={folder / 'erp.db'}"))
    wall, cpu = time.perf_counter(), time.process_time()
    snapshot = extract(_profile(), location, folder / "snapshots", now=NOW, mirror=mirror)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    fingerprint, rows = snapshot.fingerprint, sum(snapshot.rows.values())
    del snapshot
    peak = _memory_mib("VmHWM")
    time.sleep(30)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "rows": rows,
        "reads": None if mirror is None else {table: asdict(read) for table, read in mirror.reads.items()},
        "peak_mib": peak,
        "later_mib": _memory_mib("VmRSS"),
        "fingerprint": fingerprint,
    }


def _memory_mib(name: str) -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) // 1024


def _in_child(folder: Path, stage: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.second_extract", "--folder", str(folder), "--stage", stage]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _print(stage: str, measured: dict[str, Any]) -> None:
    reads = (measured["reads"] or {}).values()
    read = (
        f"{sum(one['rows'] for one in reads):,} rows and {sum(one['keys'] for one in reads):,} keys" if reads else "all"
    )
    print(
        f"| {stage} | {measured['seconds']:.1f} | {measured['cpu_seconds']:.1f} | {read} | {measured['rows']:,} "
        f"| {measured['peak_mib']} | {measured['later_mib']} | {measured['fingerprint'][:12]} |",
        flush=True,
    )


def main() -> int:
    """Measure every stage and print the table; 1 when the last two snapshots differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=321_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if asked.stage:
        print(json.dumps(_measure(asked.folder, asked.stage)))
        return 0
    edits = {STAGES[2]: _work_a_day, STAGES[3]: _delete}
    fingerprints = []
    with tempfile.TemporaryDirectory(prefix="second-extract-") as scratch:
        _prepare(Path(scratch), asked.items)
        print("| extraction | seconds | CPU seconds | read | rows | peak MiB | 30 s later | fingerprint |")
        print("|---|---:|---:|---:|---:|---:|---:|---|")
        for stage in STAGES:
            if stage in edits:
                edits[stage](Path(scratch))
            measured = _in_child(Path(scratch), stage)
            fingerprints.append(measured["fingerprint"])
            _print(stage, measured)
    return 0 if fingerprints[-1] == fingerprints[-2] != fingerprints[0] else 1


if __name__ == "__main__":
    sys.exit(main())
