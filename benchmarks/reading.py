"""Measure how fast an ERP's tables are read and mapped, beside a bare reader of the same rows in the same run.

    .venv/bin/python -m benchmarks.reading --rows 2000000
    .venv/bin/python -m benchmarks.reading --folder /factory/demo --odbc "Driver=...;Database=..."

Every contender runs in a process of its own. Without `--folder` a demo factory is generated in a temporary one; the
database behind `--odbc` must hold the same views. Seconds are wall-clock, without the start of the process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import structlog

from shared.erp.demo.generate import ITEMS, RESULTS, ROUTINGS, generate_demo
from shared.erp.extract import extract
from shared.erp.issues import IssueLog
from shared.erp.mapping.reports import map_work_results
from shared.erp.mapping.tables import TableReading, read_work_results
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import FolderLocation, Location, OdbcLocation, location_of
from shared.erp.sources.opening import open_source

RESULTS_OF_AN_ITEM = 6.2
NOW = datetime(2027, 1, 1, tzinfo=UTC)  # after the demo factory's last day
VIEWS = (ITEMS, ROUTINGS, RESULTS)
_FETCHED = 10_000  # rows of the bare cursor at a time
_PARQUET = "parquet"  # a folder beside the CSV files, with the work results in the other form


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one contender did."""

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mib: float | None  # of the whole process; None where the system does not tell


