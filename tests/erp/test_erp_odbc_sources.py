"""What a source of each driver reads: names, columns, conditions, values, queries."""

import functools
import os
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

import shared.erp.odbc.source as odbc_module
from shared.erp.odbc.source import OdbcSource
from shared.erp.profiles.model import WorkResultsTable
from shared.erp.sources.location import OdbcLocation
from shared.errors import SourceError
from tests.erp.odbc_support import (
    located,
    opened,
    postgresql_database,
    postgresql_location,
    query,
    read,
    sqlite_location,
    table,
    where,
)  # fmt: skip
from tests.postgresql import PostgreSql

ITEMS = """
CREATE TABLE "Items" ("CODE" varchar(20), "이름" varchar(40), "QTY" integer, "AT" varchar(30));
INSERT INTO "Items" VALUES ('A-1', '씰 링', 5, '2025-01-01'), ('a-1', '개스킷', 6, '2025-02-01'),
    ('A-2  ', NULL, NULL, '2025-03-01'), ('B''3', 'x', 7, NULL), (NULL, 'y', 8, '2025-04-01');
"""
HOSTILE = 'DROP TABLE "Items"; --'


class Maker:
    """Makes sources over new databases of one driver, from the statements that fill them."""

    def __init__(self, system: str, request: pytest.FixtureRequest, folder: Path) -> None:
        self.system = system
        self._request = request
        self._folder = folder

    def __call__(self, statements: str) -> OdbcSource:
        if self.system == "sqlite":
            made = opened(sqlite_location(self._folder / "erp.db", statements))
        else:
            made = opened(self._request.getfixturevalue("filled")(statements))
        self._request.addfinalizer(made.close)
        return made


@pytest.fixture(scope="module")
def filled(postgresql: PostgreSql) -> Callable[[str], OdbcLocation]:
    """Return what makes a database of statements, one for all tests that ask for the same: they only read."""
    return functools.cache(functools.partial(postgresql_location, postgresql))


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request.param, request, tmp_path)


# -------------------------------------------------------------------------------------------- tables and columns


def test_tables_and_views_are_listed_and_found_in_any_case(source: Maker) -> None:
    erp = source(f'{ITEMS} CREATE VIEW "품목 뷰" AS SELECT * FROM "Items" WHERE "QTY" > 5;')
    assert set(erp.tables) == {"Items", "품목 뷰"}
    assert erp.columns(table("nosuch", "iTEMS")) == ["CODE", "이름", "QTY", "AT"]
    assert erp.columns(table("품목 뷰")) == ["CODE", "이름", "QTY", "AT"]
    assert erp.count(table("Items")) == 5
    assert erp.count(table("품목 뷰")) == 3
    with pytest.raises(SourceError, match=r"no table or view Item \(did you mean 'Items'\?\)"):
        erp.columns(table("Item"))


REPORTS_BY_YEAR = """
CREATE TABLE reports_2024 (part varchar(9), op varchar(9), day date, pcs integer, hours numeric(9,3));
INSERT INTO reports_2024 VALUES ('A', 'TURN', '2024-05-01', 4, 1.125);
CREATE TABLE reports_2025 (hours float, code varchar(9), op varchar(9), day varchar(10), pcs integer, seq integer);
INSERT INTO reports_2025 VALUES (2.5, 'A', 'TURN', '2025-05-01', 3, 10), (1.125, 'B', 'SAW', '2025-05-02', 5, 20);
"""
REPORTS = WorkResultsTable.model_validate({
    "tables": ["REPORTS_2024", "reports_2025"],
    "columns": {"item_code": ["part", "code"], "operation_code": "op", "reported_at": "day", "quantity": "pcs",
                "run_minutes": "hours", "sequence": "seq"},
    "time_unit": "hours",
})  # fmt: skip


def test_listed_tables_are_one(source: Maker) -> None:
    erp = source(REPORTS_BY_YEAR)
    assert erp.columns(REPORTS) == ["part", "op", "day", "pcs", "hours", "code", "seq"]
    assert erp.count(REPORTS) == 3
    rows = read(erp, REPORTS, ["part", "day", "hours"])
    assert rows.rows() == [("A", "2024-05-01", "1.125"), ("A", "2025-05-01", "2.5"), ("B", "2025-05-02", "1.125")]
    numbers = read(erp, REPORTS, ["pcs", "seq"]).cast(pl.Int64)
    assert numbers.rows() == [(4, None), (3, 10), (5, 20)]
    assert read(erp, REPORTS, ["pcs"], where("part", "=", ["A"])).cast(pl.Int64).rows() == [(4,), (3,)]
    assert read(erp, REPORTS, ["pcs"], where("seq", "in", [20])).cast(pl.Int64).rows() == [(5,)]


