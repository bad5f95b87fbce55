"""Every statement that a source can send, parsed by somebody else's parser, with names as hostile as they come."""

from datetime import date, datetime
from decimal import Decimal

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from shared.erp.odbc.dialects import (
    Access,
    Dialect,
    FreeTds,
    MdbTools,
    PostgreSql,
    Sqlite,
    SqlServer,
    completed,
    dialect_of,
)
from shared.erp.odbc.sql import MOST_VALUES, Query, Statement, Statements, Table, checked_query
from shared.erp.odbc.types import Column
from shared.erp.sources.source import Condition
from shared.errors import SourceError

# A dialect, the quote that its drivers name, and the grammar that its statements must fit.
GRAMMARS = [
    pytest.param(SqlServer(), '"', "tsql", id="sql-server"),
    pytest.param(SqlServer(), "[", "tsql", id="sql-server-brackets"),
    pytest.param(FreeTds(), '"', "tsql", id="freetds"),
    pytest.param(Dialect(), '"', "tsql", id="unknown-system-as-tsql"),
    pytest.param(PostgreSql(), '"', "postgres", id="postgresql"),
    pytest.param(Sqlite(), '"', "sqlite", id="sqlite"),
]
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\"'[]`;-/*\\ ?%_.,()=\n\t@#:$\u200b품목코드İß"),
        st.characters(codec="utf-8", exclude_characters="\0"),
    ),
    min_size=1,
    max_size=20,
).filter(lambda name: not name.startswith("#"))  # which in T-SQL means a temporary table, quoted or not
KINDS = st.sampled_from([str, int, float, Decimal, bool, date, datetime])
VALUES = st.one_of(HOSTILE, st.integers(-(2**70), 2**70), st.floats(), st.dates(), st.datetimes())
MIDNIGHT, HALF_PAST_TEN, MOMENT = map(datetime.fromisoformat, ("2025-05-01", "2025-05-01 10:30", "2025-05-01 10:11:12"))
OPERATORS = st.sampled_from(["=", ">=", "in", "code"])


def only_select(statement: Statement, grammar: str) -> exp.Select:
    """Return the parsed statement, which must be exactly one SELECT with a `?` for each value."""
    parsed = sqlglot.parse(statement.text, read=grammar)
    assert len(parsed) == 1
    tree = parsed[0]
    assert isinstance(tree, exp.Select)
    assert len(list(tree.find_all(exp.Placeholder))) == len(statement.values)
    assert not any(list(tree.find_all(kind)) for kind in (exp.Command, exp.Into, exp.Union, exp.Join))
    return tree


def names_in(tree: exp.Expression) -> set[str]:
    return {identifier.this for identifier in tree.find_all(exp.Identifier)}


@pytest.mark.parametrize(("dialect", "quote", "grammar"), GRAMMARS)
@settings(deadline=None, max_examples=40)
@given(parts=st.lists(HOSTILE, min_size=1, max_size=3))
def test_no_name_of_a_table_escapes_its_quotes(dialect: Dialect, quote: str, grammar: str, parts: list[str]) -> None:
    table = Table(*reversed(parts))
    statements = Statements(dialect, quote)
    for statement in (statements.no_rows(table), statements.count(table)):
        tree = only_select(statement, grammar)
        assert names_in(tree) == set(parts)
        found = tree.find(exp.Table)
        assert found is not None
        assert [found.catalog, found.db, found.name] == [*[""] * (3 - len(parts)), *parts]


@pytest.mark.parametrize(("dialect", "quote", "grammar"), GRAMMARS)
@settings(deadline=None, max_examples=40)
@given(
    names=st.lists(HOSTILE, min_size=1, max_size=5, unique=True),
    kind=KINDS,
    operator=OPERATORS,
    values=st.lists(VALUES, min_size=1, max_size=6),
)
def test_no_name_of_a_column_and_no_value_escapes(
    dialect: Dialect, quote: str, grammar: str, names: list[str], kind: type, operator: str, values: list[object]
) -> None:
    columns = [dialect.declared(Column(name, kind)) for name in names]
    condition = Condition(names[0], operator, tuple(values))  # type: ignore[arg-type]
    statements = Statements(dialect, quote)
    for where in (None, (condition, columns[0])):
        for statement in statements.rows(Table("t"), columns, where):
            tree = only_select(statement, grammar)
            assert names_in(tree) == {"t", *names}
            assert [one.alias_or_name for one in tree.expressions] == names
            texts = {literal.this for literal in tree.find_all(exp.Literal) if literal.is_string}
            assert texts <= {"real", "%!.17g"}


@pytest.mark.parametrize(("dialect", "quote", "grammar"), GRAMMARS)
def test_a_query_of_the_profile_is_a_table_of_one_select(dialect: Dialect, quote: str, grammar: str) -> None:
    sql = "SELECT a, ')' AS \"b;\" FROM t -- all ; of it (\n WHERE c = 'it''s'; \n"
    checked = checked_query(sql, dialect)
    for statement in (
        *Statements(dialect, quote).rows(checked, [Column("a", str)]),
        Statements(dialect, quote).count(checked),
        Statements(dialect, quote).no_rows(checked),
    ):
        tree = only_select(statement, grammar)
        subquery = tree.args["from_"].this
        assert isinstance(subquery, exp.Subquery)
        assert subquery.alias == "q"
        assert {found.name for found in subquery.find_all(exp.Table)} == {"t"}


