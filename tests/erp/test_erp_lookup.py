"""Items read from the ERP by their codes: what is found, what is remembered, and what happens when the ERP is away."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.erp.lookup import by_key
from shared.erp.lookup.breaker import Breaker
from shared.erp.lookup.folder_keys import is_untouched
from shared.erp.lookup.item_lookup import MOST_CODES, ItemLookup
from shared.erp.sources.opening import open_source
from shared.errors import SourceUnavailable
from shared.settings import Settings
from tests.prediction.fresh_plant import NEW_RING, Plant, require_sqlite_driver
from tests.prediction.prediction_factories import routing_row

Counts = Counter[str]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["folder", "database"])
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Plant:
    """The same factory as CSV files and as a SQLite database behind ODBC."""
    if request.param == "database":
        require_sqlite_driver()
    return Plant(tmp_path, database=request.param == "database")


@pytest.fixture
def folder(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def lookup_of(plant: Plant, tmp_path: Path, *, limit: float = 10.0, **options: Any) -> ItemLookup:
    return ItemLookup(plant.settings(tmp_path, lookup_timeout_seconds=limit), **options)


def counting() -> tuple[Counts, Callable[[str, int], None]]:
    counts: Counts = Counter()
    return counts, lambda outcome, codes: counts.update({outcome: codes})


def test_a_new_item_is_found_with_its_values_and_steps(plant: Plant, tmp_path: Path) -> None:
    plant.add_item("NEW1", SIZE=0)
    plant.add_steps(routing_row("NEW1", 10, "SAW"), routing_row("NEW1", 20, "LASER", setup_minutes=7.5))
    answer = lookup_of(plant, tmp_path).find(["NEW1", "NOBODY"])
    assert set(answer.found) == {"NEW1"}
    assert not answer.not_asked
    item = answer.found["NEW1"]
    assert {name: item.attributes[name] for name in ("PART", "MATERIAL", "DRAWING")} == {
        name: NEW_RING[name] for name in ("PART", "MATERIAL", "DRAWING")
    }
    assert item.attributes["SIZE"] is None  # zero is unknown, as in a snapshot
    assert item.routing is not None
    assert item.routing.select("operation_code", "setup_minutes").rows() == [("SAW", 10.0), ("LASER", 7.5)]


def test_an_item_without_a_routing_has_no_steps(plant: Plant, tmp_path: Path) -> None:
    plant.add_item("NEW1")
    item = lookup_of(plant, tmp_path).find(["NEW1"]).found["NEW1"]
    assert item.routing is not None
    assert item.routing.is_empty()


def test_a_code_is_found_in_another_case_and_with_blanks_around_it(plant: Plant, tmp_path: Path) -> None:
    plant.add_item("new-7b")
    plant.add_item("NEW-8C")
    found = lookup_of(plant, tmp_path).find([" New-7B ", "new-8c"]).found
    assert {asked: item.item_code for asked, item in found.items()} == {" New-7B ": "NEW-7B", "new-8c": "NEW-8C"}


def test_a_database_is_asked_tolerantly_for_what_it_does_not_have_exactly(tmp_path: Path) -> None:
    require_sqlite_driver()
    plant = Plant(tmp_path, database=True)
    plant.add_item(" New-8c  ")
    plant.add_steps(routing_row("nEW-8C ", 10, "SAW"))
    plant.add_item("NEW1")
    found = lookup_of(plant, tmp_path).find(["NEW-8C", "NEW1", "NEW-8"]).found
    assert set(found) == {"NEW-8C", "NEW1"}
    routing = found["NEW-8C"].routing
    assert routing is not None
    assert routing["operation_code"].to_list() == ["SAW"]


def test_a_database_that_is_slow_to_ask_tolerantly_still_gives_what_it_has_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_sqlite_driver()
    plant = Plant(tmp_path, database=True)
    plant.add_item("NEW1")
    go = threading.Event()
    items = by_key._Asking.items
    asked: list[str] = []

    def slow(self: Any, meant: dict[str, str], found: Any, operator: Any) -> Any:
        asked.append(operator)
        if operator == "code":
            go.wait(30)
        return items(self, meant, found, operator)

    monkeypatch.setattr(by_key._Asking, "items", slow)
    lookup = lookup_of(plant, tmp_path, limit=1.0)
    assert set(lookup.find(["NEW1", "NOBODY"]).found) == {"NEW1"}
    assert lookup.status()["state"] == "closed"
    go.set()
    deadline = time.monotonic() + 20
    while lookup.find(["SOMEBODY"]).not_asked and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lookup.find(["SOMEBODY ELSE"]).not_asked
    assert asked.count("code") == 1


def test_what_is_forgotten_is_read_again_also_when_it_was_being_read(plant: Plant, tmp_path: Path) -> None:
    plant.add_item("NEW1", SIZE=5)
    lookup = lookup_of(plant, tmp_path)
    keep = lookup._memory.keep
    assert lookup.find(["NEW1"]).found["NEW1"].attributes["SIZE"] == 5
    assert lookup.status()["remembered"] == 1
    lookup.forget()
    assert lookup.status()["remembered"] == 0
    assert lookup.find(["NEW1"]).found["NEW1"].attributes["SIZE"] == 5, "the session is opened again"

    def forgotten_meanwhile(*arguments: Any, **words: Any) -> None:
        lookup.forget()
        keep(*arguments, **words)

    lookup.forget()
    lookup._memory.keep = forgotten_meanwhile  # type: ignore[method-assign]
    assert set(lookup.find(["NEW1"]).found) == {"NEW1"}
    assert lookup.status()["remembered"] == 0
    lookup.close()


def test_codes_with_other_meanings_to_a_database_are_only_codes(plant: Plant, tmp_path: Path) -> None:
    harmless = ["O'RING", "A%", 'Q"1', "X;--", "B_1", "한글"]
    for code in harmless:
        plant.add_item(f'"{code.replace(chr(34), chr(34) * 2)}"' if plant.database is None else code)
    asked = [
        "O'RING",
        "A%",
        'Q"1',
        "X;--",
        "B_1",
        "한글",
        "%",
        "_",
        "' OR '1'='1",
        "nul\0nul",
        "x" * 10_000,
        "\ud800",
        "",
    ]
    answer = lookup_of(plant, tmp_path).find(asked)
    assert set(answer.found) == set(harmless)
    assert not answer.not_asked


def test_many_codes_are_one_reading_and_only_so_many_are_looked_up(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [f"N{number:04d}" for number in range(MOST_CODES + 5)]
    for code in codes:
        plant.add_item(code)
    readings: list[int] = []
    read = by_key.KeyedReading.read

    def counted(self: by_key.KeyedReading, codes: Sequence[str], **rest: Any) -> None:
        readings.append(len(codes))
        read(self, codes, **rest)

    monkeypatch.setattr(by_key.KeyedReading, "read", counted)
    counts, observe = counting()
    answer = lookup_of(plant, tmp_path, observe=observe).find([*codes, *codes])
    assert readings == [MOST_CODES]
    assert set(answer.found) == set(codes[:MOST_CODES])
    assert set(answer.not_asked) == set(codes[MOST_CODES:])
    assert counts == {"found": MOST_CODES, "skipped": 5}


def test_what_was_found_or_missing_is_not_read_again_for_a_while(folder: Plant, tmp_path: Path) -> None:
    folder.add_item("NEW1")
    counts, observe = counting()
    lookup = lookup_of(folder, tmp_path, observe=observe)
    assert set(lookup.find(["NEW1", "LATER"]).found) == {"NEW1"}
    folder.add_item("LATER")
    (folder.folder / "parts.csv").rename(folder.folder / "away.csv")
    assert set(lookup.find(["NEW1", "LATER"]).found) == {"NEW1"}
    assert lookup.status()["state"] == "closed"
    assert counts == {"found": 2, "missing": 2}


def test_what_was_missing_is_found_once_it_is_there(plant: Plant, tmp_path: Path) -> None:
    lookup = lookup_of(plant, tmp_path, missing_seconds=0.0)
    assert not lookup.find(["LATER"]).found
    plant.add_item("LATER")
    assert set(lookup.find(["LATER"]).found) == {"LATER"}


def test_a_folder_untouched_since_the_snapshot_is_not_read(folder: Plant, tmp_path: Path) -> None:
    folder.add_item("NEW1")
    files = list(folder.folder.glob("*.csv"))
    newest = datetime.fromtimestamp(max(file.stat().st_ctime for file in files), UTC)
    lookup = lookup_of(folder, tmp_path, missing_seconds=0.0)
    assert not lookup.find(["NEW1"], since=newest + timedelta(days=1)).found
    assert set(lookup.find(["NEW1"], since=newest).found) == {"NEW1"}  # equal counts as touched


def test_codes_that_a_folder_does_not_hold_are_known_without_reading_it_again(
    folder: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[str] = []
    rows = by_key._Asking._rows
    codes = by_key._Asking.all_codes

    def counted_rows(self: Any, table: str, *rest: Any) -> Any:
        readings.append(table)
        return rows(self, table, *rest)

    def counted_codes(self: Any) -> Any:
        readings.append("codes")
        return codes(self)

    monkeypatch.setattr(by_key._Asking, "_rows", counted_rows)
    monkeypatch.setattr(by_key._Asking, "all_codes", counted_codes)
    lookup = lookup_of(folder, tmp_path)
    for number in range(5):
        assert lookup.find([f"NOBODY{number}"]).not_asked == {}
    assert readings == ["codes"]
    folder.add_item("new1")
    assert set(lookup.find(["NEW1", "NOBODY9"]).found) == {"NEW1"}
    assert readings == ["codes", "codes", "items", "routings"]


def test_a_file_copied_with_its_old_time_counts_as_touched(folder: Plant) -> None:
    now = datetime.now(UTC)
    old = (now - timedelta(days=9)).timestamp()
    for file in folder.folder.glob("*.csv"):
        os.utime(file, (old, old))
    assert not is_untouched(folder.folder, now - timedelta(days=1))
    assert is_untouched(folder.folder, now + timedelta(days=1))


def test_an_erp_that_is_away_costs_one_try_and_then_a_rest(folder: Plant, tmp_path: Path) -> None:
    folder.add_item("NEW1")
    (folder.folder / "parts.csv").rename(folder.folder / "away.txt")
    counts, observe = counting()
    lookup = lookup_of(folder, tmp_path, observe=observe, rest_seconds=1000.0)
    assert "cannot be read" in lookup.find(["NEW1"]).not_asked["NEW1"]
    (folder.folder / "away.txt").rename(folder.folder / "parts.csv")
    assert "asked again from" in lookup.find(["NEW1"]).not_asked["NEW1"]
    status = lookup.status()
    assert (status["state"], counts) == ("open", {"failed": 1, "skipped": 1})
    assert "parts" in status["last_error"]
    assert status["asked_again_at"] > status["since"]


def test_an_erp_that_is_back_is_asked_after_the_rest(folder: Plant, tmp_path: Path) -> None:
    folder.add_item("NEW1")
    (folder.folder / "parts.csv").rename(folder.folder / "away.txt")
    lookup = lookup_of(folder, tmp_path, rest_seconds=0.0)
    assert lookup.find(["NEW1"]).not_asked
    (folder.folder / "away.txt").rename(folder.folder / "parts.csv")
    assert lookup.find(["NEW1"]).found
    status = lookup.status()
    assert (status["state"], status["since"], status["asked_again_at"]) == ("closed", None, None)
    assert status["last_error"]


def test_rests_grow_while_an_erp_stays_away_and_begin_anew_once_it_was_back() -> None:
    rests = []
    resting = Breaker(10.0, lambda: NOON)
    for _ in range(6):
        resting.failed("away")
        assert resting.admit() == "no"
        assert resting.state.retry_at is not None
        rests.append((resting.state.retry_at - NOON).total_seconds())
    assert rests == [10, 20, 40, 80, 80, 80]
    resting.succeeded()
    assert resting.admit() == "yes"
    resting.failed("away again")
    assert resting.state.retry_at == NOON + timedelta(seconds=10)


def test_only_one_tries_when_a_rest_is_over() -> None:
    breaker = Breaker(0.05, lambda: NOON)
    breaker.failed("away")
    deadline = time.monotonic() + 20
    while (first := breaker.admit()) == "no" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (first, breaker.admit()) == ("trial", "no")


def test_a_folder_that_is_missing_is_said_and_nothing_of_it_told_to_askers(folder: Plant, tmp_path: Path) -> None:
    lookup = lookup_of(folder, tmp_path)
    folder.folder.rename(tmp_path / "elsewhere")
    why = lookup.find(["NEW1"], since=datetime.now(UTC)).not_asked["NEW1"]
    assert "cannot be read" in why
    assert str(folder.folder) not in why
    assert str(folder.folder) in lookup.status()["last_error"]


def test_a_profile_that_cannot_be_read_costs_no_answer(folder: Plant, tmp_path: Path) -> None:
    folder.profile.write_text("name: [", encoding="utf-8")
    answer = lookup_of(folder, tmp_path).find(["NEW1"])
    assert answer.not_asked


class Stuck:
    """Stands before the opening of sources and lets nobody through until told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.entered: list[int] = []
        monkeypatch.setattr(by_key, "open_source", self)

    def __call__(self, *arguments: Any) -> Any:
        self.entered.append(threading.get_ident())
        assert self.go.wait(30)
        return open_source(*arguments)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    gate = Stuck(monkeypatch)
    yield gate
    gate.go.set()
    for thread in threading.enumerate():
        if thread.name == "erp-lookup":
            thread.join(30)


