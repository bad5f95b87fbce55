"""However a table is cut into batches, and in whatever order its rows come, the canonical table is the same."""

import copy
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import polars as pl
import pytest
import tenacity
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.erp import extract as extracting
from shared.erp.extract import Fingerprint, extract, read_tables
from shared.erp.issues import IssueLog
from shared.erp.mapping.ordering import in_order
from shared.erp.mapping.rows import drop_duplicates
from shared.erp.profiles.model import Profile, SourceTable, parse_profile
from shared.erp.snapshot import TABLES
from shared.erp.sources.location import FolderLocation
from shared.erp.sources.source import BATCH_ROWS, Condition
from shared.errors import SourceError, SourceUnavailable
from tests.erp.erp_support import DOCUMENT, NOW, TinyFactory

CODES = st.sampled_from(["007", "8", " 8 ", "9", "-", "", None, "X9"])
NUMBERS = st.sampled_from(["10", "20", " 30", "1,000.5", "0", "-1", "abc", "", None, "1e3"])
DAYS = st.sampled_from(["2025-05-01", "20250502", "2025-05-02 13:45", "soon", "", None])
PARTS = st.tuples(
    CODES, st.sampled_from(["ring", "SEAL ", "", None]), NUMBERS, st.sampled_from(["mm", "inch", "?", ""])
)
STEPS = st.tuples(CODES, NUMBERS, st.sampled_from(["TURN", "-"]), st.sampled_from(["사내", "N", "x"]), NUMBERS, NUMBERS)
REPORTS = st.tuples(CODES, NUMBERS, st.sampled_from(["TURN", "CUT", ""]), DAYS, NUMBERS, NUMBERS, NUMBERS)
COLUMNS = {
    "parts": ("code", "kind", "diameter", "diameter_unit"),
    "steps": ("code", "seq", "job", "where", "setup", "run"),
    "reports": ("code", "seq", "job", "day", "pieces", "setup_hours", "run_hours"),
}
Rows = list[tuple[str | None, ...]]
GOOD: dict[str, Rows] = {
    "parts": [("007", "ring", "10", "mm"), ("8", "ring", "1", "inch"), ("9", "seal", "", "")],
    "steps": [("007", "10", "TURN", "사내", "5", "2")],
    "reports": [("007", "10", "TURN", "2025-05-01", "4", "0.1", "0.2")],
}


class RowsSource:
    """A source whose tables are lists of rows, handed out in batches of given sizes; it may die on the way."""

    name = "rows"
    tables = tuple(COLUMNS)

    def __init__(self, rows: dict[str, Any], size: int = BATCH_ROWS, *, dies_in: str | None = None) -> None:
        self._frames = {
            table: pl.DataFrame(list(rows[table]), schema=dict.fromkeys(names, pl.String), orient="row")
            for table, names in COLUMNS.items()
        }
        self._size = size
        self._dies_in = dies_in

    def columns(self, origin: SourceTable) -> list[str]:
        return self._frames[(origin.table or ("",))[0]].columns

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        table = (origin.table or ("",))[0]
        frame = self._frames[table].select(columns)
        yield from frame.iter_slices(self._size) if frame.height else ()
        if table == self._dies_in:
            raise SourceUnavailable("The database went away.")

    def count(self, origin: SourceTable) -> int:
        return self._frames[(origin.table or ("",))[0]].height

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _profile(**source: Any) -> Profile:
    return parse_profile({**copy.deepcopy(DOCUMENT), "source": source}, source="tiny.yaml")


def _read(rows: dict[str, Rows], size: int) -> tuple[dict[str, pl.DataFrame], dict[str, dict[str, int]], str]:
    issues, fingerprint = IssueLog(), Fingerprint()
    frames = dict(read_tables(RowsSource(rows, size), _profile(), issues, NOW))
    for name in TABLES:
        fingerprint.add(name, frames[name])
    return frames, issues.counts, fingerprint.value


