"""The host's log: every line once in either direction, whatever is rotated meanwhile, and none of its secrets."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.operations import log_files
from shared.operations.log_files import NAME, LogFiles, Place
from shared.operations.log_lines import (
    MOST_BYTES,
    LogQuery,
    as_text,
    following_lines,
    log_text,
    newest_lines,
)
from shared.platform import open_append_log

ALL = LogQuery()
KEY = "rml_0123456789ab_AbCdEfGhIjKlMnOpQrStUvWx"


def written(number: int, **fields: object) -> str:
    stamp = f"2026-03-01T00:00:00.{number:06d}Z"
    return json.dumps({"timestamp": stamp, "level": "info", "event": "e", "n": number, **fields}, ensure_ascii=False)


def write(folder: Path, *lines: str, max_bytes: int = 10_000_000) -> None:
    """Append lines as a started host does, moving a full file away first."""
    with open_append_log(folder / NAME, max_bytes=max_bytes, keep=3) as log:
        log.write("".join(f"{line}\n" for line in lines).encode())


def place(text: str | None) -> Place:
    assert text is not None
    return Place.read(text)


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(1, 5)), min_size=1, max_size=14),
    chunk=st.integers(70, 400),
    long_line=st.integers(0, 900),
)
def test_a_follower_gets_every_line_once_and_in_order_across_rotations(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, int]], chunk: int, long_line: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    write(folder, written(0))
    after = newest_lines(folder, ALL, limit=10).after
    count, seen, unread_rotations = 1, [0], 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_files, "_CHUNK_BYTES", max(chunk, long_line + 150))
        for lines, rotates, limit in steps:
            rotates = rotates and unread_rotations < 2  # of three older files that are kept
            new = [written(count + n, pad="x" * (long_line if n == 1 else 0)) for n in range(lines)]
            write(folder, *new, max_bytes=1 if rotates else 10_000_000)
            count, unread_rotations = count + lines, unread_rotations + rotates
            page = following_lines(folder, ALL, limit=limit, after=place(after))
            assert not page.gap
            after = page.after
            seen += [line.fields["n"] for line in page.items]
            unread_rotations = unread_rotations if page.more else 0
        while (page := following_lines(folder, ALL, limit=3, after=place(after))).items:
            after = page.after
            seen += [line.fields["n"] for line in page.items]
    assert seen == list(range(count))


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=8), min_size=1, max_size=4),
    limit=st.integers(1, 7), chunk=st.integers(450, 900),
)  # fmt: skip
def test_older_pages_together_are_the_whole_log(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], limit: int, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    count = 0
    for file in sizes:
        write(folder, *(written(count + n, pad="é" * (size // 2)) for n, size in enumerate(file)), max_bytes=1)
        count += len(file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_files, "_CHUNK_BYTES", chunk)
        page = newest_lines(folder, ALL, limit=limit)
        seen = [line.fields["n"] for line in page.items]
        while page.before:
            assert page.more
            page = newest_lines(folder, ALL, limit=limit, before=place(page.before))
            seen = [line.fields["n"] for line in page.items] + seen
    assert seen == list(range(count))


def test_a_line_longer_than_what_is_read_at_once_is_shown_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_CHUNK_BYTES", 300)
    write(tmp_path, written(1), "y" * 1000, written(2))
    backwards = newest_lines(tmp_path, ALL, limit=50)
    assert [line.is_json for line in backwards.items][:: len(backwards.items) - 1] == [True, True]
    assert "".join(line.event for line in backwards.items if not line.is_json) == "y" * 1000
    with LogFiles(tmp_path) as files:
        assert files.end is not None
        start = Place(file=files.end.file, offset=0)
    forwards = following_lines(tmp_path, ALL, limit=50, after=start)
    assert "".join(line.event for line in forwards.items if not line.is_json) == "y" * 1000
    assert forwards.after == backwards.after


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    write(tmp_path, written(1))
    half, rest = written(2)[:20], written(2)[20:]
    with (tmp_path / NAME).open("a") as log:
        log.write(half)
    page = newest_lines(tmp_path, ALL, limit=5)
    assert [line.fields["n"] for line in page.items] == [1]
    with (tmp_path / NAME).open("a") as log:
        log.write(rest + "\n")
    assert [line.fields["n"] for line in following_lines(tmp_path, ALL, limit=5, after=place(page.after)).items] == [2]


def test_a_place_that_was_rotated_away_is_told_and_the_newest_lines_are_shown(tmp_path: Path) -> None:
    write(tmp_path, written(0))
    old = newest_lines(tmp_path, ALL, limit=5).after
    for number in range(1, 6):
        write(tmp_path, written(number), max_bytes=1)
    page = following_lines(tmp_path, ALL, limit=2, after=place(old))
    assert (page.gap, [line.fields["n"] for line in page.items]) == (True, [4, 5])
    assert newest_lines(tmp_path, ALL, limit=1, before=place(old)).gap


def test_lines_are_found_by_least_level_event_and_text(tmp_path: Path) -> None:
    write(
        tmp_path,
        written(1, level="debug"), written(2, event="model.loaded", version="v1"), written(3, level="warning"),
        written(4, level="ERROR", event="model.broke", exception="Traceback\n  File x\nOSError: Disk full"),
        "Segmentation fault",
    )  # fmt: skip

    def found(**query: str) -> list[object]:
        page = newest_lines(tmp_path, LogQuery(**query), limit=50)  # type: ignore[arg-type]
        return [line.fields.get("n", line.event) for line in page.items]

    assert found() == [1, 2, 3, 4, "Segmentation fault"]
    assert found(level="warning") == [3, 4, "Segmentation fault"]  # which names no level, so it is never hidden
    assert found(event="model.") == [2, 4]
    assert found(event="model.loaded") == [2]
    assert found(text="disk FULL") == [4]
    assert found(text="fault") == ["Segmentation fault"]
    assert found(text="n=4 exception") == []  # a trace stands below its line
    assert found(text="OSError: Disk full") == [4]
    assert found(text="warning app e n=3") == [3]
    assert found(text="version=v1") == [2]
    assert found(level="error", event="model.loaded") == []


def test_what_core_tools_writes_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, f"[2026-03-01T08:00:00.123Z] {written(7)}", "[2026-03-01T08:00:01.000Z] Host lock lease acquired.")
    first, second = newest_lines(tmp_path, ALL, limit=5).items
    assert (first.fields["n"], first.source, first.is_json) == (7, "app", True)
    assert (second.time, second.event, second.is_json) == (
        "2026-03-01T08:00:01.000Z", "Host lock lease acquired.", False,
    )  # fmt: skip


def test_no_secret_is_shown_or_even_found(tmp_path: Path) -> None:
    address = {"event": "e", "url": "https://x/?a=1&sig=aGlkZGVu"}
    hidden = json.dumps(address).replace("&", "\\u0026")  # as .NET writes it
    write(
        tmp_path, hidden, written(1, api_key="open sesame"), written(2, nested={"connection": "AccountKey=c2VjcmV0"}),
        written(3, note=f"came with {KEY}"), f"plain text with {KEY}", written(4, event=f"got {KEY}"),
    )  # fmt: skip
    shown = log_text(tmp_path, ALL)
    assert len(shown.splitlines()) == 6
    for secret in ("sesame", "aGlkZGVu", "c2VjcmV0", KEY, KEY[-10:]):
        assert secret not in shown
        assert newest_lines(tmp_path, LogQuery(text=secret), limit=5).items == []


def test_without_a_log_it_is_said_where_one_would_be(tmp_path: Path) -> None:
    page = newest_lines(tmp_path / "nowhere", ALL, limit=5)
    assert (page.items, page.after, page.written_at) == ([], None, None)
    assert page.message is not None
    assert "manage.py up" in page.message
    assert "manage.py up" in log_text(tmp_path, ALL)
    (tmp_path / NAME).write_bytes(b"")
    assert newest_lines(tmp_path, ALL, limit=5).message == f"{tmp_path / NAME} has no line yet."


def test_one_question_looks_through_a_part_of_a_large_log_and_the_next_goes_on(tmp_path: Path) -> None:
    pad, count = "x" * 10_000, 900  # some 9 MB
    write(tmp_path, written(0, event="needle"), *(written(n, pad=pad) for n in range(1, count)))
    asked, page = 0, newest_lines(tmp_path, LogQuery(event="needle"), limit=5)
    while page.more:
        assert page.items == []
        asked, page = asked + 1, newest_lines(tmp_path, LogQuery(event="needle"), limit=5, before=place(page.before))
    assert [line.event for line in page.items] == ["needle"]
    assert asked == (count * (len(pad) + 90)) // MOST_BYTES
    text = log_text(tmp_path, LogQuery(event="needle"))
    assert text == f"{as_text(page.items[0])}\n"
