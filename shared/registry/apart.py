"""The last checks of an activation in a process of its own: loading a model holds the interpreter's lock for seconds.

    python -m shared.registry.apart FOLDER MANIFEST_SHA256

The process that answers requests only compares bytes, which needs no lock. What the other process finds is told as one
JSON document on standard output.
"""

import json
import subprocess
import sys
from pathlib import Path

from shared.cores import work_in_background
from shared.errors import PackageRejected
from shared.platform import die_with_parent, end_process_tree, start_child
from shared.registry.manifest import parse_manifest, read_manifest_file, sha256_hex
from shared.registry.verify import CheckedPackage, load_checked
from shared.settings import PROJECT_DIR

_PATIENCE_SECONDS = 600.0


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
    if told is None:
        raise PackageRejected(
            f"The process that was to load {package.manifest.version} ended with {child.returncode} and said nothing.",
            remedy="Look whether this machine has memory for a second model; then try again.",
            check="load",
        )
    if told != {}:
        raise PackageRejected(told["detail"], remedy=told["remedy"], **told["facts"])


def _load(folder: Path, manifest_sha256: str) -> dict[str, object]:
    try:
        data = read_manifest_file(folder)
        if sha256_hex(data) != manifest_sha256:
            raise PackageRejected("The manifest changed after it was checked.", remedy="Try again.", check="manifest")
        manifest = parse_manifest(data)
        load_checked(CheckedPackage(folder=folder, manifest=manifest, manifest_sha256=manifest_sha256, signed_by=None))
    except PackageRejected as fault:
        return {"detail": fault.detail, "remedy": fault.remedy, "facts": fault.facts}
    return {}


def main() -> int:
    """Load, and tell what was found."""
    die_with_parent()
    work_in_background()
    told = _load(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write(json.dumps(told, default=str) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
