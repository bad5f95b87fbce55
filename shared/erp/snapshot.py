"""A snapshot: the three canonical tables of one moment, as files that never change, with their fingerprint."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, Attribute, AttributeKind, item_schema
from shared.errors import SourceError

TABLES = ("items", "routings", "work_results")
DOCUMENT = "snapshot.json"
SCHEMA_VERSION = "routing-ml/snapshot@1"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What training, evaluation and reading work on; opened by `open_snapshot`."""

    folder: Path
    id: str
    profile_name: str
    profile_document: dict[str, Any]
    attributes: tuple[Attribute, ...]
    fingerprint: str  # sha256 of the canonical content, whatever the order of the source's rows
    data_as_of: datetime  # when the source was read; aware, UTC
    rows: dict[str, int]  # table to rows
    issues: dict[str, dict[str, int]]  # table to reason to count
    issue_samples: dict[str, dict[str, list[str]]]  # table to reason to at most five samples
    excluded_items: tuple[str, ...]  # their routings and work results were left out

    def items(self) -> pl.DataFrame:
        """Return the items, sorted by `item_code`."""
        return self._table("items")

    def routings(self) -> pl.DataFrame:
        """Return the planned steps, sorted by item, routing and sequence."""
        return self._table("routings")

    def work_results(self) -> pl.DataFrame:
        """Return the reported work, sorted by every column in turn."""
        return self._table("work_results")

    def query(self, table: str, of: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """Return what `of` makes of a table's rows, in order; no more columns and rows are held than it needs."""
        try:
            return of(pl.scan_parquet(self.folder / f"{table}.parquet")).collect(engine="streaming")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(self.folder, f"{table}.parquet cannot be read: {error}") from error

    def _table(self, name: str) -> pl.DataFrame:
        try:
            return pl.read_parquet(self.folder / f"{name}.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(self.folder, f"{name}.parquet cannot be read: {error}") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, what: str) -> SourceError:
    return SourceError(
        f"The snapshot {folder.name} is damaged: {what}.",
        remedy="Take a new snapshot; a damaged one is never read.",
        snapshot=folder.name,
    )


def open_snapshot(folder: Path) -> Snapshot:
    """Open a snapshot and check that every file is whole.

    Raises:
        SourceError: a file is missing, torn or changed since it was written.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{DOCUMENT} cannot be read: {error}") from error
    try:
        if document["schema_version"] != SCHEMA_VERSION:
            raise _damaged(folder, f"its form is {document['schema_version']!r}, not {SCHEMA_VERSION!r}")
        for name in TABLES:
            _check_file(folder, f"{name}.parquet", document["files"][f"{name}.parquet"])
        snapshot = _from_document(folder, document)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"{DOCUMENT} lacks or misstates {error}") from error
    _check_schemas(snapshot)
    return snapshot


def _check_file(folder: Path, name: str, stated: dict[str, Any]) -> None:
    path = folder / name
    if not path.is_file():
        raise _damaged(folder, f"{name} is missing")
    if path.stat().st_size != stated["bytes"] or file_digest(path) != stated["sha256"]:
        raise _damaged(folder, f"{name} is not what was written")


def _check_schemas(snapshot: Snapshot) -> None:
    expected = {
        "items": item_schema(snapshot.attributes),
        "routings": ROUTING_SCHEMA,
        "work_results": WORK_RESULT_SCHEMA,
    }
    for name, schema in expected.items():
        found = pl.read_parquet_schema(snapshot.folder / f"{name}.parquet")
        wrong = [column for column, dtype in schema.items() if found.get(column) != dtype]
        if wrong:
            raise _damaged(snapshot.folder, f"{name} lacks {', '.join(wrong)} in the expected type")


def _from_document(folder: Path, document: dict[str, Any]) -> Snapshot:
    attributes = tuple(
        Attribute(**{**attribute, "kind": AttributeKind(attribute["kind"])}) for attribute in document["attributes"]
    )
    return Snapshot(
        folder=folder,
        id=document["id"],
        profile_name=document["profile"]["name"],
        profile_document=document["profile"],
        attributes=attributes,
        fingerprint=document["fingerprint"],
        data_as_of=datetime.fromisoformat(document["data_as_of"]),
        rows={name: int(document["rows"][name]) for name in TABLES},
        issues=document["issues"],
        issue_samples=document["issue_samples"],
        excluded_items=tuple(document["excluded_items"]),
    )
