"""Every hostile thing, in one list."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from shared.similarity.graph import hnswlib_is_here
from tests.registry.hostile.archives import archive_items
from tests.registry.hostile.folders import folder_items, manifest_items
from tests.registry.hostile.items import Item
from tests.registry.hostile.pickles import pickle_items
from tests.registry.hostile.tables import (
    array_items,
    engine_items,
    graph_items,
    json_items,
    parquet_items,
    strange_items,
    vector_items,
)

_SAMPLE = 16  # one of so many ideas


def corpus(canary: Path) -> list[Item]:
    """Return all items, in an order that is always the same; what runs in one of them makes the file `canary`."""
    return [item for item in _all(canary) if hnswlib_is_here() or not item.graph]


def one_of_each(canary: Path) -> list[Item]:
    """Return the first item of each idea of each kind."""
    return list({(item.kind, item.idea, item.graph): item for item in reversed(corpus(canary))}.values())[::-1]


def chosen(which: str, canary: Path) -> list[Item]:
    """Return `all` items, a `few` (one of each idea), or a `sample` of these for the suite of tests."""
    if which == "all":
        return corpus(canary)
    return one_of_each(canary)[:: _SAMPLE if which == "sample" else 1]


def _all(canary: Path) -> Iterator[Item]:
    tables = (
        vector_items(),
        array_items(),
        json_items(),
        parquet_items(),
        engine_items(),
        graph_items(),
        strange_items(),
    )
    return chain(pickle_items(canary), *tables, archive_items(), folder_items(), manifest_items())