@pytest.mark.parametrize(
    ("sql", "blamed"),
    [
        ("DELETE FROM t", "begin with SELECT"),
        ("UPDATE t SET a = 1", "begin with SELECT"),
        ("EXEC sp_who", "begin with SELECT"),
        ("-- SELECT\nDROP TABLE t", "begin with SELECT"),
        ("", "begin with SELECT"),
        ("SELECT 1; DELETE FROM t", "more than one"),
        ("SELECT 1) AS q; DELETE FROM t; --", "more than one"),
        ("SELECT 1) AS q, (SELECT 2", "not closed"),
        ("SELECT 1) AS q --", "not closed"),
        ("SELECT (1", "not closed"),
        ("SELECT 'a", "not closed"),
        ('SELECT "a', "not closed"),
        ("SELECT 1 /* ", "not closed"),
        (r"SELECT E'\'' ; DELETE FROM t --'", "backslash"),
    ],
)
def test_what_is_not_one_select_is_refused(sql: str, blamed: str) -> None:
    with pytest.raises(SourceError, match=blamed):
        checked_query(sql, PostgreSql())


def test_a_query_may_begin_with_with_only_where_that_may_stand_inside_another() -> None:
    sql = "WITH x AS (SELECT 1 AS a) SELECT a FROM x"
    assert checked_query(sql, PostgreSql()) == Query(sql)
    assert checked_query(f"({sql})", Sqlite()) == Query(f"({sql})")
    for dialect in (SqlServer(), Access()):
        with pytest.raises(SourceError, match="begin with SELECT"):
            checked_query(sql, dialect)
    with pytest.raises(SourceError, match="knows no queries"):
        checked_query("SELECT 1", MdbTools())


def test_many_values_come_in_parts_and_equal_ones_stay_together() -> None:
    """A database that ignores case finds a row by two spellings; in two statements it would come twice."""
    codes = [f"code-{number}" for number in range(3 * MOST_VALUES)]
    spellings = [*codes, *(code.upper() for code in codes), *codes]
    condition = Condition("c", "in", tuple(spellings))
    statements = list(Statements(SqlServer(), '"').rows(Table("t"), [Column("c", str)], (condition, Column("c", str))))
    assert len(statements) > 3
    assert sorted(value for one in statements for value in one.values) == sorted({*spellings})
    for statement in statements:
        assert len(statement.values) <= MOST_VALUES
        assert len({value.casefold() for value in statement.values}) * 2 == len(statement.values)


def test_access_names_a_table_without_its_file() -> None:
    table = Table("한글 표", None, r"C:\factory\erp.accdb")
    assert Statements(Access(), "`").count(table).text == "SELECT COUNT(*) FROM `한글 표`"


def test_names_that_cannot_be_quoted_are_refused() -> None:
    for name in ("", "a\0b"):
        with pytest.raises(SourceError, match="NUL"):
            Statements(SqlServer(), '"').name(name)
    unquoted = Statements(Dialect(), " ")
    assert unquoted.name("품목_1") == "품목_1"
    for name in ("a b", "1a", 'a"', "a;b"):
        with pytest.raises(SourceError, match="cannot quote"):
            unquoted.name(name)


@pytest.mark.parametrize(
    ("value", "column", "bound", "expected"),
    [
        ("7", Column("c", int), False, 7),
        (" 7.0 ", Column("c", int), False, 7),
        ("7.5", Column("c", int), False, None),
        (7.5, Column("c", int), True, 8),
        ("A-7", Column("c", int), False, None),
        (2**70, Column("c", int), False, None),
        ("nan", Column("c", float), False, None),
        ("1.10", Column("c", Decimal), False, Decimal("1.10")),
        ("2025-05-01 10:11:12", Column("c", datetime), False, MOMENT),
        (date(2025, 5, 1), Column("c", datetime), True, MIDNIGHT),
        (HALF_PAST_TEN, Column("c", date), True, date(2025, 5, 1)),
        ("yesterday", Column("c", date), False, None),
        (7, Column("c", str), False, "7"),
        (7.0, Column("c", str), False, "7"),
        (MIDNIGHT, Column("c", str), True, "2025-05-01"),
        (HALF_PAST_TEN, Column("c", str), True, "2025-05-01 10:30:00"),
        ("Y", Column("c", bool), False, 1),
        ("maybe", Column("c", bool), False, None),
    ],
)
def test_a_value_is_bound_in_its_columns_kind(value: object, column: Column, bound: bool, expected: object) -> None:
    condition = Condition("c", ">=" if bound else "=", (value,))  # type: ignore[arg-type]
    statements = list(Statements(SqlServer(), '"').rows(Table("t"), [column], (condition, column)))
    assert [statement.values for statement in statements] == ([] if expected is None else [(expected,)])


@pytest.mark.parametrize(
    ("driver", "said", "added"),
    [
        ("PostgreSQL Unicode", "Server=x", "UseDeclareFetch=1;Fetch=10000"),
        ("/usr/lib/psqlodbcw.so", "Server=x;fetch=50;", "UseDeclareFetch=1"),
        ("PostgreSQL ANSI", "usedeclarefetch=0;Fetch=7", ""),
        ("FreeTDS", "Server=x;TDS_Version=7.3", "ClientCharset=UTF-8"),
        ("SQLite3", "Database=x", "StepAPI=1;NoCreat=1;Timeout=10000"),
        ("Microsoft Access Driver (*.mdb, *.accdb)", "DBQ=x", "ReadOnly=1"),
        ("MDBTools", "DBQ=x", ""),
        ("ODBC Driver 18 for SQL Server", "Server=x;Encrypt=no", ""),
        ("MySQL ODBC 8.0 Unicode Driver", "Server=x", ""),
    ],
)
def test_a_connection_string_is_completed_where_its_author_says_nothing(driver: str, said: str, added: str) -> None:
    connection = f"Driver={{{driver}}};{said}"
    whole = completed(connection, dialect_of(driver), login_seconds=10)
    assert whole == ";".join(filter(None, [connection.rstrip(";"), added]))
