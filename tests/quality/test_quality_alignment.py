"""How a predicted routing is laid against the actual one."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shared.quality.alignment import align, edit_distance, precedence


def test_a_missing_and_an_extra_operation_do_not_disturb_the_others() -> None:
    assert align("ABCD", "AXBD") == [(0, 0), (1, 2), (3, 3)]


def test_equal_routings_match_throughout() -> None:
    assert align("ABAB", "ABAB") == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_distance_counts_inserts_and_deletes_over_both_lengths() -> None:
    assert edit_distance("ABC", "ABC", 3) == 0
    assert edit_distance("ABC", "XYZ", 0) == 1
    assert edit_distance("ABCD", "ABD", 3) == 1 / 7
    assert edit_distance("", "", 0) == 0


def test_a_repeated_operation_is_told_apart_by_its_occurrence() -> None:
    assert precedence("ABA", "ABA") == (3, 3)
    assert precedence("ABA", "BAA") == (2, 3)  # the first A now comes after B


codes = st.text(alphabet="ABC", max_size=8)


@given(codes, codes)
def test_alignment_is_ordered_matches_equal_codes_and_is_symmetric_in_length(actual: str, predicted: str) -> None:
    pairs = align(actual, predicted)

    assert all(actual[i] == predicted[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(pairs))
    assert len(align(predicted, actual)) == len(pairs)
    assert (edit_distance(actual, predicted, len(pairs)) == 0) == (actual == predicted)
    right, total = precedence(actual, predicted)
    assert 0 <= right <= total


@given(codes, codes)
def test_no_longer_common_subsequence_exists(actual: str, predicted: str) -> None:
    def is_within(part: str, whole: str) -> bool:
        rest = iter(whole)
        return all(code in rest for code in part)

    longest = max(
        bits.bit_count()
        for bits in range(2 ** len(actual))
        if is_within("".join(code for place, code in enumerate(actual) if bits >> place & 1), predicted)
    )
    assert len(align(actual, predicted)) == longest
