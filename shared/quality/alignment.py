"""How a predicted routing lies against the actual one: which operations correspond, and how far apart they are."""

from collections import Counter
from collections.abc import Sequence


def align(actual: Sequence[str], predicted: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence as pairs (actual, predicted), in order.

    This is the alignment of least cost when inserting or deleting an operation costs 1 and replacing it 2. Among
    equally long ones the pairs lie as early in the routing as possible.
    """
    rows, columns = len(actual), len(predicted)
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            if actual[i] == predicted[j]:
                longest[i][j] = longest[i + 1][j + 1] + 1
            else:
                longest[i][j] = max(longest[i + 1][j], longest[i][j + 1])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < rows and j < columns:
        if actual[i] == predicted[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def edit_distance(actual: Sequence[str], predicted: Sequence[str], matched: int) -> float:
    """Return inserts plus deletes over the sum of both lengths: 0 for equal routings, 1 when nothing is shared.

    `matched` is the length of their alignment. Two empty routings are equal.
    """
    length = len(actual) + len(predicted)
    return (length - 2 * matched) / length if length else 0.0


def precedence(actual: Sequence[str], predicted: Sequence[str]) -> tuple[int, int]:
    """Return (pairs in the same order, pairs) over the operations that both routings hold.

    A repeated operation code counts by its occurrence: the second grinding of one is the second of the other.
    """
    places = {label: place for place, label in enumerate(_labelled(predicted))}
    shared = [places[label] for label in _labelled(actual) if label in places]
    pairs = [shared[i] < shared[j] for i in range(len(shared)) for j in range(i + 1, len(shared))]
    return sum(pairs), len(pairs)


def _labelled(codes: Sequence[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    labels = []
    for code in codes:
        labels.append((code, seen[code]))
        seen[code] += 1
    return labels
