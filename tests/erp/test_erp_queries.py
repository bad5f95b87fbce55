"""Queries over a folder, and the names by which they mean its files."""

import pytest

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceRules, SourceTable
from shared.erp.sources.folder import Folder
from tests.erp.erp_support import TinyFactory

AWKWARD = "Bookings 2024-25.v2"


def _codes(factory: TinyFactory, sql: str) -> list[str]:
    with Folder(factory.source, SourceRules(), IssueLog()) as source:
        return [code for batch in source.batches(SourceTable(sql=sql), ["code"]) for code in batch["code"]]


@pytest.mark.parametrize(
    "sql",
    [
        f'SELECT b.code FROM "{AWKWARD}" AS b',
        f"SELECT b.code FROM `{AWKWARD}` AS b",
        f"SELECT b.code FROM [{AWKWARD}] AS b",
        f'SELECT p.code FROM parts AS p JOIN "{AWKWARD}" AS b ON b.code = p.code',
        f'/* [{AWKWARD}] */ SELECT code FROM "{AWKWARD.upper()}" -- of [parts]',
        f"SELECT code FROM [{AWKWARD}] WHERE '[{AWKWARD}]' <> code",
    ],
)
def test_a_query_may_name_a_file_in_any_quotes(factory: TinyFactory, sql: str) -> None:
    factory.write(f"{AWKWARD}.csv", "code\n8\n")
    assert _codes(factory, sql) == ["8"]


def test_a_file_that_stands_only_in_a_text_or_comment_of_a_query_is_not_opened(factory: TinyFactory) -> None:
    factory.write("broken.csv", b"")
    assert _codes(factory, "SELECT code FROM parts WHERE code <> 'broken' -- broken") == ["007", "8", "9"]
