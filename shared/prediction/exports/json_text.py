"""JSON: the head's members and `predictions`, one object for each item."""

from collections.abc import Iterable
from typing import IO

from shared.prediction.answers import as_json
from shared.prediction.exports.entries import Entry, Head


class JsonWriter:
    """Writes one document, a line for each item."""

    def __init__(self, stream: IO[bytes], head: Head) -> None:
        self._stream = stream
        self._separator = b"\n"
        stream.write(as_json(head)[:-1] + b',"predictions":[')

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries."""
        for entry in entries:
            self._stream.write(self._separator + as_json(entry))
            self._separator = b",\n"

    def finish(self) -> None:
        """Close the document."""
        self._stream.write(b"\n]}\n")
