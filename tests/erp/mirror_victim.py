"""A process that reads a changing source through its mirror without end, to be killed: `python -m … FOLDER`."""

import itertools
import sys
from datetime import timedelta
from pathlib import Path
from unittest import mock

import polars as pl
from pydantic import SecretStr

from shared.erp.mirror import store as mirror_store
from shared.erp.mirror.source import Mirror
from shared.erp.sources.location import OdbcLocation
from shared.platform import die_with_parent
from tests.erp.erp_support import NOW
from tests.erp.mirror_support import START, CountingSource, changing_profile, filled, part, step

LOCATION = OdbcLocation(SecretStr("Driver=Memory;Server=erp"))
LAST = 100_000  # an edit after every one that a victim lives to see


def edited(edit: int) -> CountingSource:
    """Return the source after so many edits: 40 items that never change, and 20 that every edit changes."""
    source = filled(60)
    stamp = START + timedelta(days=10, seconds=edit)
    source.put("parts", [part(number, stamp, kind=f"edit {edit}") for number in range(40, 60)])
    source.put("steps", [step(number, 10, stamp, job=f"J{edit}") for number in range(40, 60)])
    source.remove("reports", pl.col("report") == 40 + edit % 20)
    return source


def read(folder: Path, edit: int, *, full: bool = False) -> Mirror:
    """Read every table once through the mirror below `folder` and return it."""
    mirror, source, profile = Mirror(folder, full=full), edited(edit), changing_profile()
    with mirror.over(source, profile, LOCATION, NOW) as rows:
        for origin in (profile.items, profile.routings, profile.work_results):
            list(rows.batches(origin, source.columns(origin)))
    return mirror


if __name__ == "__main__":
    die_with_parent()
    mock.patch.object(mirror_store, "BATCH_ROWS", 8).start()
    read(Path(sys.argv[1]), 0)
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    for number in itertools.count(int(sys.argv[2])):
        read(Path(sys.argv[1]), number, full=number % 4 == 0)