def test_a_listed_table_without_a_required_column_is_named(source: Maker) -> None:
    erp = source(REPORTS_BY_YEAR.replace("code varchar", "someone varchar"))
    with pytest.raises(SourceError, match="reports_2025 has no column part or code"):
        read(erp, REPORTS, ["pcs"])


def test_a_column_that_is_not_there_is_an_error_that_names_the_nearest(source: Maker) -> None:
    erp = source(ITEMS)
    with pytest.raises(SourceError, match=r"Items has no column CODES \(did you mean 'CODE'\?\)"):
        list(erp.batches(table("Items"), ["CODES"]))
    with pytest.raises(SourceError, match="no column 1=1"):
        list(erp.batches(table("Items"), ["CODE"], where=where("1=1", "=", ["x"])))


def test_the_exact_name_wins_over_one_in_another_case(postgresql: PostgreSql) -> None:
    location = postgresql_location(postgresql, 'CREATE TABLE items (a int); CREATE TABLE "ITEMS" (b int);')
    with opened(location) as erp:
        assert erp.columns(table("items")) == ["a"]
        assert erp.columns(table("ITEMS")) == ["b"]
        with pytest.raises(SourceError, match="ambiguous"):
            erp.columns(table("Items"))


def test_a_name_in_several_schemas_is_ambiguous_unless_one_is_the_sessions_own(postgresql: PostgreSql) -> None:
    database = postgresql_database(
        postgresql,
        "CREATE SCHEMA old; CREATE SCHEMA older; CREATE TABLE old.items (a int); CREATE TABLE older.items (b int);"
        "CREATE VIEW older.steps AS SELECT 1 AS c;",
    )
    location = located(database)
    with opened(location) as erp:
        assert set(erp.tables) == {"old.items", "older.items", "older.steps"}
        with pytest.raises(SourceError, match=r"ambiguous: .*old\.items, .*older\.items"):
            erp.columns(table("items"))
        assert erp.columns(table("older.items")) == ["b"]
        assert erp.columns(table("OLD.ITEMS")) == ["a"]
        assert erp.columns(table(f"{database.database}.older.steps")) == ["c"]
        assert erp.columns(table("steps")) == ["c"]
    with database.connect() as session:
        session.execute("CREATE TABLE items (own int)")
    with opened(location) as erp:
        assert erp.columns(table("items")) == ["own"]


def test_names_with_quotes_brackets_and_statements_in_them_are_only_names(source: Maker) -> None:
    names = ['a"b', "a'b", "a]b[", "a;b--", "a?b", "a%sb", "한글 이름", "DROP TABLE x", "a.b", "A\\"]
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" text' for name in names)
    values = ", ".join(f"'{number}'" for number in range(len(names)))
    spiteful = 'x"; DROP TABLE "Items"; --'
    quoted = spiteful.replace('"', '""')
    erp = source(f'{ITEMS} CREATE TABLE "{quoted}" ({columns}); INSERT INTO "{quoted}" VALUES ({values});')
    origin = table(spiteful)
    assert erp.columns(origin) == names
    assert read(erp, origin).rows() == [tuple(str(number) for number in range(len(names)))]
    for number, name in enumerate(names):
        assert read(erp, origin, [name], where(name, "=", [str(number)])).height == 1
    assert erp.count(table("Items")) == 5


# ---------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("=", ["A-1"], ["A-1"]),
        ("=", ["A-2"], []),
        ("in", ["a-1", "A-1", "B'3", "nosuch"], ["A-1", "B'3", "a-1"]),
        ("in", [], []),
        ("code", [" a-1"], ["A-1", "a-1"]),
        ("code", ["a-2", "b'3 "], ["A-2  ", "B'3"]),
        (">=", ["B"], ["B'3", "a-1"]),
        ("=", ["' OR '1'='1"], []),
        ("in", [f"'; {HOSTILE}", f"A-1'; {HOSTILE}"], []),
        ("code", [f"x') OR 1=1; {HOSTILE}"], []),
        ("=", ["?"], []),
    ],
)
def test_conditions_choose_rows(source: Maker, operator: str, values: list[str], expected: list[str]) -> None:
    erp = source(ITEMS)
    found = read(erp, table("Items"), ["CODE"], where("CODE", operator, values))
    assert sorted(found["CODE"] if found.width else []) == expected
    assert erp.count(table("Items")) == 5


