"""The factories that are measured: the generated one, the public ones, or any folder with a profile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from shared.erp.demo.generate import generate_demo
from shared.erp.demo.truth import Truth, load_truth
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.settings import PROJECT_DIR

READ_AT = datetime(2026, 7, 1, tzinfo=UTC)  # the generated factory's calendar ends the day before
PUBLIC = {"adventureworks": "WorkOrderRouting.csv.gz", "injection_moulding": "productRecords.csv"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A factory to be measured."""

    name: str
    snapshot: Snapshot
    folder: Path
    truth: Truth | None = None

    @property
    def times_vary(self) -> bool:
        """Tell whether any operation was ever booked with two different times; else nothing is shown by its times."""
        booked = self.snapshot.work_results().drop_nulls("run_minutes")
        several = booked.group_by("operation_code").agg(pl.col("run_minutes").n_unique())
        return several.filter(pl.col("run_minutes") > 1).height > 0


def public_folder() -> Path:
    """Return where the public data sets are looked for when nobody says."""
    return Path(os.environ.get("ROUTING_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data")


@contextmanager
def demo_factory(items: int, seed: int, folder: Path | None) -> Iterator[Source]:
    """Generate the demo factory, or take the one in `folder`, and read it."""
    with TemporaryDirectory() as scratch:
        place = folder or Path(scratch) / "factory"
        if folder is None:
            generate_demo(place, items=items, seed=seed)
        snapshot = extract(load_profile("demo"), FolderLocation(place), Path(scratch) / "snapshots", now=READ_AT)
        yield Source(name="demo", snapshot=snapshot, folder=place, truth=load_truth(place))


@contextmanager
def folder_factory(profile: str, folder: Path) -> Iterator[Source]:
    """Read any folder by a profile (its name or its file)."""
    with TemporaryDirectory() as scratch:
        loaded = load_profile(profile)
        snapshot = extract(loaded, FolderLocation(folder), Path(scratch), now=datetime.now(UTC))
        yield Source(name=loaded.name, snapshot=snapshot, folder=folder)


def is_there(name: str, data: Path) -> bool:
    """Tell whether a public data set lies below `data`."""
    return (data / name / PUBLIC[name]).is_file()
