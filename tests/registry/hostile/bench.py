"""The packages that hostile things are put into, and how each is put before the product."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import PackageRejected
from shared.registry.apart import load_here
from shared.registry.hashing import hash_file
from shared.registry.manifest import MANIFEST_NAME, canonical_bytes
from shared.registry.signing import Keys
from shared.registry.verify import CheckedPackage, check_package
from shared.similarity.graph import hnswlib_is_here
from tests.registry.hostile.archives import take_in
from tests.registry.hostile.items import Item


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Two good packages of one trusted key: `exact/pilot` and `graph/pilot` below `packages`, and a place to work."""

    packages: Path
    keys_folder: Path
    scratch: Path

    @property
    def keys(self) -> Keys:
        """Return the keys that are trusted."""
        return Keys(self.keys_folder)

    def prepared(self, item: Item) -> CheckedPackage:
        """Put a hostile thing before every check that decodes nothing.

        Raises:
            PackageRejected: as it should be for most.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        folder = self.scratch / "pilot"
        shutil.copytree(self.packages / ("graph" if item.graph else "exact") / "pilot", folder, copy_function=_link)
        if item.way == "file":
            for name, data in item.make(folder).items():
                _write(folder / name, data)
            self._sign(folder, self._described(folder))
        elif item.way == "manifest":
            self._sign(folder, item.make(json.loads((folder / MANIFEST_NAME).read_bytes())))
        elif item.way == "folder":
            _own(folder)
            item.make(folder)
        else:
            data = item.make(folder)
            shutil.rmtree(folder)
            take_in(data, self.scratch)
            raise AssertionError("the archive was unpacked")  # its manifest is not, as a registration writes it last
        return check_package(folder, self.keys)

    def tried(self, item: Item) -> dict[str, Any]:
        """Return how a hostile thing was refused: `check` and `reason`; `check` is empty when it was not."""
        try:
            package = self.prepared(item)
        except PackageRejected as fault:
            return {"check": fault.facts.get("check", ""), "reason": fault.detail}
        except AssertionError as fault:
            return {"check": "", "reason": str(fault)}
        told = load_here(package.folder, package.manifest_sha256)
        facts: Any = told.get("facts", {})
        return {"check": facts.get("check", ""), "reason": told.get("detail", "")}

    def _described(self, folder: Path) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_bytes())
        roles = {artifact["path"]: artifact["role"] for artifact in document["artifacts"]}
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
        names = [(path.relative_to(folder).as_posix(), path) for path in paths]
        document["artifacts"] = [
            {"path": name, "role": roles.get(name, "report"), "sha256": hash_file(path), "bytes": path.stat().st_size}
            for name, path in names
        ]
        return document

    def _sign(self, folder: Path, document: dict[str, Any]) -> None:
        """Sign whatever a document says: the model of a manifest would refuse to make many of them."""
        key = self.keys.signing_key()
        assert key is not None
        pem = (self.keys_folder / "signing" / f"{key.key_id}.pem").read_bytes()
        private = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(private, Ed25519PrivateKey)
        document.pop("signature", None)
        value = private.sign(canonical_bytes(document)).hex()
        signature = {"algorithm": "ed25519", "key_id": key.key_id, "value": value}
        _write(folder / MANIFEST_NAME, canonical_bytes(document | {"signature": signature}))


def _link(source: str, target: str) -> None:
    os.link(source, target)


def _write(path: Path, data: bytes) -> None:
    """Write a file in the place of another, which other packages may share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _own(folder: Path) -> None:
    for path in list(folder.iterdir()):
        data = path.read_bytes()
        _write(path, data)


def make_packages(top: Path, exact: Path, keys: Keys) -> None:
    """Lay out `exact/pilot`, a copy of a small package, and `graph/pilot`, the same with hnswlib's graph."""
    from shared.prediction.package import _dump, load_model
    from shared.registry.manifest import parse_manifest
    from shared.registry.safe_loading import PackageReader
    from shared.similarity.index import NeighbourIndex

    shutil.copytree(exact, top / "exact" / "pilot")
    if not hnswlib_is_here():
        return
    shutil.copytree(exact, top / "graph" / "pilot")
    folder = top / "graph" / "pilot"
    reader = PackageReader.of(folder, parse_manifest((folder / MANIFEST_NAME).read_bytes()))
    index = load_model(reader).knowledge.index
    vectors = index.vectors.take(index.entry_of, axis=0)
    graph = NeighbourIndex.build(index.item_codes, vectors, seed=1, backend="hnsw")
    for name in ("item_vectors.npy", "similarity_index.bin"):
        (folder / name).unlink()
    graph.save(folder)
    _dump(graph.state(), folder / "similarity_engine.joblib")
    bench = Bench(packages=top, keys_folder=keys._signing.parent, scratch=top)
    bench._sign(folder, bench._described(folder))
