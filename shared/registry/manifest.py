"""The manifest of a model package: what it holds, how it was made, and the one byte sequence that says so.

A manifest is signed over its canonical JSON (sorted keys, no spaces, UTF-8, no NaN, one final newline, lower-case
hex), and the file's bytes must *be* that form: two readers can then never understand one file in two ways.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from shared.errors import PackageRejected
from shared.registry.versions import is_device_name, why_not_a_version_name

SCHEMA_VERSION = "routing-ml/manifest@2"
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_DEPTH = 24
MAX_ARTIFACTS = 256
MAX_ARTIFACT_BYTES = 8 * 1024**3
MAX_PACKAGE_BYTES = 16 * 1024**3
MAX_PATH_LENGTH = 160
MAX_FOLDERS = 3

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# Control characters, marks that turn the direction of writing, and what has no width.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def why_not_an_artifact_path(path: str) -> str | None:
    """Return what is wrong with `path` as the place of a file inside a package, or None when it is a good one."""
    if len(path) > MAX_PATH_LENGTH:
        return f"it is longer than {MAX_PATH_LENGTH} characters"
    segments = path.split("/")
    if len(segments) > MAX_FOLDERS + 1:
        return f"it lies more than {MAX_FOLDERS} folders deep"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment.endswith("."):
            return f"{segment!r} is not a plain file or folder name"
        if is_device_name(segment):
            return f"{segment!r} names a device on Windows"
        if segment.lower() == MANIFEST_NAME:
            return "a package has one manifest and does not list it"
    return None


def _good_path(path: str) -> str:
    if problem := why_not_an_artifact_path(path):
        raise ValueError(f"the path {path!r:.200} is refused: {problem}")
    return path


def _good_name(name: str) -> str:
    if problem := why_not_a_version_name(name):
        raise ValueError(f"{name!r:.100} cannot be the name of a model version: {problem}")
    return name


def _good_time(text: str) -> str:
    if format_time(parse_time(text)) != text:
        raise ValueError(f"{text!r} is not a time in the form 2026-01-31T08:15:00.000000Z")
    return text


def parse_time(text: str) -> datetime:
    """Return the aware UTC time that a manifest's text stands for."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Return the one text that stands for an aware time in a manifest."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
VersionName = Annotated[str, AfterValidator(_good_name)]
ArtifactPath = Annotated[str, AfterValidator(_good_path)]
Timestamp = Annotated[str, AfterValidator(_good_time)]
ShortText = Annotated[str, StringConstraints(max_length=200)]
Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Artifact(_Part):
    """One file of a package."""

    path: ArtifactPath = Field(description="relative to the package's folder, with '/' between folders")
    role: Role = Field(description="what the file is for; the loader finds files by name, people by role")
    sha256: Sha256
    bytes: Annotated[int, Field(ge=0, le=MAX_ARTIFACT_BYTES)]


class Runtime(_Part):
    """The versions that wrote the package; null where a library was not installed."""

    python: ShortText
    numpy: ShortText
    scikit_learn: ShortText | None
    joblib: ShortText
    hnswlib: ShortText | None


class Training(_Part):
    """Where the model's knowledge comes from."""

    profile: ShortText
    fingerprint: Annotated[str, StringConstraints(max_length=64)] = Field(description="of the fitted snapshot")
    data_as_of: Timestamp = Field(description="what the factory knew then; later orders are unseen")
    rows: dict[ShortText, int] = Field(description="rows per canonical table")
    job_id: Annotated[str, StringConstraints(max_length=64)] | None
    parent: VersionName | None = Field(description="the version that was active when this one was made")


