"""The text of a CSV file: cut where rows end, told in which encoding it came, ragged lines taken out."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

_REPLACEMENT = "\ufffd"
_TRIED = ("utf-8", "cp949", "cp1252")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def row_blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a text in blocks of about `size` bytes, each ending where a row ends: at a line break outside quotes."""
    pending: list[bytes] = []
    quoted = False  # whether the end of what is pending lies inside quotes
    while block := stream.read(size):
        end = _last_row_end(block, quoted=quoted)
        if end:
            yield b"".join((*pending, memoryview(block)[:end]))
            pending, quoted = [], False
            block = block[end:]
        pending.append(block)
        quoted ^= block.count(b'"') % 2 == 1
    rest = b"".join(pending)
    if rest:
        yield rest


def _last_row_end(block: bytes, *, quoted: bool) -> int:
    """Return where the last whole row of a block ends, 0 when none does."""
    end = block.rfind(b"\n") + 1
    inside = quoted ^ (block.count(b'"', 0, end) % 2 == 1)
    while end and inside:
        earlier = block.rfind(b"\n", 0, max(block.rfind(b'"', 0, end), 0)) + 1
        inside ^= block.count(b'"', earlier, end) % 2 == 1
        end = earlier
    return end


def first_row(block: bytes) -> bytes:
    """Return the header, which may be quoted and span lines: everything up to a line break outside quotes."""
    end = 0
    while True:
        end = block.find(b"\n", end) + 1
        if end == 0:
            return block
        if block.count(b'"', 0, end) % 2 == 0:
            return block[:end]


def below_rows(block: bytes, rows: int) -> bytes:
    """Return a text without its first rows."""
    for _ in range(rows):
        block = block[len(first_row(block)) :]
    return block


def is_utf16(start: bytes) -> bool:
    """Tell whether a text begins like UTF-16."""
    return start.startswith(_UTF16)


def is_utf8(text: bytes) -> bool:
    """Tell whether a text is UTF-8."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def encoding_of(raw: bytes) -> tuple[str, list[str]]:
    """Return the encoding of what is not UTF-8 throughout, and the lines with bytes that it does not know.

    UTF-16 is told by its mark; else it is the first encoding under which most lines with other letters than ASCII are
    whole. Windows-1252 comes last, since it knows nearly every byte; any other one-byte encoding is the profile's to
    say.
    """
    if is_utf16(raw):
        return "utf-16", []
    other_letters = sum(not line.isascii() for line in raw.splitlines())
    for encoding in _TRIED:
        damaged = damaged_lines(raw, encoding)
        if len(damaged) * 2 < other_letters:
            return encoding, damaged
    return "utf-8", damaged_lines(raw, "utf-8")


def damaged_lines(raw: bytes, encoding: str) -> list[str]:
    """Return the lines that hold bytes which an encoding does not know."""
    lines = raw.decode(encoding, errors="replace").splitlines()
    return [line.strip() for line in lines if _REPLACEMENT in line]


def without_ragged_lines(text: bytes, delimiter: str) -> tuple[bytes, list[str]]:
    """Return a text, header first, without the rows that have more fields than the header; and these rows."""
    rows = csv.reader(io.StringIO(text.decode("utf-8"), newline=""), delimiter=delimiter)
    header = next(rows)
    kept = io.StringIO(newline="")
    writer = csv.writer(kept, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    ragged: list[str] = []
    for row in rows:
        if len(row) > len(header):
            ragged.append(delimiter.join(row))
        elif row:
            writer.writerow(row)
    return kept.getvalue().encode(), ragged