class Clock:
    """Measures what runs inside `timed`, in this process."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add what the block takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds, self.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu


Contender = Callable[[Path, str, Clock], object]


def bare_csv(folder: Path, _odbc: str, clock: Clock) -> None:
    with clock.timed():
        pl.read_csv(folder / f"{RESULTS}.csv")


def bare_parquet(folder: Path, _odbc: str, clock: Clock) -> None:
    with clock.timed():
        pl.read_parquet(folder / _PARQUET / f"{RESULTS}.parquet")


def bare_cursor(_folder: Path, odbc: str, clock: Clock) -> None:
    import pyodbc

    names = ", ".join(f'"{name}"' for name in _wanted_columns())
    with clock.timed():
        connection = pyodbc.connect(odbc, autocommit=True, readonly=True)
        cursor = connection.cursor()
        cursor.execute(f'SELECT {names} FROM "{RESULTS}"')  # the demo factory's own names
        while cursor.fetchmany(_FETCHED):
            pass
        connection.close()


def _wanted_columns() -> list[str]:
    columns = load_profile("demo").work_results.columns
    return [names[0] for names in columns.model_dump().values() if names is not None]


def _read(location: Location, clock: Clock) -> None:
    """Read the work results as the source hands them out."""
    profile = load_profile("demo")
    with open_source(location, profile.source, IssueLog()) as source, clock.timed():
        for _batch in source.batches(profile.work_results, _wanted_columns()):
            pass


def _map(location: Location, folder: Path, clock: Clock) -> None:
    """Read and map the work results."""
    profile, known = load_profile("demo"), _known_items(folder)
    with open_source(location, profile.source, IssueLog()) as source, clock.timed():
        reading = TableReading(source, profile, "work_results", IssueLog(), NOW)
        reading.mapped(lambda batch: map_work_results(batch, profile, known, NOW))


def _canonical(location: Location, folder: Path, clock: Clock) -> None:
    """Read, map and sort the work results: the canonical table."""
    profile, known = load_profile("demo"), _known_items(folder)
    with open_source(location, profile.source, IssueLog()) as source, clock.timed():
        read_work_results(source, profile, IssueLog(), NOW, known)


def _known_items(folder: Path) -> pl.Series:
    codes = pl.read_csv(folder / f"{ITEMS}.csv", columns=["ITEM_CD"], infer_schema=False)["ITEM_CD"]
    return codes.str.strip_chars().str.to_uppercase().drop_nulls().unique().sort()


def _extract(location: Location, clock: Clock) -> None:
    with tempfile.TemporaryDirectory(prefix="reading-") as into, clock.timed():
        extract(load_profile("demo"), location, Path(into), now=NOW)


def _database(odbc: str) -> OdbcLocation:
    location = location_of(odbc)
    if not isinstance(location, OdbcLocation):
        raise SystemExit("--odbc wants an ODBC connection string, such as Driver=SQLite3;Database=demo.db")
    return location


CONTENDERS: dict[str, Contender] = {
    "polars.read_csv": bare_csv,
    "CSV batches": lambda folder, _, clock: _read(FolderLocation(folder), clock),
    "CSV read and mapped": lambda folder, _, clock: _map(FolderLocation(folder), folder, clock),
    "CSV to the sorted table": lambda folder, _, clock: _canonical(FolderLocation(folder), folder, clock),
    "polars.read_parquet": bare_parquet,
    "Parquet batches": lambda folder, _, clock: _read(FolderLocation(folder / _PARQUET), clock),
    "Parquet read and mapped": lambda folder, _, clock: _map(FolderLocation(folder / _PARQUET), folder, clock),
    "whole extract of the CSV": lambda folder, _, clock: _extract(FolderLocation(folder), clock),
    "pyodbc cursor": bare_cursor,
    "ODBC batches": lambda _, odbc, clock: _read(_database(odbc), clock),
    "ODBC read and mapped": lambda folder, odbc, clock: _map(_database(odbc), folder, clock),
    "whole extract over ODBC": lambda _, odbc, clock: _extract(_database(odbc), clock),
}
PEERS = {"CSV": "polars.read_csv", "Parquet": "polars.read_parquet", "ODBC": "pyodbc cursor"}
_DATABASE = ("pyodbc cursor", "ODBC batches", "ODBC read and mapped", "whole extract over ODBC")


def _peak_mib() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _measure(name: str, folder: Path, odbc: str) -> Measured:
    clock = Clock()
    CONTENDERS[name](folder, odbc, clock)
    peak = _peak_mib()
    views = VIEWS if name.startswith("whole") else (RESULTS,)
    rows = sum(pl.scan_csv(folder / f"{view}.csv").select(pl.len()).collect().item() for view in views)
    return Measured(rows=rows, seconds=clock.seconds, cpu_seconds=clock.cpu_seconds, peak_mib=peak)


def _in_child(name: str, folder: Path, odbc: str) -> Measured:
    command = [sys.executable, "-m", "benchmarks.reading", "--folder", str(folder), "--child", name]
    done = subprocess.run(command, input=odbc, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _median(runs: list[Measured]) -> Measured:
    peaks = [run.peak_mib for run in runs if run.peak_mib is not None]
    return Measured(
        rows=runs[0].rows,
        seconds=statistics.median(run.seconds for run in runs),
        cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
        peak_mib=max(peaks, default=None),
    )


def _ratio(name: str, measured: dict[str, Measured]) -> float | None:
    """Return the rows a second over those of the bare reader of the same rows; of a whole extract there is none."""
    peer = PEERS.get(name.split()[0])
    if peer is None or peer not in measured:
        return None
    bare, own = measured[peer], measured[name]
    return (own.rows / own.seconds) / (bare.rows / bare.seconds)


def _print(measured: dict[str, Measured]) -> None:
    print("\n| what | rows | seconds | CPU seconds | rows/s | x of the bare reader | peak RSS, MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, run in measured.items():
        ratio, peak = _ratio(name, measured), run.peak_mib
        print(
            f"| {name} | {run.rows:,} | {run.seconds:.2f} | {run.cpu_seconds:.2f} | {run.rows / run.seconds:,.0f} "
            f"| {'-' if ratio is None else f'{ratio:.2f}'} | {'-' if peak is None else f'{peak:,.0f}'} |"
        )


def _prepare(folder: Path, rows: int) -> None:
    """Generate the factory where there is none, and lay its work results beside as Parquet."""
    if not (folder / f"{RESULTS}.csv").exists():
        generate_demo(folder, items=max(50, round(rows / RESULTS_OF_AN_ITEM)))
    parquet = folder / _PARQUET / f"{RESULTS}.parquet"
    if not parquet.exists():
        parquet.parent.mkdir()
        pl.scan_csv(folder / f"{RESULTS}.csv", infer_schema=False).sink_parquet(parquet)


def main() -> int:
    """Measure every contender and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="work results of the generated factory, roughly")
    parser.add_argument("--folder", type=Path, help="a demo factory's folder; generated there when it holds none")
    parser.add_argument("--odbc", default="", help="connection string of a database with the same views")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each contender; the median counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if options.child:
        print(json.dumps(asdict(_measure(options.child, options.folder, sys.stdin.read()))))
        return 0
    with tempfile.TemporaryDirectory(prefix="reading-") as scratch:
        folder = options.folder or Path(scratch)
        _prepare(folder, options.rows)
        names = [name for name in CONTENDERS if options.odbc or name not in _DATABASE]
        runs: dict[str, list[Measured]] = {name: [] for name in names}
        for _ in range(options.repeat):  # round by round, so that a busy moment of the machine meets all of them
            for name in names:
                runs[name].append(_in_child(name, folder, options.odbc))
    measured = {name: _median(each) for name, each in runs.items()}
    if options.json:
        print(json.dumps({name: asdict(run) | {"ratio": _ratio(name, measured)} for name, run in measured.items()}))
    else:
        _print(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
