"""Writes a model as a complete, signed package folder: whole or not at all, the manifest last."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from shared.clock import Clock, utc_now
from shared.errors import Conflict
from shared.platform import publish_folder, remove_tree, write_atomically
from shared.registry.hashing import hash_file
from shared.registry.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    Training,
    canonical_bytes,
    format_time,
    parse_manifest,
    read_manifest_file,
)
from shared.registry.signing import Keys
from shared.registry.verify import GOLDEN_NAME, check_files, current_runtime
from shared.registry.versions import check_version_name

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

log = structlog.get_logger()

GOLDEN_QUESTIONS = 64
GOLDEN_SEED = 20260131


@dataclass(frozen=True, kw_only=True)
class _Making:
    """What the model itself does not know about this package."""

    version: str
    job_id: str | None
    parent: str | None
    metrics: Mapping[str, Any]
    at: datetime


def build_package(
    model: "RoutingModel",
    folder: Path,
    *,
    version: str,
    keys: Keys,
    job_id: str | None = None,
    parent: str | None = None,
    metrics: Mapping[str, Any] | None = None,
    clock: Clock = utc_now,
) -> Manifest:
    """Write `model` as the package `version` to `folder`, which must not exist, and return its signed manifest.

    `metrics` are figures of its evaluation, kept in the manifest beside what the model says of itself.
    """
    from shared.prediction.golden import write_golden
    from shared.prediction.package import save_model

    check_version_name(version)
    making = _Making(version=version, job_id=job_id, parent=parent, metrics=metrics or {}, at=clock())
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".partial"))
    try:
        saved = save_model(model, staging, version)
        write_golden(model, staging, count=GOLDEN_QUESTIONS, seed=GOLDEN_SEED)
        manifest = keys.sign(_describe(model, staging, saved, making))
        data = manifest.to_bytes()
        parse_manifest(data)
        write_atomically(staging / MANIFEST_NAME, data)
        staging.chmod(0o755)
        publish_folder(staging, folder)
    except FileExistsError as fault:
        raise Conflict(
            f"{folder} exists already, and a package is never written over another.",
            remedy="Choose another folder or remove that one.",
            state="exists",
        ) from fault
    finally:
        remove_tree(staging)
    log.info("package.built", model_version=version, files=len(manifest.artifacts), bytes=manifest.total_bytes)
    return manifest


def sign_folder(folder: Path, keys: Keys) -> Manifest:
    """Sign a package folder's manifest with this instance's key, in place of any signature it has."""
    manifest = parse_manifest(read_manifest_file(folder))
    check_files(folder, manifest)
    signed = keys.sign(manifest)
    write_atomically(folder / MANIFEST_NAME, signed.to_bytes())
    return signed


def _describe(model: "RoutingModel", folder: Path, saved: Mapping[str, Any], made: "_Making") -> Manifest:
    document = {
        "schema_version": SCHEMA_VERSION,
        "version": made.version,
        "created_at": format_time(made.at),
        "model_kind": model.model_kind,
        "artifacts": [artifact.model_dump() for artifact in _artifacts(folder, saved["roles"])],
        "runtime": current_runtime().model_dump(),
        "training": _training(model, saved, made).model_dump(),
        "metrics": {**saved["metrics"], **made.metrics},
    }
    canonical_bytes(document)  # a figure that is not a number stops here, not at the reader
    return Manifest.model_validate(document)


def _training(model: "RoutingModel", saved: Mapping[str, Any], made: "_Making") -> Training:
    return Training(
        profile=model.profile,
        fingerprint=model.fingerprint,
        data_as_of=format_time(model.data_as_of),
        rows=saved["training_rows"],
        job_id=made.job_id,
        parent=made.parent,
    )


def _artifacts(folder: Path, roles: Mapping[str, str]) -> list[Artifact]:
    roles = {**roles, GOLDEN_NAME: "golden"}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        Artifact(
            path=path.relative_to(folder).as_posix(),
            role=roles[path.relative_to(folder).as_posix()],
            sha256=hash_file(path),
            bytes=path.stat().st_size,
        )
        for path in files
    ]
