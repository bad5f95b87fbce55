"""What an output value stands for: how many messages with which text, and where a blob goes."""

import re

import pytest

from funchost.blobpaths import fill_path
from funchost.storage import queue_bodies


@pytest.mark.parametrize(
    ("kind", "value", "bodies"),
    [
        ("string", "plain", [b"plain"]),
        ("string", '{"a": 1}', [b'{"a": 1}']),
        ("string", '["a", {"b": 2}]', [b"a", b'{"b": 2}']),
        ("string", "[not json]", [b"[not json]"]),
        ("json", '["ä", 1.5, true, null, [1]]', ["ä".encode(), b"1.5", b"True", b"", b"[1]"]),
        ("json", "[]", []),
        ("bytes", "WzFd", [b"[1]"]),
        ("int", 7, [b"7"]),
    ],
)
def test_an_output_value_becomes_messages(kind: str, value: object, bodies: list[bytes]) -> None:
    assert queue_bodies({"type": kind, "value": value}) == bodies


def test_a_blob_path_takes_the_triggers_values_whatever_their_case() -> None:
    values = {"QueueTrigger": "order-7", "Line": "a"}
    assert fill_path("out/{queueTrigger}/{line}.txt", values) == "out/order-7/a.txt"
    assert fill_path("out/{{x}}", {}) == "out/{x}"
    first, second = fill_path("out/{rand-guid}", {}), fill_path("out/{rand-guid}", {})
    assert first != second
    assert re.fullmatch(r"out/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", fill_path("out/{DateTime}", {}))
    with pytest.raises(ValueError, match="unknown"):
        fill_path("out/{unknown}", values)
