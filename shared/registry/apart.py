"""Loads a model in a process of its own: a package that comes in may end it, and loading holds the lock for seconds.

    python -m shared.registry.apart FOLDER MANIFEST_SHA256

A package that a trusted hand signed may still hold a table at which polars gives up the whole process, or announce
more memory than there is. So whatever is registered, repaired or activated is loaded here first, under limits, and the
process that answers requests only compares bytes. What the other process finds is told as one JSON document on standard
output.
"""

import json
import subprocess
import sys
from pathlib import Path

from shared.cores import work_in_background
from shared.errors import PackageRejected
from shared.platform import die_with_parent, end_process_tree, limit_memory, start_child
from shared.registry.manifest import parse_manifest, read_manifest_file, sha256_hex
from shared.registry.verify import CheckedPackage, load_checked
from shared.settings import PROJECT_DIR

_PATIENCE_SECONDS = 600.0
_MEMORY_BYTES, _MEMORY_FACTOR = 2 * 1024**3, 4  # of its own, and more for each byte of the package


def load_apart(package: CheckedPackage) -> None:
    """Load a package that passed `check_package` and ask it its golden questions, in another process.

    Raises:
        PackageRejected: it does not load, does not answer as it did, or the process ended without a word.
    """
    command = [sys.executable, "-m", __name__, str(package.folder), package.manifest_sha256]
    child = start_child(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE)
    try:
        out, _ = child.communicate(timeout=_PATIENCE_SECONDS)
        told = json.loads(out.splitlines()[-1]) if out else None
    except (subprocess.TimeoutExpired, ValueError):
        told = None
    finally:
        if child.poll() is None:
            end_process_tree(child, grace_seconds=0)
        if child.stdout is not None:
            child.stdout.close()
    if told is None:
        raise PackageRejected(
            f"{package.manifest.version} cannot be loaded: the process that tried ended with {child.poll()} and said "
            "nothing, as it does of a damaged table or too little memory.",
            remedy="Look whether this machine has memory for a second model; if so, make the package again.",
            check="load",
        )
    if told != {}:
        raise PackageRejected(told["detail"], remedy=told["remedy"], **told["facts"])


def load_here(folder: Path, manifest_sha256: str) -> dict[str, object]:
    """Load a package that was checked, whole, within the memory that its size allows; {} or what was found wrong."""
    try:
        data = read_manifest_file(folder)
        if sha256_hex(data) != manifest_sha256:
            raise PackageRejected("The manifest changed after it was checked.", remedy="Try again.", check="manifest")
        manifest = parse_manifest(data)
        checked = CheckedPackage(folder=folder, manifest=manifest, manifest_sha256=manifest_sha256, signed_by=None)
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


def main() -> int:
    """Load, and tell what was found."""
    die_with_parent()
    work_in_background()
    told = load_here(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write(json.dumps(told, default=str) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
