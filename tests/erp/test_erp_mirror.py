"""The mirror: what is read a second time, and that the tables are those of a full reading whatever was edited."""

import json
from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.erp.extract import extract
from shared.erp.mirror.source import Mirror
from shared.erp.mirror.table import TableRead
from shared.erp.profiles.model import Profile, SourceTable
from shared.erp.snapshot import TABLES, Snapshot
from shared.erp.sources.location import FolderLocation, OdbcLocation
from shared.erp.sources.source import Source
from shared.errors import SourceUnavailable
from shared.platform import exclusive_lock
from tests.erp.erp_support import NOW, TinyFactory
from tests.erp.mirror_support import START, CountingSource, changing_profile, filled, part, report, step

LOCATION = OdbcLocation(SecretStr("Driver=Memory;Server=erp;UID=reader;PWD=secret"))
LATER = START + timedelta(days=20)


class Factory:
    """A source, its mirror, and extractions with and without it."""

    def __init__(self, folder: Path, source: CountingSource, profile: Profile) -> None:
        self.folder = folder
        self.source = source
        self.profile = profile
        self.mirror = Mirror(folder / "mirror")

    def tables(self, names: Collection[str] = TABLES, *, now: datetime = NOW) -> dict[str, pl.DataFrame]:
        """Return the rows of some tables through the mirror, sorted."""
        with self.mirror.over(self.source, self.profile, LOCATION, now) as rows:
            return {
                name: pl.concat(_some(rows, origin, self.source)).sort(pl.all())
                for name, origin in self._origins().items()
                if name in names
            }

    def truth(self) -> dict[str, pl.DataFrame]:
        """Return the rows that the source holds, sorted."""
        return dict(zip(self._origins(), (frame.sort(pl.all()) for frame in self.source.frames.values()), strict=True))

    def matches(self, names: Collection[str] = TABLES, *, now: datetime = NOW) -> bool:
        """Read some tables through the mirror and tell whether they are the source's."""
        found, truth = self.tables(names, now=now), self.truth()
        return all(found[name].equals(truth[name]) for name in names)

    def _origins(self) -> dict[str, Any]:
        return {name: getattr(self.profile, name) for name in TABLES}


def _some(rows: Source, origin: SourceTable, source: CountingSource) -> list[pl.DataFrame]:
    columns = source.columns(origin)
    return [pl.DataFrame(schema=source.schema(origin)), *rows.batches(origin, columns)]


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """A factory of 40 items that was read once, its mirror in parts of eight rows."""
    _small_parts(monkeypatch)
    made = Factory(tmp_path, filled(), changing_profile())
    assert made.matches()
    assert {name: read.mode for name, read in made.mirror.reads.items()} == dict.fromkeys(made.truth(), "full")
    made.source.rows_read = 0
    made.source.questions.clear()
    return made


def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.erp.mirror.store.BATCH_ROWS", 8)
    monkeypatch.setattr("shared.erp.mirror.table.SMALL_PART_ROWS", 4)


def test_second_reading_reads_the_rows_of_the_overlap(factory: Factory) -> None:
    """Nothing changed: of 160 rows those of the last day before the greatest stamp come again, and no key."""
    assert factory.matches()
    assert set(factory.source.questions) == {"changes"}
    assert factory.source.rows_read == 25 + 50 + 25
    assert factory.mirror.reads["routings"] == TableRead(mode="incremental", rows=50)


def test_inserted_and_updated_rows_are_read_and_no_others(factory: Factory) -> None:
    """With later stamps; a row that was updated takes its old one's place."""
    factory.source.put("parts", [part(3, LATER, kind="seal"), part(99, LATER)])
    assert factory.matches()
    assert factory.mirror.reads["items"] == TableRead(mode="incremental", rows=25 + 2)
    factory.source.put("parts", [part(100, LATER + timedelta(hours=1))])
    assert factory.matches()
    assert factory.mirror.reads["items"] == TableRead(mode="incremental", rows=3)


