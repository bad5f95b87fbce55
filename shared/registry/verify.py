"""Decides whether a package may be used: every check in its order, nothing decoded before the one in front passed.

manifest -> signature -> files -> runtime -> load -> golden. A failure is a PackageRejected whose `check` names the
step; what stands after it was not looked at.
"""

import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from shared.cores import run_in_background
from shared.errors import PackageRejected
from shared.registry.hashing import FileIdentity, hash_file, identity_of
from shared.registry.manifest import (
    MANIFEST_NAME,
    Artifact,
    Manifest,
    Runtime,
    parse_manifest,
    read_manifest_file,
    sha256_hex,
)
from shared.registry.signing import Keys, TrustedKey

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

log = structlog.get_logger()

CHECKS = ("manifest", "signature", "files", "runtime", "load", "golden")
GOLDEN_NAME = "golden.json"

_LIBRARIES = {"numpy": "numpy", "scikit_learn": "scikit-learn", "joblib": "joblib", "hnswlib": "hnswlib"}
_SAME_MAJOR = ("python", "numpy", "joblib")  # what the files' own formats depend on


@dataclass(frozen=True, kw_only=True)
class CheckedPackage:
    """A package whose bytes are what a trusted key signed; nothing of it has been decoded."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    signed_by: TrustedKey | None
    warnings: tuple[str, ...] = field(default=())
    hashed: Mapping[str, FileIdentity] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class VerifiedPackage(CheckedPackage):
    """A checked package, loaded, that answers its golden questions as it did when it was made."""

    model: "RoutingModel"


Load = Callable[[CheckedPackage], object]  # loads a checked package and asks its golden questions, here or elsewhere
Loading = Callable[[], AbstractContextManager[Load]]  # makes ready for that, and clears up when its block ends


def current_runtime() -> Runtime:
    """Return the versions of this process, without importing the libraries."""
    versions = {name: _version_of(distribution) for name, distribution in _LIBRARIES.items()}
    return Runtime.model_validate({"python": python_version(), **versions})


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_package(
    folder: Path,
    keys: Keys,
    *,
    allow_unsigned: bool = False,
    version: str | None = None,
    hashes: Mapping[str, str] | None = None,
) -> CheckedPackage:
    """Run every check that decodes nothing: manifest, signature, files, runtime.

    `version` is the name that the manifest must bear; the folder's own unless given. `hashes` are the SHA-256 that were
    computed while this process wrote the files; those files are not read again for it. Raises PackageRejected.
    """
    data = read_manifest_file(folder)
    manifest = parse_manifest(data)
    expected = version or folder.name
    if manifest.version != expected:
        _refuse("manifest", f"The manifest is of {manifest.version} and lies in the place of {expected:.100}.")
    signed_by = check_signature(manifest, keys, allow_unsigned=allow_unsigned)
    hashed = check_files(folder, manifest, hashes)
    return CheckedPackage(
        folder=folder,
        manifest=manifest,
        manifest_sha256=sha256_hex(data),
        signed_by=signed_by,
        warnings=tuple(check_runtime(manifest.runtime, current_runtime())),
        hashed=hashed,
    )


def verify_folder(
    folder: Path,
    keys: Keys,
    *,
    allow_unsigned: bool = False,
    version: str | None = None,
    hashes: Mapping[str, str] | None = None,
) -> VerifiedPackage:
    """Return the package of `folder` with its model, after every check; PackageRejected names the one it fails."""
    checked = check_package(folder, keys, allow_unsigned=allow_unsigned, version=version, hashes=hashes)
    model = load_checked(checked)
    return VerifiedPackage(
        folder=checked.folder,
        manifest=checked.manifest,
        manifest_sha256=checked.manifest_sha256,
        signed_by=checked.signed_by,
        warnings=checked.warnings,
        model=model,
    )


def check_signature(manifest: Manifest, keys: Keys, *, allow_unsigned: bool) -> TrustedKey | None:
    """Return the trusted key that signed, or None for a package without signature where that is allowed."""
    if manifest.signature is None and allow_unsigned:
        return None
    return keys.verify(manifest)


def check_files(folder: Path, manifest: Manifest, hashes: Mapping[str, str] | None = None) -> dict[str, FileIdentity]:
    """Refuse a folder that holds anything but the manifest's files, each with its size and SHA-256.

    A file whose SHA-256 is among `hashes` is not read. Returns what tells that each file is still the one that was
    hashed.
    """
    try:
        check_listing(folder, manifest)
        hashed: dict[str, FileIdentity] = {}
        run_in_background(lambda: hashed.update(_check_each(folder, manifest, hashes or {})))
        return hashed
    except FileNotFoundError as fault:  # the version is being removed
        _refuse("files", f"{folder.name} lost a file while it was being checked.", fault)


def check_listing(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder whose files differ from the manifest's by name, kind or size; nothing is opened."""
    if folder.is_symlink():
        _refuse("files", f"{folder.name} is a link, not a folder.")
    expected = {artifact.path: artifact for artifact in manifest.artifacts}
    folders = {path[:at] for path in expected for at, sign in enumerate(path) if sign == "/"}
    found = set(_files_of(folder, folder, folders))
    for path in sorted(found - expected.keys() - {MANIFEST_NAME}):
        _refuse("files", f"The file {path!r:.200} is in the package and not in its manifest.", file=path)
    for path, artifact in expected.items():
        if path not in found:
            _refuse("files", f"The file {path!r:.200} is missing.", file=path)
        if (size := (folder / path).lstat().st_size) != artifact.bytes:
            _refuse("files", f"{path} has {size} bytes, the manifest says {artifact.bytes}.", file=path)


