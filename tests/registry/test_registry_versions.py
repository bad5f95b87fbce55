"""What a version may be called."""

from datetime import UTC, datetime

import pytest

from shared.errors import InvalidInput
from shared.registry.versions import check_version_name, new_version_name


def clock() -> datetime:
    return datetime(2026, 1, 31, 8, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["version_20260131_081500", "a", "0", "v1.2-rc_3", "a" * 64, "console", "com10"])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert check_version_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "A", "Version", "a" * 65, ".hidden", "_a", "-a", "a/b", "../a", "a\\b", "a b", "ä", "a\n", "a\x00", "a.",
        "active", "rollback", "con", "con.txt", "nul.1", "aux", "prn", "com1", "lpt9.tar.gz", "com0",
    ],
)  # fmt: skip
def test_a_name_that_some_system_reads_otherwise_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_version_name(name)
    assert caught.value.facts["errors"][0]["field"] == "version"


def test_a_new_name_says_when_it_was_made() -> None:
    assert new_version_name(clock, []) == "version_20260131_081500"


def test_a_second_version_of_the_same_second_gets_a_number_even_when_the_first_differs_in_case() -> None:
    taken = ["VERSION_20260131_081500", "version_20260131_081500_2"]
    assert new_version_name(clock, taken) == "version_20260131_081500_3"


def test_a_label_is_kept_and_a_taken_long_one_stays_within_the_limit() -> None:
    assert new_version_name(clock, [], label="pilot") == "pilot"
    longest = "a" * 64
    name = new_version_name(clock, [longest], label=longest)
    assert name == "a" * 62 + "_2"
    assert check_version_name(name) == name


def test_a_reserved_label_is_refused() -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        new_version_name(clock, [], label="active")
