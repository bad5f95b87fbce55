"""Writing the demo factory's files part by part: little memory, a hash on the way, whole or not at all."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shared.platform import write_atomically

PART_ROWS = 100_000  # rows that are text at a time; their number changes no byte


@dataclass(frozen=True)
class Written:
    """What a file holds."""

    rows: int
    bytes: int
    sha256: str


def parts_of(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Return start and end of every part of so many rows; one empty part where there are none."""
    for start in range(0, max(rows, 1), size):
        yield start, min(start + size, rows)


def write_csv(path: Path, parts: Iterable[pl.DataFrame]) -> Written:
    """Write frames one below the other as one CSV file: UTF-8, one line feed a line on every system."""
    temporary = path.with_name(f".{path.name}.tmp")
    digest, rows, size = hashlib.sha256(), 0, 0
    try:
        with temporary.open("wb") as file:
            for place, part in enumerate(parts):
                text = io.BytesIO()
                part.write_csv(text, include_header=place == 0)
                block = text.getbuffer()
                digest.update(block)
                file.write(block)
                rows, size = rows + part.height, size + len(block)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return Written(rows, size, digest.hexdigest())


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document with sorted keys."""
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    write_atomically(path, f"{text}\n".encode())