@settings(max_examples=12, deadline=None)
@given(
    rows=st.fixed_dictionaries(
        {
            "parts": st.lists(PARTS, max_size=8),
            "steps": st.lists(STEPS, max_size=8),
            "reports": st.lists(REPORTS, max_size=8),
        }
    ),
    size=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_any_cut_into_batches_and_any_order_of_rows_gives_the_same_tables(
    rows: dict[str, Rows], size: int, seed: int
) -> None:
    rows = {table: [*good, *rows[table]] for table, good in GOOD.items()}
    whole, counts, fingerprint = _read(rows, BATCH_ROWS)
    cut, counts_cut, fingerprint_cut = _read(rows, size)
    assert all(cut[name].equals(whole[name]) for name in TABLES)
    assert (counts_cut, fingerprint_cut) == (counts, fingerprint)
    mixed = {table: random.Random(seed).sample(each, len(each)) for table, each in rows.items()}
    _, counts_mixed, fingerprint_mixed = _read(mixed, size)
    assert (counts_mixed, fingerprint_mixed) == (counts, fingerprint)


CELLS = st.one_of(st.none(), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), CELLS, CELLS, CELLS), min_size=1, max_size=40), at_once=st.integers(1, 9)
)
def test_sorting_in_parts_is_sorting(rows: list[tuple[int | None, ...]], at_once: int) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abcd", pl.Int64), orient="row").with_columns(
        pl.col("a").cast(pl.String)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.erp.mapping.ordering._ROWS_AT_ONCE", at_once)
        assert in_order(frame, frame.columns).equals(frame.sort(frame.columns, nulls_last=True))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), CELLS, CELLS), min_size=1, max_size=30))
def test_of_repeated_rows_the_most_complete_and_then_the_first_stays(rows: list[tuple[int | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abcd", pl.Int64), orient="row")
    issues = IssueLog()
    kept = drop_duplicates(frame, ["a", "b"], table="t", reason="twice", issues=issues)
    best: dict[tuple[int | None, ...], tuple[Any, ...]] = {}
    for row in rows:
        rank = (sum(cell is None for cell in row), [(cell is None, cell or 0) for cell in row], row)
        best[row[:2]] = min(best.get(row[:2], rank), rank)
    assert kept.rows() == [best[key][2] for key in sorted(best, key=repr)]
    counted = issues.counts.get("t", {})
    assert counted.get("twice", 0) == len(set(rows)) - len(best)
    assert counted.get("twice, rows equal", 0) == len(rows) - len(set(rows))


class Sources:
    """Opens one source after the other, and counts."""

    def __init__(self, *sources: RowsSource) -> None:
        self._sources = sources
        self.opened = 0

    def __call__(self, *_: object) -> RowsSource:
        self.opened += 1
        return self._sources[min(self.opened, len(self._sources)) - 1]


def _extract(sources: Sources, factory: TinyFactory, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> Any:
    monkeypatch.setattr(extracting, "open_source", sources)
    return extract(
        _profile(**rules), FolderLocation(Path("rows")), factory.snapshots, now=NOW + timedelta(days=1),
        wait=tenacity.wait_none(),
    )  # fmt: skip


@pytest.mark.parametrize("table", COLUMNS)
def test_a_database_that_goes_away_is_asked_for_everything_again(
    factory: TinyFactory, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    bad = {**GOOD, "parts": [*GOOD["parts"], ("", "ring", "1", "mm")]}  # its issue must not be counted twice
    sources = Sources(RowsSource(bad, dies_in=table), RowsSource(bad))
    snapshot = _extract(sources, factory, monkeypatch)
    assert sources.opened == 2
    assert snapshot.rows == {"items": 3, "routings": 1, "work_results": 1}
    assert snapshot.issues == {"items": {"item_code is empty": 1}}


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_database_that_stays_away_leaves_the_last_good_snapshot_and_nothing_else(
    factory: TinyFactory, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    good = factory.extract()
    sources = Sources(RowsSource(GOOD, dies_in="reports"))
    with pytest.raises(SourceUnavailable, match="went away"):
        _extract(sources, factory, monkeypatch, odbc={"attempts": attempts})
    assert sources.opened == attempts
    assert [path.name for path in factory.snapshots.iterdir()] == [good.id]


def test_what_another_attempt_cannot_heal_is_not_tried_again(
    factory: TinyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = Sources(RowsSource({**GOOD, "parts": []}))
    with pytest.raises(SourceError, match="No item of rows could be used"):
        _extract(sources, factory, monkeypatch)
    assert sources.opened == 1
    assert list(factory.snapshots.iterdir()) == []
