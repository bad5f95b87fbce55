"""A process that is killed while it reads: the mirror of the last reading that it finished is there and whole."""

import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from shared.erp.mirror.source import Mirror
from shared.erp.mirror.store import TableStore
from tests.erp.erp_support import NOW
from tests.erp.mirror_support import changing_profile
from tests.erp.mirror_victim import LAST, LOCATION, edited

PROJECT = Path(__file__).resolve().parents[2]
KILLS = 4


def _kill_while_it_reads(folder: Path, number: int) -> None:
    command = [sys.executable, "-m", "tests.erp.mirror_victim", str(folder), str(number)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as victim:
        assert victim.stdout is not None
        assert any(line == b"reading\n" for line in victim.stdout)  # log lines stand around it
        time.sleep(random.uniform(0.0, 0.4))
        assert victim.poll() is None
        victim.kill()


def test_killed_reading_leaves_a_mirror_that_the_next_reading_builds_on(tmp_path: Path) -> None:
    """What never changed comes from the mirror, what did from the source, and nothing is left lying about."""
    for kill in range(KILLS):
        _kill_while_it_reads(tmp_path, 1 + kill * 1_000)
        (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert all(TableStore(folder / table).load() for table in ("items", "routings", "work_results"))
    mirror, source, profile = Mirror(tmp_path), edited(LAST), changing_profile()
    with mirror.over(source, profile, LOCATION, NOW) as rows:
        for origin, frame in zip(
            (profile.items, profile.routings, profile.work_results), source.frames.values(), strict=True
        ):
            assert pl.concat(rows.batches(origin, frame.columns)).sort(pl.all()).equals(frame.sort(pl.all()))
    assert {read.mode for read in mirror.reads.values()} == {"incremental"}
    for table in ("items", "routings", "work_results"):
        left = TableStore(folder / table).load()
        assert left is not None
        assert {path.name for path in (folder / table).glob("*.parquet")} == {part.name for part in left.parts}