def test_deleted_rows_are_found_by_their_keys(factory: Factory) -> None:
    """The numbers of rows differ, so keys are read; rows inserted at the same time do not hide it."""
    factory.source.remove("steps", (pl.col("code") == "P0002") & (pl.col("seq") == 20))
    factory.source.put("steps", [step(50, 10, LATER)])
    assert factory.matches()
    assert factory.mirror.reads["routings"] == TableRead(mode="incremental", rows=50 + 1, keys=80)


def test_key_that_is_used_again_names_the_new_row(factory: Factory) -> None:
    """Deleted and inserted again between two readings."""
    factory.source.remove("parts", pl.col("code") == "P0005")
    factory.source.put("parts", [part(5, LATER, kind="another")])
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "incremental"


def test_rows_with_the_greatest_stamp_may_be_added_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any overlap, equal stamps are still read again."""
    _small_parts(monkeypatch)
    factory = Factory(tmp_path, filled(), changing_profile(overlap_hours=0))
    assert factory.matches()
    last = START + timedelta(hours=39)
    factory.source.put("parts", [part(80, last), part(39, last, kind="updated in the same second")])
    assert factory.matches()
    assert factory.mirror.reads["items"] == TableRead(mode="incremental", rows=2)


def test_row_inserted_under_an_old_stamp_makes_the_reading_full(factory: Factory) -> None:
    """A clock that was set back further than the overlap: the source has a key that nobody read."""
    factory.source.put("parts", [part(77, START)])
    assert factory.matches()
    read = factory.mirror.reads["items"]
    assert (read.mode, read.rows, read.keys) == ("full", 25 + 41, 41)
    assert "changed was not raised" in read.reason
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "incremental"


def test_stamp_set_back_within_the_overlap_makes_the_reading_full(factory: Factory) -> None:
    """A known row of the last day does not come again although no row is gone."""
    factory.source.put("parts", [part(38, START, kind="set back")])
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "full"


def test_old_stamp_of_an_old_row_is_met_at_the_next_full_reading(factory: Factory) -> None:
    """What no count and no stamp can show lasts until then, and no longer."""
    factory.source.put("parts", [part(3, START, kind="changed under its old stamp")])
    assert not factory.matches(now=NOW + timedelta(days=6))
    assert factory.mirror.reads["items"].mode == "incremental"
    assert factory.matches(now=NOW + timedelta(days=8))
    assert "7 days" in factory.mirror.reads["items"].reason


@pytest.mark.parametrize("stamp", [None, ""])
def test_empty_stamps_make_every_reading_full(factory: Factory, stamp: str | None) -> None:
    """A row without a stamp is never among those that changed; the reason stays until the stamps are there."""
    source = CountingSource(pl.String())
    source.put("parts", [part(1, "2025-05-01 08:00:00"), part(2, stamp)])
    source.put("steps", [step(1, 10, "2025-05-01")])
    source.put("reports", [report(1, 1, "20250501080000")])
    factory.source = source
    for _ in range(2):
        assert factory.matches()
        assert factory.mirror.reads["items"].mode == "full"
    assert "changed is" in factory.mirror.reads["items"].reason
    assert factory.mirror.reads["routings"].mode == factory.mirror.reads["work_results"].mode == "incremental"
    source.put("parts", [part(2, "2025-05-01 09:00:00")])
    assert [factory.matches(), factory.matches()] == [True, True]
    assert factory.mirror.reads["items"].mode == "incremental"


def test_key_that_names_several_rows_makes_every_reading_full(factory: Factory) -> None:
    """No row is lost for it."""
    factory.source.frames["parts"] = pl.concat([factory.source.frames["parts"], factory.source.frames["parts"].head(1)])
    for _ in range(2):
        assert factory.matches()
        assert factory.mirror.reads["items"].mode == "full"
    assert "the key code is repeated" in factory.mirror.reads["items"].reason


def test_stamp_far_in_the_future_hides_no_change(factory: Factory) -> None:
    """The year 9999 is no watermark: later changes are still found."""
    factory.source.put("parts", [part(1, datetime(9999, 12, 31))])  # noqa: DTZ001 - the source's own time
    assert factory.matches()
    factory.source.put("parts", [part(2, LATER, kind="changed since")])
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "incremental"


@pytest.mark.parametrize(
    ("stamp_type", "stamps"),
    [
        (pl.Date(), [date(2025, 3, 1), date(2025, 5, 1), date(2025, 5, 2)]),
        (pl.Int64(), [17, 300, 301]),
        (pl.Decimal(20, 2), [17, 300, 301]),
        (pl.String(), ["2025-03-01", "2025-05-01", "2025-05-02"]),
        (pl.String(), ["2025-03-01 23:59", "2025-05-01 00:00", "2025-05-02 00:01"]),
        (pl.String(), ["2025-03-01T23:59:01.5Z", "2025-05-01T00:00:59Z", "2025-05-02T00:00:59Z"]),
        (pl.String(), ["20250301", "20250501", "20250502"]),
        (pl.String(), ["20250301235959", "20250501000000", "20250502000000"]),
        (pl.Datetime("ms", "UTC"), [datetime(2025, 3, 1), datetime(2025, 5, 1), datetime(2025, 5, 2)]),  # noqa: DTZ001
    ],
)
def test_stamps_are_compared_as_what_the_source_says_they_are(
    tmp_path: Path, stamp_type: pl.DataType, stamps: list[Any]
) -> None:
    """Days, numbers and ISO text find the changed row and not the old one."""
    old, recent, new = stamps
    source = CountingSource(stamp_type)
    source.put("parts", [part(1, old), part(2, recent)])
    factory = Factory(tmp_path, source, changing_profile())
    assert factory.matches()
    source.put("parts", [part(3, new)])
    assert factory.matches()
    assert factory.mirror.reads["items"] == TableRead(mode="incremental", rows=2)


def test_text_that_does_not_sort_by_time_makes_every_reading_full(tmp_path: Path) -> None:
    """Day before month, or two forms in one column."""
    for number, stamps in enumerate((["31/01/2025", "01/02/2025"], ["2025-01-31", "20250201"])):
        source = CountingSource(pl.String())
        source.put("parts", [part(1, stamps[0]), part(2, stamps[1])])
        factory = Factory(tmp_path / str(number), source, changing_profile())
        assert [factory.matches(), factory.matches()] == [True, True]
        assert "does not sort by time" in factory.mirror.reads["items"].reason


def test_text_that_is_no_day_makes_every_reading_full(tmp_path: Path) -> None:
    """The thirtieth of February sorts, but nothing can be said to lie a day before it."""
    source = CountingSource(pl.String())
    source.put("parts", [part(1, "2025-02-01"), part(2, "2025-02-30")])
    factory = Factory(tmp_path, source, changing_profile())
    assert [factory.matches(), factory.matches()] == [True, True]
    assert "no changed says when" in factory.mirror.reads["items"].reason


def _change_columns(factory: Factory) -> None:
    factory.source.frames["parts"] = factory.source.frames["parts"].with_columns(colour=pl.lit("red"))


def _change_types(factory: Factory) -> None:
    factory.source.frames["parts"] = factory.source.frames["parts"].with_columns(pl.col("diameter").cast(pl.String))


def _tear(factory: Factory) -> None:
    (path, *_) = sorted(factory.folder.glob("mirror/*/items/*.parquet"))
    path.write_bytes(path.read_bytes()[:-7])


def _tear_document(factory: Factory) -> None:
    (path,) = factory.folder.glob("mirror/*/items/mirror.json")
    path.write_text(json.dumps({"form": "routing-ml/mirror@1"}))


def _ask_for_it(factory: Factory) -> None:
    factory.mirror = Mirror(factory.folder / "mirror", full=True)


def _change_rules(factory: Factory) -> None:
    rules = factory.profile.source.model_copy(update={"decimal_comma": True})
    factory.profile = factory.profile.model_copy(update={"source": rules})


@pytest.mark.parametrize("happens", [_change_rules, _change_columns, _change_types, _tear, _tear_document, _ask_for_it])
def test_whole_table_is_read_when_the_mirror_does_not_fit(factory: Factory, happens: Any) -> None:
    """Other rules, columns or types, a damaged file, or somebody asks; then changes are enough again."""
    happens(factory)
    factory.source.put("parts", [{**part(99, LATER), **_filled_in(factory)}])
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "full"
    factory.mirror = Mirror(factory.folder / "mirror")
    assert factory.matches()
    assert factory.mirror.reads["items"].mode == "incremental"


def _filled_in(factory: Factory) -> dict[str, Any]:
    schema = factory.source.frames["parts"].schema
    extra = {"colour": "red"} if "colour" in schema else {}
    return {**extra, "diameter": "1.0" if schema["diameter"] == pl.String else 1.0}


def test_another_database_or_user_has_a_mirror_of_its_own(factory: Factory) -> None:
    """The password is no part of its name, and stands nowhere in it."""
    names = set()
    for connection in ("Server=a;UID=x;PWD=1", "Server=a;UID=x;PWD=2", "Server=a;UID=y;PWD=1", "Server=b;UID=x;PWD=1"):
        location = OdbcLocation(SecretStr(f"Driver=Memory;{connection}"))
        with factory.mirror.over(factory.source, factory.profile, location, NOW) as rows:
            list(rows.batches(factory.profile.items, ["code"]))
        names.add(factory.mirror.reads["items"].mode)
    folders = {path.name for path in (factory.folder / "mirror").iterdir() if path.is_dir()}
    assert len(folders) == 1 + 3
    assert names == {"full", "incremental"}


def test_old_mirror_stays_until_the_new_reading_is_whole(factory: Factory) -> None:
    """A connection that breaks leaves what the next reading of changes needs, and no litter for ever."""
    before = sorted(factory.folder.glob("mirror/*/*/*"))
    factory.source.put("parts", [part(number, LATER) for number in range(60, 90)])
    for full in (False, True):
        factory.mirror = Mirror(factory.folder / "mirror", full=full)
        factory.source.rows_read, factory.source.breaks_after = 0, 20
        with pytest.raises(SourceUnavailable):
            factory.tables()
    factory.source.breaks_after = None
    factory.mirror = Mirror(factory.folder / "mirror")
    assert set(before) < set(factory.folder.glob("mirror/*/*/*"))
    assert factory.matches()
    assert {read.mode for read in factory.mirror.reads.values()} == {"incremental"}
    assert _named_parts(factory) == {path.name for path in factory.folder.glob("mirror/*/*/*.parquet")}


def _named_parts(factory: Factory) -> set[str]:
    documents = [json.loads(path.read_text()) for path in factory.folder.glob("mirror/*/*/mirror.json")]
    return {part["name"] for document in documents for part in document["parts"]}


def test_second_reading_at_the_same_time_goes_past_the_mirror(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads everything and leaves the mirror to the first."""
    monkeypatch.setattr("shared.erp.mirror.source._PATIENCE_SECONDS", 0.0)
    (lock,) = (factory.folder / "mirror").glob("*.lock")
    before = {path: path.stat().st_mtime_ns for path in factory.folder.glob("mirror/*/*/*")}
    with exclusive_lock(lock, timeout_seconds=0):
        assert factory.matches()
    assert factory.mirror.reads["items"].reason == "another extraction was using the mirror"
    assert {path: path.stat().st_mtime_ns for path in factory.folder.glob("mirror/*/*/*")} == before
    assert factory.matches()