def test_a_value_that_its_column_cannot_hold_finds_nothing(source: Maker) -> None:
    erp = source(ITEMS)
    origin = table("Items")
    assert read(erp, origin, ["QTY"], where("QTY", "in", ["6", 7, "abc", 2**70])).height == 2
    assert read(erp, origin, ["QTY"], where("QTY", ">=", ["6"])).height == 3
    assert read(erp, origin, ["QTY"], where("QTY", "code", ["6"])).height == 1
    assert read(erp, origin, ["QTY"], where("QTY", "=", ["abc"])).is_empty()


def test_more_values_than_a_statement_holds_find_each_row_once(source: Maker) -> None:
    erp = source(
        "CREATE TABLE numbers AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " SELECT i, 'C' || i AS code FROM n;"
    )
    wanted = [f"C{number}" for number in range(1, 3000, 2)]
    found = read(erp, table("numbers"), ["code"], where("code", "in", wanted))
    assert sorted(found["code"]) == sorted(f"C{number}" for number in range(1, 2000, 2))


# ------------------------------------------------------------------------------------------------------- queries


def test_a_query_is_read_like_a_table(source: Maker) -> None:
    erp = source(ITEMS)
    origin = query('SELECT "CODE" AS code, COUNT(*) AS n FROM "Items" GROUP BY "CODE" ORDER BY 1 -- all of them\n;')
    assert erp.columns(origin) == ["code", "n"]
    assert erp.count(origin) == 5
    assert read(erp, origin, ["n", "code"], where("code", "=", ["A-1"])).rows() in [[(1, "A-1")], [("1", "A-1")]]


def test_columns_of_one_name_are_refused(filled: Callable[[str], OdbcLocation]) -> None:
    blamed = "more than one column CODE"
    with opened(filled(ITEMS)) as erp, pytest.raises(SourceError, match=blamed):
        erp.columns(query('SELECT "CODE", "CODE" FROM "Items"'))


def test_a_wrong_query_is_explained(source: Maker) -> None:
    erp = source(ITEMS)
    with pytest.raises(SourceError, match="the profile's sql"):
        erp.columns(query('SELECT nosuch FROM "Items"'))
    assert erp.count(table("Items")) == 5  # the session goes on


# -------------------------------------------------------------------------------------------------------- values


def test_sqlite_cells_are_read_as_they_are_whatever_their_columns_were_declared(tmp_path: Path) -> None:
    """The driver by itself would read '1,5' as 1.0, 123456789012 as another number and '20250501' as nothing."""
    location = sqlite_location(
        tmp_path / "erp.db",
        "CREATE TABLE t (i INTEGER, r REAL, n NUMERIC(10,2), d DATE, b BOOLEAN, c CHAR(5), anything);"
        "INSERT INTO t VALUES ('abc', '1,5', '-', '20250501', 'Y', '한 ', 7.25);"
        "INSERT INTO t VALUES (123456789012, 0.30000000000000004, 0.1, '2025.05.01', 1, '007', 'x');"
        "INSERT INTO t VALUES (7, 12.0, 1e300, 'n/a', 'true', '', x'41');"
        "INSERT INTO t (i) VALUES (NULL);",
    )
    with opened(location) as erp:
        frame = read(erp, table("t"))
    assert set(frame.dtypes) == {pl.String}
    assert frame.rows() == [
        ("abc", "1,5", "-", "20250501", "Y", "한 ", "7.25"),
        ("123456789012", "0.30000000000000004", "0.1", "2025.05.01", "1", "007", "x"),
        ("7", "12", "1.0e+300", "n/a", "true", "", "A"),
        (None,) * 7,
    ]


def test_postgresql_values_keep_their_kind_and_every_digit(postgresql: PostgreSql) -> None:
    """The driver by itself would read `infinity` as today and a uuid in capitals."""
    location = postgresql_location(
        postgresql,
        "CREATE TABLE t (i bigint, f float8, n numeric, n2 numeric(10,2), n0 numeric(12,0), d date, ts timestamp,"
        " b boolean, c char(6), v varchar(20), u uuid);"
        "INSERT INTO t VALUES (9007199254740993, 0.30000000000000004, 12345678901234567890.1234567800, 12.50, 700,"
        " '2025-05-01', '2025-05-01 10:11:12.5', true, '한글', 'x  ', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),"
        " (-1, 'NaN', 'NaN', -0.00, 0, 'infinity', '-infinity', false, '', '', NULL),"
        " (NULL, NULL, NULL, NULL, NULL, '20000-01-01', '0044-03-15 BC', NULL, NULL, NULL, NULL);",
    )
    with opened(location) as erp:
        frame = read(erp, table("t"))
    assert frame["i"].to_list() == [9007199254740993, -1, None]
    assert frame["f"].to_list()[0] == 0.30000000000000004
    assert frame["n"].to_list() == ["12345678901234567890.12345678", "NaN", None]
    assert frame["n2"].to_list() == ["12.5", "0", None]
    assert frame["n0"].to_list() == [700, 0, None]
    assert frame["d"].to_list() == [date(2025, 5, 1), None, None]
    assert frame["ts"].to_list() == [datetime.fromisoformat("2025-05-01 10:11:12.5"), None, None]
    assert frame["b"].to_list() == ["true", "false", None]
    assert [str(value).rstrip() for value in frame["c"]] == ["한글", "", "None"]
    assert frame["v"].to_list() == ["x  ", "", None]
    assert frame["u"].to_list()[0] == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def test_decimal_numbers_come_in_the_profiles_own_notation(postgresql: PostgreSql) -> None:
    location = postgresql_location(postgresql, "CREATE TABLE t AS SELECT 1.234::numeric(10,3) AS n")
    with opened(location, decimal_comma=True) as erp:
        assert read(erp, table("t"))["n"].to_list() == ["1,234"]


