"""Log lines: JSON, without secrets, and never a reason for anything else to fail."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from shared.logs import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_an_event_is_one_line_of_json_without_secrets() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger().warning("disk.low", free_bytes=17, api_key="very secret")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["free_bytes"]) == ("disk.low", "warning", 17)
    assert "very secret" not in stream.getvalue()


def test_a_full_disk_loses_the_line_and_nothing_else() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, a device that is always full")
    stream = full.open("w", buffering=1, encoding="utf-8")
    with pytest.raises(OSError, match="No space"):
        stream.write("a line\n")
    configure_logging(stream=stream)
    structlog.get_logger().info("prediction.answered")
    try:
        raise ValueError("in the middle of something")
    except ValueError:
        structlog.get_logger().exception("work.broke")
    with pytest.raises(OSError, match="No space"):
        stream.close()