class Signature(_Part):
    """Who vouches for the package."""

    algorithm: Literal["ed25519"]
    key_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    value: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Manifest(_Part):
    """The whole document."""

    schema_version: Literal["routing-ml/manifest@2"]
    version: VersionName = Field(description="equals the name of the package's folder")
    created_at: Timestamp
    model_kind: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    artifacts: Annotated[list[Artifact], Field(min_length=1, max_length=MAX_ARTIFACTS)]
    runtime: Runtime
    training: Training
    metrics: dict[ShortText, Any]
    signature: Signature | None = Field(None, description="left out of an unsigned package")

    @model_validator(mode="after")
    def _files_fit_together(self) -> "Manifest":
        paths = {artifact.path.lower() for artifact in self.artifacts}
        if len(paths) != len(self.artifacts):
            raise ValueError("two artifacts have the same path, compared without case")
        folders = {path.rsplit("/", depth)[0] for path in paths for depth in range(1, path.count("/") + 1)}
        if paths & folders:
            raise ValueError(f"{sorted(paths & folders)[0]!r} is both a file and a folder")
        if sum(artifact.bytes for artifact in self.artifacts) > MAX_PACKAGE_BYTES:
            raise ValueError(f"the artifacts have more than {MAX_PACKAGE_BYTES} bytes together")
        return self

    def document(self) -> dict[str, Any]:
        """Return the manifest as JSON values, without a member for a missing signature."""
        document = self.model_dump()
        if self.signature is None:
            del document["signature"]
        return document

    def to_bytes(self) -> bytes:
        """Return the manifest file's bytes."""
        return canonical_bytes(self.document())

    def signed_bytes(self) -> bytes:
        """Return what a signature covers: the canonical form of everything but the signature."""
        document = self.document()
        document.pop("signature", None)
        return canonical_bytes(document)

    @property
    def total_bytes(self) -> int:
        """The size of all artifacts together."""
        return sum(artifact.bytes for artifact in self.artifacts)


def canonical_bytes(document: Any) -> bytes:
    """Return the canonical JSON of `document`; ValueError for NaN, infinity and text that UTF-8 cannot hold."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def numbers_among(metrics: dict[str, Any], above: str = "") -> dict[str, float]:
    """Return every number among a manifest's metrics, by the path to it with full stops between names."""
    found: dict[str, float] = {}
    for name, value in sorted(metrics.items()):
        if isinstance(value, dict):
            found |= numbers_among(value, f"{above}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{above}{name}"] = value
    return found


def read_manifest_file(folder: Path) -> bytes:
    """Return the bytes of a folder's manifest, never more than is allowed; PackageRejected when there is none."""
    path = folder / MANIFEST_NAME
    if path.is_symlink() or not path.is_file():
        raise PackageRejected(
            f"{folder.name} has no {MANIFEST_NAME}, so nothing says what it is.",
            remedy="Write the package again with `manage.py train`; a folder of an older product must be retrained.",
            check="manifest",
        )
    with path.open("rb") as file:
        return file.read(MAX_MANIFEST_BYTES + 1)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that these bytes are; PackageRejected(check="manifest") for anything out of bounds.

    Refused: more than 1 MiB, no JSON object, deep nesting, unknown or missing members, a path that could leave the
    folder, and any bytes that are not the canonical form of what they say.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        _refuse(f"it is larger than {MAX_MANIFEST_BYTES} bytes")
    if _depth(data) > MAX_DEPTH:
        _refuse(f"it nests deeper than {MAX_DEPTH} levels")
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as fault:
        _refuse(f"it is not JSON ({fault})", fault)
    if not isinstance(document, dict):
        _refuse("it is not a JSON object")
    if (schema := document.get("schema_version")) != SCHEMA_VERSION:
        _refuse(f"its schema_version is {schema!r:.80} and this product reads {SCHEMA_VERSION!r}")
    try:
        manifest = Manifest.model_validate(document)
        canonical = manifest.to_bytes()
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        _refuse(f"{place}: {first['msg']}", fault)
    except ValueError as fault:
        _refuse(f"it holds a value that JSON cannot ({fault})", fault)
    if (odd := _odd_value(document)) is not None:
        _refuse(odd)
    if canonical != data:
        _refuse("its bytes are not in canonical form (sorted keys, no spaces, UTF-8, one final newline)")
    return manifest


def _odd_value(value: Any) -> str | None:
    """Return what a database or a reader could not hold or would show as something else, or None."""
    if isinstance(value, str):
        return "a text in it has characters that are not seen" if _UNSEEN.search(value) else None
    if isinstance(value, int):
        return "a whole number in it has more than 64 bits" if not -(2**63) <= value < 2**63 else None
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((odd for part in parts if (odd := _odd_value(part)) is not None), None)


def _depth(data: bytes) -> int:
    deepest = level = 0
    for byte in _JSON_STRING.sub(b"", data):
        if byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise PackageRejected(
        f"The manifest is refused: {why:.500}.",
        remedy="Write the package with `manage.py train` or this product's build_package and drop it unchanged.",
        check="manifest",
    ) from cause