def test_moments_are_found_by_a_bound_of_their_kind(postgresql: PostgreSql) -> None:
    location = postgresql_location(
        postgresql,
        "CREATE TABLE t (d date, ts timestamp, x text); INSERT INTO t VALUES"
        " ('2025-05-01', '2025-05-01 00:00', '2025-05-01'), ('2025-05-02', '2025-05-02 10:00', '2025-05-02 10:00');",
    )
    with opened(location) as erp:
        for name in ("d", "ts", "x"):
            for bound in (date(2025, 5, 2), "2025-05-02", datetime.fromisoformat("2025-05-02")):
                assert read(erp, table("t"), ["x"], where(name, ">=", [bound]))["x"].to_list() == ["2025-05-02 10:00"]


# ------------------------------------------------------------------------------------------------- large tables

WIDE_ROWS = """
CREATE TABLE wide AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'tied' END AS k, {filling} AS filling FROM n;
"""


def test_a_large_table_is_read_once_row_by_row_and_never_held_whole(
    source: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odbc_module, "BATCH_ROWS", 10_000)
    filling = "repeat('x', 2000)" if source.system == "postgresql" else "printf('%.*c', 2000, 'x')"
    erp = source(WIDE_ROWS.format(filling=filling))
    origin = table("wide")
    before = _resident_megabytes()
    numbers, nulls, most = [], 0, 0.0
    for batch in erp.batches(origin, erp.columns(origin)):
        assert 0 < batch.height <= 10_000
        assert batch.schema.names() == ["i", "k", "filling"]
        numbers.append(batch["i"].cast(pl.Int64))
        nulls += batch["k"].null_count()
        most = max(most, _resident_megabytes() - before)
    assert sorted(pl.concat(numbers)) == list(range(1, 60_001))
    assert nulls == 20_000
    assert most < 150  # the text alone is 120 MB, and a driver that keeps it all takes it twice or four times


def _resident_megabytes() -> float:
    statistics = Path("/proc/self/statm")
    if not statistics.is_file():
        pytest.skip("needs Linux, which tells a process's memory")
    return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_one_source_sees_one_state_of_all_tables(postgresql: PostgreSql) -> None:
    database = postgresql_database(postgresql, "CREATE TABLE a (x text); CREATE TABLE b (x text);")
    with opened(located(database)) as erp, database.connect() as other:
        assert erp.count(table("a")) == 0
        other.execute("INSERT INTO a VALUES ('new'); INSERT INTO b VALUES ('new')")
        assert erp.count(table("b")) == 0
        assert read(erp, table("a"), ["x"], where("x", "in", ["new"])).is_empty()
        # A reading by key is over by itself: the next one is asked of the present.
        assert read(erp, table("a"), ["x"], where("x", "in", ["new"])).height == 1
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
        assert other.execute(waiting.encode()).fetchone() == (0,)


def test_a_writer_is_not_seen_in_the_middle_of_reading_sqlite(tmp_path: Path) -> None:
    location = sqlite_location(
        tmp_path / "erp.db", "PRAGMA journal_mode = wal; CREATE TABLE a (x text); CREATE TABLE b (x text);"
    )
    with opened(location) as erp:
        assert erp.count(table("a")) == 0
        with sqlite3.connect(tmp_path / "erp.db") as other:
            other.executescript("INSERT INTO a VALUES ('new'); INSERT INTO b VALUES ('new')")
        other.close()
        assert erp.count(table("b")) == 0
        assert read(erp, table("b"), ["x"], where("x", "=", ["new"])).is_empty()
        assert read(erp, table("b"), ["x"], where("x", "=", ["new"])).height == 1
