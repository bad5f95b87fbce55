"""A real Access file, read by MDBTools.

`access_users.mdb.xz` is `examples/node-adodb.mdb` of the npm package node-adodb 5.0.3, compressed. Copyright (c) 2015
nuintun, MIT License: permission is granted, free of charge, to any person obtaining a copy of it, to deal in it without
restriction, provided that this notice stays with it; it comes without warranty of any kind.
"""

import lzma
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from shared.erp.odbc.source import OdbcSource
from shared.erp.sources.location import OdbcLocation
from shared.errors import SourceError
from tests.erp.odbc_support import MDBTOOLS_DRIVER, needs_driver, opened, query, read, table, where

ROWS = [
    (1, "Nuintun", "Male", datetime.fromisoformat("1989-01-25"), True),
    (2, "Angela", "Female", datetime.fromisoformat("1988-12-18"), False),
    (3, "张三", "男", datetime.fromisoformat("1986-12-18"), True),
]


@pytest.fixture
def access(tmp_path: Path) -> Iterator[OdbcSource]:
    needs_driver(MDBTOOLS_DRIVER)
    file = tmp_path / "erp.mdb"
    file.write_bytes(lzma.decompress((Path(__file__).parent / "access_users.mdb.xz").read_bytes()))
    with opened(OdbcLocation(SecretStr(f"Driver={{{MDBTOOLS_DRIVER}}};DBQ={file}"))) as source:
        yield source


def test_an_access_file_is_read_typed_and_in_its_own_letters(access: OdbcSource) -> None:
    assert access.tables == ("Users",)
    assert access.columns(table("users")) == ["UserId", "UserName", "UserSex", "UserBirthday", "UserMarried"]
    assert access.count(table("Users")) == 3
    frame = read(access, table("Users"))
    assert frame.rows() == ROWS
    assert frame.dtypes == [pl.Int64, pl.String, pl.String, pl.Datetime("us"), pl.Boolean]


@pytest.mark.parametrize(
    ("column", "operator", "values", "expected"),
    [
        ("UserName", "in", ["Angela", "张三", "nobody"], [2, 3]),
        ("UserName", "=", ["angela"], []),
        ("UserName", "code", [" angela"], [2]),
        ("UserName", "=", ["' OR '1'='1"], []),
        ("UserId", "in", ["3", "x"], [3]),
        ("UserId", "=", ["x"], []),
        ("UserBirthday", ">=", [date(1988, 12, 18)], [1, 2]),
    ],
)
def test_rows_are_chosen_although_the_driver_binds_no_values(
    access: OdbcSource, column: str, operator: str, values: list[Any], expected: list[int]
) -> None:
    frame = read(access, table("Users"), ["UserId"], where(column, operator, values))
    assert sorted(frame["UserId"] if frame.width else []) == expected


def test_a_query_is_refused_with_the_way_out(access: OdbcSource) -> None:
    with pytest.raises(SourceError, match="knows no queries"):
        access.columns(query("SELECT * FROM Users"))