def test_mirror_that_nothing_is_read_through_is_removed(factory: Factory) -> None:
    """After thirty days, unless somebody is reading through it at that moment."""
    (folder,) = (path for path in (factory.folder / "mirror").iterdir() if path.is_dir())
    written = datetime.fromtimestamp((folder / "items" / "mirror.json").stat().st_mtime, NOW.tzinfo)
    factory.mirror.tidy(written + timedelta(days=29))
    assert folder.exists()
    with exclusive_lock(folder.with_name(f"{folder.name}.lock"), timeout_seconds=0):
        factory.mirror.tidy(written + timedelta(days=31))
    assert folder.exists()
    factory.mirror.tidy(written + timedelta(days=31))
    assert not folder.exists()
    assert factory.matches()


def test_folder_is_read_whole_and_keeps_no_mirror(tmp_path: Path) -> None:
    """Its files are opened whole anyway."""
    tiny = TinyFactory(tmp_path)
    mirror = Mirror(tmp_path / "mirror")
    profile = changing_profile()
    taken = extract(profile, FolderLocation(tiny.source), tiny.snapshots, now=NOW, mirror=mirror)
    assert taken.fingerprint == tiny.extract().fingerprint
    assert {name: read.rows for name, read in mirror.reads.items()} == {"items": 3, "routings": 3, "work_results": 2}
    assert {read.reason for read in mirror.reads.values()} == {"a folder's files are read whole"}
    assert not (tmp_path / "mirror").exists()


