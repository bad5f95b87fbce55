"""Loads a model in a process of its own: a package that comes in may end it, and loading holds the lock for seconds.

    python -m shared.registry.apart [--all-cores]

A package that a trusted hand signed may still hold a table at which polars gives up the whole process, or announce
more memory than there is. So whatever is registered, repaired or activated is loaded here first, under limits, and the
process that answers requests only compares bytes.

The process is told what to load by one line of JSON on standard input, and tells what it finds by one on standard
output. It may be started before the package is there: the libraries, most of a second and a half of processor time,
are then imported by the time that they are wanted.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.cores import lower_priority, work_in_background
from shared.errors import PackageRejected
from shared.platform import die_with_parent, end_process_tree, limit_memory, start_child
from shared.registry.hashing import FileIdentity
from shared.registry.manifest import parse_manifest, read_manifest_file, sha256_hex
from shared.registry.verify import CheckedPackage, Load, load_checked
from shared.settings import PROJECT_DIR

_PATIENCE_SECONDS = 600.0
_MEMORY_BYTES, _MEMORY_FACTOR = 2 * 1024**3, 4  # of its own, and more for each byte of the package
_ALL_CORES = "--all-cores"


@contextlib.contextmanager
def loading_apart(*, all_cores: bool = False) -> Iterator[Load]:
    """Start a process that makes ready to load, and yield what has it load one checked package.

    What is yielded is called once at most, by the same thread, and raises PackageRejected: the package does not load,
    does not answer as it did, or the process ended without a word. The process is gone when the block has ended. It
    has a low priority, and leaves one core to answering requests unless it may use `all_cores`.
    """
    command = [sys.executable, "-m", __name__, *([_ALL_CORES] if all_cores else [])]
    child = start_child(command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield lambda package: _load(child, package)
    finally:
        if child.poll() is None:
            end_process_tree(child, grace_seconds=0)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()


def load_apart(package: CheckedPackage) -> None:
    """Load a package that passed `check_package` and ask it its golden questions, in another process.

    Raises:
        PackageRejected: it does not load, does not answer as it did, or the process ended without a word.
    """
    with loading_apart() as load:
        load(package)


def _load(child: subprocess.Popen[bytes], package: CheckedPackage) -> None:
    order = {"folder": str(package.folder), "manifest_sha256": package.manifest_sha256, "hashed": package.hashed}
    try:
        out, _ = child.communicate(json.dumps(order).encode() + b"\n", timeout=_PATIENCE_SECONDS)
        told = json.loads(out.splitlines()[-1]) if out else None
    except (subprocess.TimeoutExpired, ValueError):
        told = None
    if told is None:
        raise PackageRejected(
            f"{package.manifest.version} cannot be loaded: the process that tried ended with {child.poll()} and said "
            "nothing, as it does of a damaged table or too little memory.",
            remedy="Look whether this machine has memory for a second model; if so, make the package again.",
            check="load",
        )
    if told != {}:
        raise PackageRejected(told["detail"], remedy=told["remedy"], **told["facts"])


def load_here(
    folder: Path, manifest_sha256: str, hashed: Mapping[str, FileIdentity] | None = None
) -> dict[str, object]:
    """Load a package that was checked, whole, within the memory that its size allows; {} or what was found wrong.

    `hashed` tells which files were, as they lay there: one that is not that file any more is hashed again.
    """
    try:
        data = read_manifest_file(folder)
        if sha256_hex(data) != manifest_sha256:
            raise PackageRejected("The manifest changed after it was checked.", remedy="Try again.", check="manifest")
        manifest = parse_manifest(data)
        checked = CheckedPackage(
            folder=folder, manifest=manifest, manifest_sha256=manifest_sha256, signed_by=None, hashed=hashed or {}
        )
        most_bytes = _MEMORY_BYTES + _MEMORY_FACTOR * manifest.total_bytes
        limit_memory(most_bytes)
        load_checked(checked, whole_tables=True)
    except PackageRejected as fault:
        return {"detail": fault.detail, "remedy": fault.remedy, "facts": fault.facts}
    except MemoryError:
        return {
            "detail": f"The model takes more than {most_bytes // 2**20} MiB, far more than its files should.",
            "remedy": "Make the package again with this product.",
            "facts": {"check": "load"},
        }
    return {}


def _make_ready() -> None:
    """Import what loading needs."""
    import shared.prediction.golden
    import shared.prediction.package
    import shared.registry.safe_loading  # noqa: F401

    with contextlib.suppress(ImportError):  # exact search serves without it
        import hnswlib  # noqa: F401


def main() -> None:
    """Make ready, wait for the order, load, and tell what was found."""
    die_with_parent()
    if _ALL_CORES in sys.argv:
        lower_priority()
    else:
        work_in_background()
    _make_ready()
    line = sys.stdin.buffer.readline()
    if line:
        order: dict[str, Any] = json.loads(line)
        hashed = {path: FileIdentity(*identity) for path, identity in order["hashed"].items()}
        told = load_here(Path(order["folder"]), order["manifest_sha256"], hashed)
        sys.stdout.write(json.dumps(told, default=str) + "\n")
        sys.stdout.flush()
    os._exit(0)  # without taking the model apart object by object


if __name__ == "__main__":
    main()
