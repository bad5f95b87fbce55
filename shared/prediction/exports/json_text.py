"""JSON: the head's members and `predictions`, one object for each item."""

from collections.abc import Iterable
from typing import IO

import orjson

from shared.prediction.exports.entries import Entry, Head, plain


class JsonWriter:
    """Writes one document, a line for each item."""

    def __init__(self, stream: IO[bytes], head: Head) -> None:
        self._stream = stream
        self._separator = b"\n"
        stream.write(orjson.dumps(plain(head))[:-1] + b',"predictions":[')

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries."""
        for entry in entries:
            self._stream.write(self._separator + orjson.dumps(plain(entry)))
            self._separator = b",\n"

    def finish(self) -> None:
        """Close the document."""
        self._stream.write(b"\n]}\n")
