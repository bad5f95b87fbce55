"""Gives a loader the files of a checked package: the one way to their content, and none of it runs anything.

Parquet and JSON hold no code. Of joblib files only plain data and arrays are read (`shared.registry.joblib_data`). No
module of the product imports pickle or calls `joblib.load`; a test holds them to it.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shared.errors import PackageRejected
from shared.registry.hashing import FileIdentity, hash_file, identity_of
from shared.registry.joblib_data import MAX_INFLATED_BYTES, Unsafe, decode_joblib
from shared.registry.manifest import Artifact, Manifest

if TYPE_CHECKING:
    import polars as pl

MAX_JSON_BYTES = 16 * 1024**2  # twenty times the largest own file, of 321,000 items
MAX_JOBLIB_BYTES = MAX_INFLATED_BYTES
MAX_TABLE_BYTES = 8 * 1024**3


def strict_json(data: bytes) -> Any:
    """Return the values of JSON that has one meaning only: no member twice, no NaN, no number beyond a float.

    Raises:
        ValueError, RecursionError: it is anything else.
    """
    return json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_number, parse_float=_finite)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is larger than any number here")
    return number


@dataclass(frozen=True)
class PackageReader:
    """Gives the loader the files of a checked package, and only those that the manifest names.

    Every file is hashed again as it is read, so what is decoded is what was checked, whatever happened in between.
    """

    folder: Path
    artifacts: Mapping[str, Artifact]
    hashed: Mapping[str, FileIdentity] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _read_whole: set[str] = field(default_factory=set)  # of the tables

    @classmethod
    def of(cls, folder: Path, manifest: Manifest, hashed: Mapping[str, FileIdentity] | None = None) -> "PackageReader":
        """Return a reader of the package in `folder`; `hashed` tells which files were, as they lie there."""
        return cls(folder, {artifact.path: artifact for artifact in manifest.artifacts}, hashed or {})

    def json(self, name: str) -> Any:
        """Return the values of a JSON file: UTF-8, at most 16 MiB, each member once, numbers finite."""
        try:
            return strict_json(self._bytes(name, MAX_JSON_BYTES))
        except (ValueError, RecursionError) as fault:
            self._refuse(name, f"it is not JSON ({fault})", fault)

    def arrays(self, name: str) -> Any:
        """Return the plain data and read-only numpy arrays of a joblib file."""
        try:
            return decode_joblib(self._bytes(name, MAX_JOBLIB_BYTES))
        except Unsafe as fault:
            self._refuse(name, str(fault), fault)

    def table(self, name: str) -> "pl.DataFrame":
        """Return a Parquet file as a frame; polars tells of a damaged one in several ways, a panic among them."""
        import polars as pl

        try:
            frame = pl.read_parquet(BytesIO(self._bytes(name, MAX_TABLE_BYTES)))
            self._read_whole.add(name)
            return frame
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as fault:
            self._refuse(name, f"it is not a Parquet table ({fault})", fault)

    def schema(self, name: str) -> "pl.Schema":
        """Return a Parquet file's columns and their kinds, as its last bytes tell them."""
        import polars as pl

        try:
            return pl.scan_parquet(BytesIO(self._bytes(name, MAX_TABLE_BYTES))).collect_schema()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as fault:
            self._refuse(name, f"it is not a Parquet table ({fault})", fault)

    def content(self, name: str) -> bytes:
        """Return the bytes of a file that is looked at later, a part at a time."""
        return self._bytes(name, MAX_TABLE_BYTES)

    def path(self, name: str) -> Path:
        """Return where a file lies, for what maps or reads it; hashed now unless it was and is that file still."""
        artifact, path = self._artifact(name), self.folder / name
        identity = identity_of(path)
        if identity is None:
            self._refuse(name, "it is not a file any more")
        if identity != self.hashed.get(name) and (
            identity.bytes != artifact.bytes or hash_file(path) != artifact.sha256
        ):
            self._refuse(name, "it changed after it was checked")
        self._read.add(name)
        return path

    def has(self, name: str) -> bool:
        """Tell whether the package holds this optional file."""
        return name in self.artifacts

    def read_the_rest(self, known: Collection[str]) -> None:
        """Decode what the loader had no need of, so that a file nobody reads yet is as harmless as the others.

        Of a table that is for people its schema is enough. A file that is none of the `known` ones is refused.
        """
        for name in sorted(self.artifacts.keys() - set(known)):
            self._refuse(name, "it is not one of the files that this product puts into a package")
        readers = {".json": self.json, ".joblib": self.arrays, ".parquet": self.schema}
        for name in sorted(self.artifacts.keys() - self._read):
            if (read := readers.get(Path(name).suffix)) is not None:
                read(name)

    def read_whole_tables(self) -> None:
        """Decode every row of each table that was not read so yet: it is looked at later, where there is no way back.

        The largest first; another thread may read the package meanwhile.
        """
        tables = [artifact for name, artifact in self.artifacts.items() if name.endswith(".parquet")]
        for artifact in sorted(tables, key=lambda artifact: artifact.bytes, reverse=True):
            if artifact.path not in self._read_whole:
                self.table(artifact.path)

    def _artifact(self, name: str) -> Artifact:
        if (artifact := self.artifacts.get(name)) is None:
            self._refuse(name, "the manifest does not name it")
        return artifact

    def _bytes(self, name: str, limit: int) -> bytes:
        artifact = self._artifact(name)
        if artifact.bytes > limit:
            self._refuse(name, f"it has {artifact.bytes} bytes and {limit} are the most for its kind")
        with (self.folder / name).open("rb") as file:
            data = file.read(artifact.bytes + 1)
        if len(data) != artifact.bytes or hashlib.sha256(data).hexdigest() != artifact.sha256:
            self._refuse(name, "it changed after it was checked")
        self._read.add(name)
        return data

    def _refuse(self, name: str, why: str, cause: Exception | None = None) -> NoReturn:
        raise PackageRejected(
            f"{name:.200} of the package is refused: {why:.500}.",
            remedy="Make the package again with this product; nothing in it was run.",
            check="load",
            file=name,
        ) from cause
