"""What an output value stands for: how many messages with which text."""

import pytest

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
        ("string", "[" * 50_000 + "]" * 50_000, [b"[" * 50_000 + b"]" * 50_000]),
    ],
)
def test_an_output_value_becomes_messages(kind: str, value: object, bodies: list[bytes]) -> None:
    assert queue_bodies({"type": kind, "value": value}) == bodies