def _check_each(folder: Path, manifest: Manifest, hashes: Mapping[str, str]) -> dict[str, FileIdentity]:
    return {
        artifact.path: _check_file(folder / artifact.path, artifact, hashes.get(artifact.path))
        for artifact in manifest.artifacts
    }


def _files_of(folder: Path, top: Path, folders: Collection[str]) -> Iterator[str]:
    for entry in sorted(folder.iterdir()):
        path = entry.relative_to(top).as_posix()
        status = entry.lstat()
        is_reparse_point = getattr(status, "st_reparse_tag", 0) != 0  # a junction on Windows
        if stat.S_ISDIR(status.st_mode) and not is_reparse_point:
            if path not in folders:
                _refuse("files", f"The folder {path!r:.200} is in the package and not in its manifest.", file=path)
            yield from _files_of(entry, top, folders)
        elif stat.S_ISREG(status.st_mode) and not is_reparse_point:
            yield path
        else:
            _refuse("files", f"{path!r:.200} is a link or a device, not a file.", file=path)


def _check_file(path: Path, artifact: Artifact, known_sha256: str | None) -> FileIdentity:
    identity = identity_of(path)
    if identity is None or (known_sha256 or hash_file(path)) != artifact.sha256:
        _refuse("files", f"{artifact.path} is not the file that was signed (its SHA-256 differs).", file=artifact.path)
    return identity


def check_runtime(made_with: Runtime, here: Runtime) -> list[str]:
    """Return what differs harmlessly between two runtimes; refuse what makes the files unreadable.

    The files hold plain data, so only another major version of Python, numpy or joblib can change their format.
    """
    warnings = []
    for name in Runtime.model_fields:
        then, now = getattr(made_with, name), getattr(here, name)
        if then == now:
            continue
        if name in _SAME_MAJOR and _major(then) != _major(now):
            _refuse("runtime", f"The package was made with {name} {then} and {name} {now} runs here.")
        if name == "hnswlib" and now is None:
            warnings.append(f"made with hnswlib {then}, which is not installed here: exact search serves")
        elif _minor(then) != _minor(now):
            warnings.append(f"made with {name} {then or 'absent'}, {now or 'absent'} runs here")
    return warnings


def _major(version: str | None) -> str:
    return (version or "").split(".")[0]


def _minor(version: str | None) -> list[str]:
    return (version or "").split(".")[:2]


@contextmanager
def loading_here() -> Iterator[Load]:
    """Yield `load_checked`: the package is loaded in this process, which it may end."""
    yield load_checked


def load_checked(package: CheckedPackage, *, whole_tables: bool = False) -> "RoutingModel":
    """Return the model of a package that passed `check_package`, its golden questions answered as when it was made.

    `whole_tables` decodes every row of the tables that are for people, too. A damaged Parquet table can end the process
    (polars aborts where it cannot have the memory that the table announces), so a package that comes in is loaded in a
    process of its own first: `shared.registry.apart`.
    """
    from shared.prediction.golden import replay_golden
    from shared.prediction.package import ROLES, load_model
    from shared.registry.safe_loading import PackageReader

    reader = PackageReader.of(package.folder, package.manifest, package.hashed)
    try:
        with ExitStack() as beside:
            if whole_tables:  # polars lets go of the interpreter's lock
                tables = beside.enter_context(ThreadPoolExecutor(1)).submit(reader.read_whole_tables)
            model = load_model(reader)
            golden = reader.json(GOLDEN_NAME)
            reader.read_the_rest({*ROLES, GOLDEN_NAME})
            if whole_tables:
                tables.result()
        _check_rows(package.manifest, model)
    except (PackageRejected, MemoryError):
        raise
    except Exception as fault:
        log.warning("package.not_loadable", model_version=package.manifest.version, exc_info=True)
        _refuse("load", f"The model cannot be put together from its files: {type(fault).__name__}: {fault}.", fault)
    differences = _replay(model, golden, replay_golden)
    if differences:
        shown = "; ".join(differences[:3])
        _refuse("golden", f"{len(differences)} golden answers differ from those it was made with: {shown:.600}.")
    return model


def _check_rows(manifest: Manifest, model: "RoutingModel") -> None:
    """Refuse a table of routings, which only people look at, that has more or fewer rows than it was signed with."""
    signed = manifest.training.rows.get("routings")
    if signed is not None and signed != model.history.rows:
        _refuse("load", f"The routings' table has {model.history.rows} rows, the manifest says {signed}.")


def _replay(model: "RoutingModel", golden: Any, replay: Any) -> list[str]:
    try:
        return list(replay(model, golden))
    except MemoryError:
        raise
    except Exception as fault:
        log.warning("package.not_answering", exc_info=True)
        _refuse("golden", f"The golden questions cannot be asked: {type(fault).__name__}: {fault}.", fault)


def _refuse(check: str, detail: str, cause: Exception | None = None, **facts: Any) -> NoReturn:
    remedy = {
        "manifest": "Keep the package's files and its folder's name as they were made.",
        "files": "Copy the package again, unchanged, with its manifest last.",
        "runtime": "Install the product's pinned requirements, or train the model again here.",
        "load": "Make the package again with this product.",
        "golden": "Train the model again here; its answers on this machine are not those it was released with.",
    }[check]
    raise PackageRejected(detail, remedy=remedy, check=check, **facts) from cause
