"""What one hostile thing is, and how it is put before the product."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Item:
    """One hostile thing; several items of one idea differ only in where or how they are written.

    `make` says what is done, by `way`:
        `file`: gets a package's folder, returns files to put into it; it is then described and signed anew.
        `manifest`: gets the manifest's document, returns another document, which is signed, or bytes as they are.
        `folder`: gets a signed package's folder and damages it.
        `archive`: gets a signed package's folder and returns a zip archive.
    """

    kind: str
    idea: str
    way: Literal["file", "manifest", "folder", "archive"]
    make: Callable[[Any], Any]
    graph: bool = False  # of a package whose index is hnswlib's graph


def file_item(kind: str, idea: str, name: str, data: bytes | Callable[[], bytes], *, graph: bool = False) -> Item:
    """Return the item of one file's bytes, which may be made only when they are needed."""
    return Item(
        kind=kind, idea=idea, way="file", graph=graph, make=lambda _: {name: data() if callable(data) else data}
    )


def changed_file(kind: str, idea: str, name: str, change: Callable[[bytes], bytes], *, graph: bool = False) -> Item:
    """Return the item of a file that is changed."""

    def make(folder: Path) -> dict[str, bytes]:
        return {name: change((folder / name).read_bytes())}

    return Item(kind=kind, idea=idea, way="file", make=make, graph=graph)
