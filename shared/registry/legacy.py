"""Version folders without a manifest, as an older product or a damaged copy leaves them: known, and trusted by nobody.

Such a folder gets a row, `pending`, that says what to do. It can serve only after a person had it signed here: all its
files must be ones that a package holds, of plain data, and put together a model that answers. What an older product
wrote does not, and is told to be trained again from its data.
"""

import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import structlog

from shared.clock import Clock, utc_now
from shared.database.models import NO_MANIFEST, ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, PackageRejected
from shared.platform import remove_tree, write_atomically
from shared.registry.build import GOLDEN_QUESTIONS, GOLDEN_SEED
from shared.registry.hashing import hash_file
from shared.registry.installation import version_row
from shared.registry.manifest import MANIFEST_NAME, SCHEMA_VERSION, Manifest, format_time
from shared.registry.safe_loading import PackageReader
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import GOLDEN_NAME, CheckedPackage, VerifiedPackage, current_runtime, verify_folder

log = structlog.get_logger()

MODEL_KIND = "legacy"
_QUIET_SECONDS = 600.0  # a copy that is under way gets its manifest last


def is_legacy_folder(folder: Path) -> bool:
    """Tell whether a folder holds a model's files, no manifest, and nobody has written to it for ten minutes."""
    from shared.prediction.package import ROLES

    if (folder / MANIFEST_NAME).exists():
        return False
    known = [path for path in folder.iterdir() if path.name in ROLES and path.is_file()]
    return bool(known) and time.time() - max(path.lstat().st_mtime for path in known) > _QUIET_SECONDS


def legacy_row(version: str, now: datetime) -> ModelVersion:
    """Return the row of such a folder."""
    return ModelVersion(
        version=version,
        state=VersionState.PENDING,
        manifest_sha256=NO_MANIFEST,
        model_kind=MODEL_KIND,
        schema_version="none",
        notes=f"Its folder has no manifest, so nobody vouches for it. `manage.py models sign {version}` checks its "
        "files and vouches for them; a folder of an older product has to be trained again.",
        registered_at=now,
    )


class LegacyPackages:
    """Lets a person vouch for a folder without a manifest."""

    def __init__(self, keys: Keys, store: ModelStore, versions: ModelVersions, *, clock: Clock = utc_now) -> None:
        """Work on one instance's keys, installed folders and rows."""
        self._keys = keys
        self._store = store
        self._versions = versions
        self._clock = clock

    def sign(self, version: str, *, actor: str, reason: str) -> ModelVersion:
        """Check every file, write a manifest signed here, and return the row, which may then be activated.

        Raises:
            NotFound: no such version, or its folder is gone.
            Conflict: it has a manifest.
            PackageRejected: a file is not one of a package or holds more than plain data, or they make no model.
        """
        row, folder = self._versions.get(version), self._store.require(version)
        if row.manifest_sha256 != NO_MANIFEST or (folder / MANIFEST_NAME).exists():
            raise Conflict(f"{version} has a manifest; what it is worth, `models verify` tells.", state=row.state)
        package = self._signed_copy(folder, version)
        for name in (GOLDEN_NAME, MANIFEST_NAME):  # the manifest last: a folder with one is whole
            write_atomically(folder / name, (package.folder / name).read_bytes())
        remove_tree(package.folder.parent)
        return self.vouch(package, actor=actor, reason=reason)

    def vouch(self, package: CheckedPackage, *, actor: str, reason: str) -> ModelVersion:
        """Give the row of a folder that has its manifest now what that says."""
        told = version_row(package, now=self._clock())
        keep = {"version", "state", "row_version", "registered_at", "activated_at", "pinned"}
        return self._versions.vouch(told.version, told.model_dump(exclude=keep), actor=actor, reason=reason)

    def _signed_copy(self, folder: Path, version: str) -> VerifiedPackage:
        staging = self._store.make_incoming()
        try:
            copy = Path(shutil.copytree(folder, staging / version, symlinks=True))
            metadata = self._complete(copy, version)
            manifest = self._keys.sign(_describe(copy, version, metadata, self._clock()))
            write_atomically(copy / MANIFEST_NAME, manifest.to_bytes())
            return verify_folder(copy, self._keys)
        except BaseException:
            remove_tree(staging)
            raise

    def _complete(self, copy: Path, version: str) -> dict[str, Any]:
        """Put the model together from its files, add golden answers where there are none, and return its metadata."""
        from shared.prediction.golden import write_golden
        from shared.prediction.package import ROLES, load_model

        strange = sorted(path.name for path in copy.iterdir() if path.name not in {*ROLES, GOLDEN_NAME})
        if strange:
            _refuse(version, f"{strange[0]!r:.100} in it is not a file of a package")
        reader = PackageReader.of(copy, _describe(copy, version, {}, self._clock()))
        try:
            model = load_model(reader)
            reader.read_the_rest({*ROLES, GOLDEN_NAME})
            reader.read_whole_tables()
        except PackageRejected as fault:
            _refuse(version, fault.detail, fault)
        except (KeyError, ValueError, TypeError, OSError, AttributeError) as fault:
            _refuse(version, f"its files do not make a model ({type(fault).__name__}: {fault})", fault)
        if not (copy / GOLDEN_NAME).exists():
            write_golden(model, copy, count=GOLDEN_QUESTIONS, seed=GOLDEN_SEED)
        return {
            "model_kind": model.model_kind, "profile": model.profile, "fingerprint": model.fingerprint,
            "data_as_of": model.data_as_of, "metrics": reader.json("metrics.json"),
        }  # fmt: skip


def _describe(folder: Path, version: str, metadata: dict[str, Any], now: datetime) -> Manifest:
    from shared.prediction.package import ROLES

    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    document = {
        "schema_version": SCHEMA_VERSION,
        "version": version,
        "created_at": format_time(now),
        "model_kind": metadata.get("model_kind", MODEL_KIND),
        "artifacts": [
            {
                "path": path.name, "role": ROLES.get(path.name, "golden"), "sha256": hash_file(path),
                "bytes": path.stat().st_size,
            }
            for path in files
        ],
        "runtime": current_runtime().model_dump(),
        "training": {
            "profile": metadata.get("profile", ""),
            "fingerprint": metadata.get("fingerprint", ""),
            "data_as_of": format_time(metadata.get("data_as_of", now)),
            "rows": {},
            "job_id": None,
            "parent": None,
        },
        "metrics": metadata.get("metrics", {}),
    }  # fmt: skip
    return Manifest.model_validate(document)


def _refuse(version: str, why: str, cause: Exception | None = None) -> NoReturn:
    raise PackageRejected(
        f"{version} cannot be signed: {why:.500}.",
        remedy="Train again: `manage.py data extract`, then `manage.py train`. Nothing in the folder was run.",
        check="load",
    ) from cause