# ---------------------------------------------------------------------------------------------- whatever is edited

KEY = st.integers(0, 12)
EDIT = st.tuples(st.sampled_from(["insert", "update", "delete", "equal stamp"]), KEY, st.integers(1, 30))
BACKDATED = st.lists(st.tuples(st.just("backdate"), st.just(0), st.integers(1, 30)), min_size=1, max_size=3)
ROUNDS = st.lists(st.one_of(st.lists(EDIT, max_size=8), BACKDATED), min_size=1, max_size=4)


def _apply(source: CountingSource, edits: list[tuple[str, int, int]], clock: datetime) -> datetime:
    """Edit all three tables, the clock moving on by hours, and return it."""
    for kind, number, hours in edits:
        if kind == "delete":
            source.remove("parts", pl.col("code") == f"P{number:04}")
            source.remove("steps", (pl.col("code") == f"P{number:04}") & (pl.col("seq") == 10))
            source.remove("reports", pl.col("report") == number)
            continue
        if kind == "backdate":
            number = next(source.numbers)  # an old row under an older stamp shows nowhere
        clock += timedelta(hours=0 if kind in ("equal stamp", "backdate") else hours)
        stamp = START - timedelta(hours=hours) if kind == "backdate" else clock
        source.put("parts", [part(number, stamp, kind=f"{kind} {hours}")])
        source.put("steps", [step(number, seq, stamp, job=f"J{hours}") for seq in (10, 20)])
        source.put("reports", [report(number, number % 5, stamp, hours=float(hours))])
    return clock


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=ROUNDS, overlap=st.sampled_from([0, 5, 24]))
def test_mirror_holds_what_the_source_holds_whatever_was_edited(
    rounds: list[list[tuple[str, int, int]]],
    overlap: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Inserts, updates, deletions, keys used again, equal stamps, and rows that come under old stamps."""
    _small_parts(monkeypatch)
    factory = Factory(tmp_path_factory.mktemp("mirror"), CountingSource(), changing_profile(overlap_hours=overlap))
    clock = _apply(factory.source, [("insert", number, 1) for number in range(10)], START)
    assert factory.matches(["routings"])
    for edits in rounds:
        clock = _apply(factory.source, edits, clock)
        assert factory.matches(["routings"])


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(EDIT, min_size=1, max_size=8), min_size=1, max_size=3))
def test_second_extraction_has_the_fingerprint_of_a_full_one(
    rounds: list[list[tuple[str, int, int]]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And reads fewer rows, over a factory whose rows mostly changed long ago."""
    source = filled(150)
    monkeypatch.setattr("tests.erp.mirror_support.BATCH", 100)
    folder = tmp_path_factory.mktemp("extracts")
    mirror = Mirror(folder / "mirror")
    monkeypatch.setattr("shared.erp.extract.open_source", lambda *_: source)

    def taken(through: Mirror | None) -> tuple[Snapshot, int]:
        before = source.rows_read
        snapshot = extract(changing_profile(), LOCATION, folder / "snapshots", now=NOW, mirror=through)
        return snapshot, source.rows_read - before

    taken(mirror)
    clock = START + timedelta(hours=150)
    for edits in rounds:
        clock = _apply(source, edits, clock)
        incremental, rows = taken(mirror)
        full, all_rows = taken(None)
        assert incremental.fingerprint == full.fingerprint
        assert sum(read.rows + read.keys for read in mirror.reads.values()) == rows
        assert {read.mode for read in mirror.reads.values()} == {"incremental"}
        assert sum(read.rows for read in mirror.reads.values()) < all_rows / 2