def test_nobody_waits_for_a_source_that_hangs_and_only_one_thread_hangs(
    folder: Plant, tmp_path: Path, stuck: Stuck
) -> None:
    folder.add_item("NEW1")
    lookup = lookup_of(folder, tmp_path, limit=0.2, rest_seconds=0.0)
    waited = [lookup.find([f"NEW{number}"]).not_asked for number in range(4)]
    assert all("did not answer within 0.2 s" in why for asked in waited for why in asked.values())
    assert len(stuck.entered) == 1
    assert lookup.status()["state"] == "open"


def test_what_a_late_reading_found_serves_the_next_request(folder: Plant, tmp_path: Path, stuck: Stuck) -> None:
    folder.add_item("NEW1")
    lookup = lookup_of(folder, tmp_path, limit=0.2, rest_seconds=1000.0)
    assert lookup.find(["NEW1"]).not_asked
    stuck.go.set()
    deadline = time.monotonic() + 20
    while not lookup.find(["NEW1"]).found and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lookup.find(["NEW1"]).found


def test_many_at_once_get_their_items_from_few_readings(plant: Plant, tmp_path: Path) -> None:
    codes = [f"N{number}" for number in range(12)]
    for code in codes:
        plant.add_item(code)
    lookup = lookup_of(plant, tmp_path, limit=30.0)
    found: dict[str, str] = {}

    def ask(code: str) -> None:
        found.update({asked: item.item_code for asked, item in lookup.find([code]).found.items()})

    threads = [threading.Thread(target=ask, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {code: code for code in codes}


def test_items_are_given_without_their_routings_where_only_these_take_too_long(
    folder: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add_item("NEW1")
    go = threading.Event()
    asking = by_key._Asking._steps
    monkeypatch.setattr(by_key._Asking, "_steps", lambda *rest: (go.wait(30), asking(*rest))[1])
    lookup = lookup_of(folder, tmp_path, limit=1.0)
    item = lookup.find(["NEW1"]).found["NEW1"]
    go.set()
    assert item.routing is None
    assert item.attributes["PART"] == "ring"


def test_a_kept_session_that_broke_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_sqlite_driver()
    plant = Plant(tmp_path, database=True)
    plant.add_item("NEW1")
    plant.add_item("NEW2")
    opened: list[Any] = []

    def opening(*arguments: Any) -> Any:
        opened.append(open_source(*arguments))
        return opened[-1]

    monkeypatch.setattr(by_key, "open_source", opening)
    lookup = lookup_of(plant, tmp_path)
    assert lookup.find(["NEW1"]).found

    def broken(*_: Any) -> None:
        raise SourceUnavailable("The connection went away.")

    monkeypatch.setattr(opened[0], "columns", broken)
    assert lookup.find(["NEW2"]).found
    assert len(opened) == 2
    assert lookup.status()["state"] == "closed"
    lookup.close()


def test_a_database_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    pyodbc = pytest.importorskip("pyodbc", reason="needs the machine's ODBC library")
    driver = next((name for name in pyodbc.drivers() if name.startswith("PostgreSQL")), None)
    if driver is None:
        pytest.skip("needs the ODBC driver of PostgreSQL (Debian: odbc-postgresql)")
    plant = Plant(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"Driver={{{driver}}};Server=127.0.0.1;Port={silent.getsockname()[1]};Database=erp;Uid=u;Pwd=secret"
        settings = Settings(
            data_dir=tmp_path, profile=str(plant.profile), erp_connection=SecretStr(where), lookup_timeout_seconds=0.5
        )
        lookup = ItemLookup(settings)
        why = lookup.find(["NEW1"]).not_asked["NEW1"]
        again = lookup.find(["NEW2"]).not_asked["NEW2"]
    assert "0.5 s" in why
    assert "asked again from" in again
    assert "secret" not in str(lookup.status())
