"""XML: the members of the JSON form as elements; well-formed whatever the texts hold."""

from collections.abc import Iterable, Mapping
from typing import IO, Any
from xml.sax.saxutils import escape

from shared.prediction.answers import as_plain
from shared.prediction.exports.entries import Entry, Head
from shared.prediction.exports.text import lawful

_ONE_OF = {"candidates": "candidate", "operations": "operation", "evidence": "item", "because": "attribute"}
_ESCAPED = {"\r": "&#13;"}  # which a reader would else take for a line's end


class XmlWriter:
    """Writes `<export>`: the head's members, then one `<prediction>` each."""

    def __init__(self, stream: IO[bytes], head: Head) -> None:
        self._stream = stream
        self._put(['<?xml version="1.0" encoding="UTF-8"?>\n<export>', *_members(as_plain(head), []), "<predictions>"])

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries."""
        for entry in entries:
            self._put(_element("prediction", as_plain(entry), ["\n"]))

    def finish(self) -> None:
        """Close what is open."""
        self._put(["\n</predictions></export>\n"])

    def _put(self, pieces: list[str]) -> None:
        self._stream.write("".join(pieces).encode())


def _members(values: Mapping[str, Any], pieces: list[str]) -> list[str]:
    for name, value in values.items():
        if value is not None:
            _element(name, value, pieces)
    return pieces


def _element(name: str, value: Any, pieces: list[str]) -> list[str]:
    pieces.append(f"<{name}>")
    match value:
        case dict():
            _members(value, pieces)
        case list():
            for each in value:
                _element(_ONE_OF[name], each, pieces)
        case bool():
            pieces.append("true" if value else "false")
        case str():
            pieces.append(escape(lawful(value), _ESCAPED))
        case _:
            pieces.append(repr(value))
    pieces.append(f"</{name}>")
    return pieces
