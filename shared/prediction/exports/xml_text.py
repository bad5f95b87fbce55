"""XML: the members of the JSON form as elements; well-formed whatever the texts hold."""

from collections.abc import Iterable, Mapping
from typing import IO, Any
from xml.sax.saxutils import escape

from shared.prediction.exports.entries import Entry, Head, plain
from shared.prediction.exports.text import lawful

_ONE_OF = {"candidates": "candidate", "operations": "operation", "evidence": "item", "because": "attribute"}
_ESCAPED = {"\r": "&#13;"}  # which a reader would else take for a line's end


class XmlWriter:
    """Writes `<export>`: the head's members, then one `<prediction>` each."""

    def __init__(self, stream: IO[bytes], head: Head) -> None:
        self._stream = stream
        self._put('<?xml version="1.0" encoding="UTF-8"?>\n<export>')
        self._put("".join(_members(plain(head))))
        self._put("<predictions>")

    def add(self, entries: Iterable[Entry]) -> None:
        """Write the entries."""
        for entry in entries:
            self._put("\n" + "".join(_element("prediction", plain(entry))))

    def finish(self) -> None:
        """Close what is open."""
        self._put("\n</predictions></export>\n")

    def _put(self, text: str) -> None:
        self._stream.write(text.encode())


def _members(values: Mapping[str, Any]) -> Iterable[str]:
    for name, value in values.items():
        if value is not None:
            yield from _element(name, value)


def _element(name: str, value: Any) -> Iterable[str]:
    yield f"<{name}>"
    match value:
        case dict():
            yield from _members(value)
        case list():
            for each in value:
                yield from _element(_ONE_OF[name], each)
        case bool():
            yield "true" if value else "false"
        case str():
            yield escape(lawful(value), _ESCAPED)
        case _:
            yield repr(value)
    yield f"</{name}>"
